package dispatcher

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// What dead letters are made of.

// Each result names the one before it, whoever stored that, so that a dead
// letter can tell every attempt.
func TestResultsAreChainedAcrossOwners(t *testing.T) {
	r := newRig(t)
	const calls = 4
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 503, channels.Verdict{Class: channels.Retry, Reason: "busy"}
	}
	patient := func(c *Config) { c.Retry = RetryPolicy{Base: time.Second, MaxAttempts: calls} }
	stop := r.start(patient)
	seq := r.send("shop", events.Normal, "1", nil)
	for n := 1; n < calls; n++ {
		r.eventually(func() string {
			if len(r.results()[seq]) < n {
				return fmt.Sprintf("call %d has no result", n)
			}
			return ""
		})
		stop()
		stop = r.start(patient)
	}
	if end := r.ends(seq)[0]; end.State != events.StateFailed || end.Attempt != calls {
		t.Errorf("ended as %s after %d attempts, want failed after %d", end.State, end.Attempt, calls)
	}
	var chain []int
	for at := r.results()[seq][calls-1]; at != nil; at = r.stored[at.Prev] {
		chain = append(chain, at.Call)
	}
	if got := fmt.Sprint(chain); got != "[4 3 2 1]" {
		t.Errorf("the chain is %s", got)
	}
}

// A resolved end is a result like any other to whoever takes over.
func TestAResolvedEndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 200, channels.Verdict{Class: channels.Ambiguous, Reason: "lost"}
	}
	stop := r.start(nil)
	seq := r.send("shop", events.Normal, "1", nil)
	end := r.ends(seq)[0]
	said := *end
	said.State, said.Dead, said.Answer, said.Resolved, said.Prev = events.StateAccepted, "", nil, true, 0
	data, err := ledger.EncodeResult(&said)
	if err != nil {
		t.Fatal(err)
	}
	subject := broker.ResultSubject(broker.Partition("fake", "shop", r.partitions), "fake", "shop")
	if _, err := r.b.JS.Publish(t.Context(), subject, data); err != nil {
		t.Fatal(err)
	}
	stop()
	r.start(nil)
	if got := r.ends(r.send("shop", events.Normal, "2", nil))[0]; got.Prev != 0 || got.Call != 1 {
		t.Errorf("the next request: call %d after result %d", got.Call, got.Prev)
	}
	if n := len(r.results()[seq]); n != 1 {
		t.Errorf("the resolved request has %d results of calls, want 1", n)
	}
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %v", twice)
	}
}

// brittle breaks where a text says so.
type brittle struct{ *fakeProvider }

func (brittle) Redact(r *events.Request, _ channels.Step, body []byte) []byte {
	if r.Send != nil && r.Send.Content.Text == "panic in redact" {
		panic(r.Send.Recipient.Value)
	}
	return body
}

func (b brittle) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	if r.Report.Page.MaxPages == 7 {
		var none []int
		none[len(r.ID)]++
	}
	return b.fakeProvider.Parse(a, r, s, ans)
}

// A panic is one result with its stack, and the next request goes its way.
func TestAPanicIsOneResultWithItsStack(t *testing.T) {
	r := newRig(t)
	r.start(func(c *Config) { c.Providers = []channels.Provider{brittle{&fakeProvider{url: r.srv.URL}}} })
	say := func(text string) func(*events.Send) { return func(s *events.Send) { s.Content.Text = text } }
	r.desk.answer = func(_ int, c call) (int, channels.Verdict) {
		if strings.HasSuffix(c.body, "panic in judge") {
			return http.StatusOK, channels.Verdict{Reason: "panic"}
		}
		return http.StatusOK, channels.Verdict{Class: channels.OK, Evidence: events.Strong}
	}
	for _, c := range []struct {
		seq   uint64
		in    string
		state events.State
		dead  ledger.DeadGroup
	}{
		{r.send("shop", events.Normal, "a", say("panic in prepare")), "Prepare", events.StateRejected, ledger.DeadEvent},
		{r.send("shop", events.Normal, "b", say("panic in judge")), "Judge", events.StateUnknown, ledger.DeadUnknown},
		{r.send("shop", events.Normal, "c", say("panic in redact")), "Redact", events.StateUnknown, ledger.DeadUnknown},
		{r.report("d", func(rep *events.Report) { rep.Page.MaxPages = 7 }), "Parse", events.StateFailed, ledger.DeadAnswer},
		{r.send("shop", events.Normal, "e", nil), "", events.StateAccepted, ""},
	} {
		got := r.ends(c.seq)[0]
		if got.State != c.state || got.Dead != c.dead {
			t.Errorf("panic in %s: got %s, dead letters %q; want %s, %q", c.in, got.State, got.Dead, c.state, c.dead)
		}
		if c.in == "" {
			continue
		}
		if got.Why.Reason != ReasonPanic || !strings.Contains(got.Stack, "."+c.in+" (") || strings.Contains(got.Stack+got.Why.Detail, "09c") {
			t.Errorf("panic in %s: reason %q, detail %q, stack:\n%s", c.in, got.Why.Reason, got.Why.Detail, got.Stack)
		}
		if c.in == "Redact" && got.Answer != nil && got.Answer.Body != nil {
			t.Errorf("an answer that may be a secret is kept: %q", got.Answer.Body)
		}
	}
}

// What a request says about ambiguous ends goes before what its account says.
func TestOnAmbiguous(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(n int, _ call) (int, channels.Verdict) {
		if n == 1 {
			return 200, channels.Verdict{Class: channels.Ambiguous, Reason: "lost"}
		}
		return 200, channels.Verdict{Class: channels.OK, Evidence: events.Strong}
	}
	accounts := map[string]events.OnAmbiguous{"shop": "", "bank": events.Resend, "slow": events.AssumeSent}
	r.start(func(c *Config) {
		for _, a := range c.Accounts {
			a.OnAmbiguous = accounts[a.Name]
		}
	})
	type end struct {
		state    events.State
		evidence events.Evidence
		calls    int
	}
	ends := map[events.OnAmbiguous]end{
		"": {events.StateUnknown, "", 1}, events.Hold: {events.StateUnknown, "", 1},
		events.Resend: {events.StateAccepted, events.Strong, 2}, events.AssumeSent: {events.StateAccepted, events.Assumed, 1},
	}
	for account, theirs := range accounts {
		for _, own := range []events.OnAmbiguous{"", events.Hold, events.Resend, events.AssumeSent} {
			want := ends[theirs]
			if own != "" {
				want = ends[own]
			}
			got := r.ends(r.send(account, events.Normal, account+string(own), func(s *events.Send) { s.OnAmbiguous = own }))[0]
			if g := (end{got.State, got.Evidence, got.Call}); g != want || (got.Dead == ledger.DeadUnknown) != (want.state == events.StateUnknown) {
				t.Errorf("account %q, request %q: got %+v, dead letters %q; want %+v", theirs, own, g, got.Dead, want)
			}
		}
	}
}
