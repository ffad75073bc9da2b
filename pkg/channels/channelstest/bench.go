package channelstest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

var now = time.UnixMilli(NowMS).UTC()

func lower(s string) string { return strings.ToLower(s) }

// A bench runs checks and gathers what they find wrong, so that the suite's
// own tests can see it fail.
type bench struct {
	p        channels.Provider
	s        Suite
	problems []string
}

func newBench(p channels.Provider, s Suite) *bench { return &bench{p: p, s: s} }

func (b *bench) failf(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

const maxTold = 20 // a provider that is wrong everywhere need not be told so a thousand times

func (b *bench) run(t *testing.T, check func(*bench)) {
	t.Helper()
	mine := newBench(b.p, b.s)
	check(mine)
	for i, problem := range mine.problems {
		if i == maxTold {
			t.Errorf("and %d more", len(mine.problems)-i)
			break
		}
		t.Error(problem)
	}
}

// canaryCore is part of every secret and stays readable in every escaped form.
const canaryCore = "cnry7f3aQ9zK2m"

// canary is the value of the secret of that name. It has a character for every
// way in which text is escaped.
func canary(name string) channels.Secret {
	return channels.Secret(canaryCore + `/` + name + `+&="<>%é`)
}

// account returns the case's account, at no server yet.
func (b *bench) account(c Case) *channels.Account {
	a := b.s.Account
	if c.Account != nil {
		a = *c.Account
	}
	a.Provider = b.p.Name()
	if a.Name == "" {
		a.Name = "test"
	}
	if a.BaseURL == "" {
		a.BaseURL = b.p.Traits().BaseURL
	}
	a.BaseURL = rebase(a.BaseURL, "http://provider.test")
	a.Settings = maps.Clone(a.Settings)
	secrets := map[string]channels.Secret{}
	for _, name := range slices.Concat(channels.SecretsOf(b.p, &a), slices.Collect(maps.Keys(a.Secrets))) {
		secrets[name] = canary(name)
	}
	a.Secrets = secrets
	return &a
}

// rebase puts base's path behind another scheme and host.
func rebase(base, host string) string {
	u, err := url.Parse(base)
	if err != nil {
		return host
	}
	return host + strings.TrimRight(u.EscapedPath(), "/")
}

// at returns a at the server of that URL.
func at(a *channels.Account, host string) *channels.Account {
	moved := *a
	moved.BaseURL = rebase(a.BaseURL, host)
	return &moved
}

// A sample is one call of a case that went well: what the checks that make
// their own answers start from.
type sample struct {
	a    *channels.Account
	r    *events.Request
	step channels.Step
	call *channels.Call
	ex   Exchange
}

// samples returns one sample of each operation, by way of the first step in
// which it succeeds.
func (b *bench) samples() []sample {
	all := b.first(func(s sample) string { return s.call.Operation })
	if len(all) == 0 {
		b.failf("no case has an exchange with the verdict OK")
	}
	return all
}

// forms returns one sample of each form in which a request reaches an
// operation.
func (b *bench) forms() []sample {
	return b.first(func(s sample) string {
		form := s.call.Operation
		if send := s.r.Send; send != nil {
			form += fmt.Sprint(send.Recipient.Kind, send.Content.Kind, len(send.Attributes) > 0)
		}
		return form
	})
}

// first returns the first good step of each kind.
func (b *bench) first(kind func(sample) string) (all []sample) {
	seen := map[string]bool{}
	for _, c := range b.s.Cases {
		for _, s := range b.steps(c) {
			if !seen[kind(s)] && s.ex.Verdict.Class == channels.OK {
				seen[kind(s)] = true
				all = append(all, s)
			}
		}
	}
	return all
}

// steps returns the calls of a case, without making them.
func (b *bench) steps(c Case) (steps []sample) {
	a, r := b.account(c), b.request(c)
	step := channels.Step{Number: 1}
	for _, ex := range c.Exchanges {
		call, err := b.prepare(a, r, step)
		if err != nil || call == nil {
			break // checkCase tells
		}
		steps = append(steps, sample{a, r, step, call, ex})
		step = channels.Step{Number: step.Number + 1, Cursor: ex.Verdict.Next}
	}
	return steps
}

// redact does to an answer what a provider wants done before anything else.
func (b *bench) redact(r *events.Request, s channels.Step, ans *channels.Answer) *channels.Answer {
	if p, ok := b.p.(channels.Redactor); ok {
		ans.Body = p.Redact(r, s, ans.Body)
	}
	return ans
}

// The provider's methods, with panics turned into problems.

func (b *bench) prepare(a *channels.Account, r *events.Request, s channels.Step) (call *channels.Call, err error) {
	defer b.panicked("Prepare", &err)
	return b.p.Prepare(a, r, s)
}

func (b *bench) judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (v channels.Verdict) {
	defer b.panicked("Judge", nil)
	return b.p.Judge(a, r, s, ans)
}

func (b *bench) parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (h *channels.Harvest, err error) {
	defer b.panicked("Parse", &err)
	return b.p.Parse(a, r, s, ans)
}

func (b *bench) contract(a *channels.Account) (c events.Contract, err error) {
	defer b.panicked("Contract", &err)
	return b.p.Contract(a)
}

func (b *bench) panicked(method string, err *error) {
	if r := recover(); r != nil {
		b.failf("%s panics: %v", method, r)
		if err != nil {
			*err = fmt.Errorf("%s panicked", method)
		}
	}
}

var classes = []channels.Class{channels.OK, channels.Retry, channels.Throttled, channels.Auth, channels.Permanent, channels.Ambiguous}

// sound checks what every verdict must have.
func (b *bench) sound(what string, v channels.Verdict) {
	if !slices.Contains(classes, v.Class) {
		b.failf("%s: class %q is none of the classes", what, v.Class)
	}
	if v.Class != channels.OK && (v.Reason == "" || v.Detail == "") {
		b.failf("%s: %s without reason or detail: %+v", what, v.Class, v)
	}
	if v.Class != channels.OK && v.Next != "" {
		b.failf("%s: %s with a next step", what, v.Class)
	}
}

// clip shortens a text for a message.
func clip(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q… (%d bytes)", s[:60], len(s))
	}
	return fmt.Sprintf("%q", s)
}
