package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// canary is what every secret of these tests begins with, so that one that is
// cut off is found as well. What follows is changed by each encoding.
const canary = "cAnArY7Qx93"

func canaryOf(place string) string { return canary + "-" + place + `+/=&"<%é'\ z` }

// newToken is what the tokens begin with that the sandbox's Pancake makes.
const newToken = "eyJhbGciOi"

// An accident is a way in which calls can go.
type accident struct {
	name  string
	fault *sandbox.Fault               // nil is success
	base  func(*sandbox.Server) string // where the account is; nil is the sandbox
}

var accidents = []accident{
	{name: "success"},
	{name: "echo", fault: &sandbox.Fault{Status: 200, Echo: true}},
	{name: "html", fault: &sandbox.Fault{How: sandbox.HTML, Echo: true}},
	{name: "redirect", fault: &sandbox.Fault{How: sandbox.Redirect, Echo: true}},
	{name: "refused", fault: &sandbox.Fault{Status: 400, Echo: true}},
	{name: "unauthorized", fault: &sandbox.Fault{Status: 401, Echo: true}},
	{name: "not-found", fault: &sandbox.Fault{Status: 404, Echo: true}},
	{name: "throttled", fault: &sandbox.Fault{Status: 429, Echo: true}},
	{name: "server-error", fault: &sandbox.Fault{Status: 500, Echo: true}},
	{name: "unavailable", fault: &sandbox.Fault{Status: 503, Echo: true}},
	{name: "echo-cut-off", fault: &sandbox.Fault{Status: 200, How: sandbox.CutOff, Echo: true}},
	{name: "error-cut-off", fault: &sandbox.Fault{Status: 500, How: sandbox.CutOff, Echo: true}},
	{name: "echo-short", fault: &sandbox.Fault{Status: 200, How: sandbox.WrongLength, Echo: true}},
	{name: "huge", fault: &sandbox.Fault{How: sandbox.Huge, Echo: true, Size: 2 << 20}},
	{name: "malformed", fault: &sandbox.Fault{How: sandbox.Malformed, Echo: true}},
	{name: "cut-off", fault: &sandbox.Fault{How: sandbox.CutOff}},
	{name: "short", fault: &sandbox.Fault{How: sandbox.WrongLength}},
	{name: "reset", fault: &sandbox.Fault{How: sandbox.Reset}},
	{name: "reset-early", fault: &sandbox.Fault{How: sandbox.ResetEarly}},
	{name: "nobody-there", base: func(*sandbox.Server) string { return "http://127.0.0.1:1" }},
	{name: "no-name", base: func(*sandbox.Server) string { return "http://no..name" }},
	{name: "no-tls", base: func(s *sandbox.Server) string { return strings.Replace(s.URL(), "http:", "https:", 1) }},
	{name: "bad-certificate"},
}

// TestSecrets calls every operation under every accident, all accounts with
// secrets that can be found anywhere, and looks for them everywhere.
func TestSecrets(t *testing.T) {
	boxes, ends := checkSecrets(t, accidents, patience)
	for _, op := range operations() {
		state, why := stateOf(ends[op.id+"-success"])
		if state != events.StateAccepted && state != events.StateDone {
			t.Errorf("%s with success: %s, %+v", op.id, state, why)
		}
	}
	checkTold(t, boxes["success"])
}

// TestSecrets_timeout is the same with providers that do not answer in time.
func TestSecrets_timeout(t *testing.T) {
	checkSecrets(t, []accident{{name: "hang", fault: &sandbox.Fault{How: sandbox.Hang}}}, 300*time.Millisecond)
}

// checkSecrets looks for secrets after all operations have met the accidents.
// It returns the sandboxes by accident, and how the requests ended.
func checkSecrets(t *testing.T, accidents []accident, timeout time.Duration) (map[string]*sandbox.Server, map[string]*events.Event) {
	unknown := httptest.NewUnstartedServer(http.NotFoundHandler())
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS()
	defer unknown.Close()
	var accounts []channels.Account
	var requests []*events.Request
	boxes := map[string]*sandbox.Server{}
	for _, ac := range accidents {
		box := startSandbox(t, func(account string) string { return canaryOf(ac.name + "/" + account) })
		boxes[ac.name] = box
		if ac.fault != nil {
			if _, err := box.AddFault(*ac.fault); err != nil {
				t.Fatal(err)
			}
		}
		base := box.URL()
		switch {
		case ac.base != nil:
			base = ac.base(box)
		case ac.name == "bad-certificate":
			base = unknown.URL
		}
		for _, op := range operations() {
			name := op.id + "-" + ac.name
			accounts = append(accounts, op.relay(name, base, canaryOf(ac.name+"/"+op.account)))
			requests = append(requests, op.request(name, name))
		}
	}
	r := startRig(t, providers(), accounts, calls{attempts: 2, timeout: timeout})
	r.publish(requests...)
	ends := r.settled(requests)
	r.deadLetters(ends)
	for _, ac := range accidents {
		if ac.fault == nil {
			continue
		}
		if hits := boxes[ac.name].Faults()[0].Hits; hits < int64(len(operations())) {
			t.Errorf("%s befell %d calls, want one of each of the %d operations", ac.name, hits, len(operations()))
		}
		if n := len(boxes[ac.name].Calls(sandbox.Filter{Operation: "sandbox.followed"})); n > 0 {
			t.Errorf("%d redirects were followed", n)
		}
	}
	for place, what := range r.leaks() {
		t.Errorf("a secret is in %s: %q", place, what)
	}
	return boxes, ends
}

// checkTold makes sure that there are secrets in good answers too: in the links
// to Facebook's pages, in the list of Pancake's, and a new one.
func checkTold(t *testing.T, box *sandbox.Server) {
	t.Helper()
	secret := func(account string) string { return url.QueryEscape(canaryOf("success/" + account)) }
	client := new(http.Client)
	defer client.CloseIdleConnections()
	for _, told := range []struct{ method, path, secret string }{
		{"GET", "/facebook/v25.0/104500000000001/insights?metric=page_messages_sent&period=day&date_preset=last_week&access_token=" + secret(faceBook), canary},
		{"GET", "/pancake/v1/pages?access_token=" + secret(pancakeUser), canary},
		{"POST", "/pancake/v1/pages/" + url.PathEscape(shopID) + "/generate_page_access_token?access_token=" + secret(pancakeUser), newToken},
	} {
		req, err := http.NewRequestWithContext(t.Context(), told.method, box.URL()+told.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Contains(body, []byte(told.secret)) {
			t.Errorf("%s has no secret in its answer, so nothing is shown by it: %s, error %v", told.path, body, err)
		}
	}
}

// TestSecrets_found makes sure that the search finds what a bad provider
// package would give away.
func TestSecrets_found(t *testing.T) {
	box := startSandbox(t, canaryOf)
	var all []channels.Account
	var requests []*events.Request
	for _, op := range operations() {
		if op.id == "c1" || op.id == "c2" {
			all = append(all, op.relay(op.id, box.URL(), canaryOf(op.account)))
			requests = append(requests, op.request(op.id, op.id))
		}
	}
	var bad []channels.Provider
	for _, p := range providers() {
		bad = append(bad, leaky{p})
	}
	r := startRig(t, bad, all, calls{attempts: 1, timeout: patience})
	r.publish(requests...)
	r.deadLetters(r.settled(requests))
	r.log.Debug("called", "secret", canaryOf("log"))
	found := r.leaks()
	for _, place := range []string{broker.Results, broker.Events, broker.Dead, "the logs"} {
		what, ok := "", false
		for at := range found {
			if strings.HasPrefix(at, place) {
				what, ok = found[at], true
			}
		}
		if !ok || what == "" {
			t.Errorf("the secret in %s was not found: %v", place, found)
		}
	}
}

// leaky refuses every answer, and says with which secret.
type leaky struct{ channels.Provider }

func (l leaky) Judge(a *channels.Account, r *events.Request, _ channels.Step, _ *channels.Answer) channels.Verdict {
	secret := a.Secrets["token"].Reveal()
	if r.Report != nil {
		secret = base64.RawURLEncoding.EncodeToString([]byte("Bearer " + secret))
	}
	return channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused, Detail: "refused " + secret}
}

// forms are the ways in which text can stand in other text. Its letters and
// digits are the same in URLs and JSON.
func forms(text string) (all [][]byte) {
	inHex := hex.EncodeToString([]byte(text))
	for _, form := range []string{text, strings.ToLower(text), strings.ToUpper(text), inHex, strings.ToUpper(inHex)} {
		all = append(all, []byte(form))
	}
	for _, format := range []string{`u%04x`, "#%d;", "#x%X;", "%%%02X"} { // as they are bare
		var coded []byte
		for i := range len(text) {
			coded = fmt.Appendf(coded, format, text[i])
		}
		all = append(all, coded)
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), text...)
		from, to := []int{0, 2, 3}[shift], len(padded)*8/6
		all = append(all, []byte(base64.StdEncoding.EncodeToString(padded)[from:to]), []byte(base64.URLEncoding.EncodeToString(padded)[from:to]))
	}
	return all
}

// bare leaves out what the escapes of single characters begin with, which may itself
// be escaped in a message.
var bare = strings.NewReplacer(`\u0026`, "", `\`, "", "&", "")

// leaks looks for secrets in all messages of all streams, in their subjects
// and headers, and in the logs. It returns what stands around each, by place.
func (r *rig) leaks() map[string]string {
	r.t.Helper()
	found := map[string]string{}
	wanted := append(forms(canary), forms(newToken)...)
	look := func(place string, whole []byte) {
		for _, text := range [][]byte{whole, []byte(bare.Replace(string(whole)))} {
			for _, w := range wanted {
				if i := bytes.Index(text, w); i >= 0 {
					found[place] = string(text[max(0, i-60):min(len(text), i+60)])
				}
			}
		}
	}
	// What people have decided, or put off, nobody has here.
	maybeEmpty := []string{broker.Dead, broker.Later, "KV_" + broker.DecisionsBucket, "KV_" + broker.JobsBucket, "KV_" + broker.SchedulesBucket, broker.ControlStream}
	seen := 0
	streams := r.JS.ListStreams(r.t.Context())
	for info := range streams.Info() {
		seen++
		if info.State.Msgs == 0 && !slices.Contains(maybeEmpty, info.Config.Name) {
			r.t.Errorf("%s is empty", info.Config.Name)
		}
		r.scan(info, look)
	}
	r.must(streams.Err())
	if seen != 13 {
		r.t.Errorf("searched %d streams, want six and seven buckets", seen)
	}
	look("the logs", r.logs.bytes())
	return found
}

func (r *rig) scan(info *jetstream.StreamInfo, look func(place string, text []byte)) {
	r.t.Helper()
	err := broker.NewReader(r.JS).Replay(r.t.Context(), info.Config.Name, ">", 1, func(m *broker.Stored) error {
		header, err := json.Marshal(m.Header)
		place := fmt.Sprintf("%s of %s", info.Config.Name, m.Subject)
		look(place, m.Data)
		look(place+", header", header)
		look(place+", subject", []byte(m.Subject))
		return err
	})
	r.must(err)
}
