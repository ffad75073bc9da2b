package dispatcher

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

func TestASendIsCalledOnceAndItsResultStored(t *testing.T) {
	r := newRig(t)
	r.start(nil)
	seq := r.send("shop", events.Normal, "1", nil)
	got := r.ends(seq)[0]
	if got.State != events.StateAccepted || got.Evidence != events.Strong || got.Call != 1 || got.Attempt != 1 {
		t.Errorf("got state %s evidence %s call %d attempt %d", got.State, got.Evidence, got.Call, got.Attempt)
	}
	if got.Request.Subject != "tram.send.fake.shop.normal" || got.Answer.Status != 200 {
		t.Errorf("result carries request %q and status %d", got.Request.Subject, got.Answer.Status)
	}
	if n := len(r.desk.made()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestWhatCannotBeDoneIsRejectedWithoutACall(t *testing.T) {
	r := newRig(t)
	r.start(nil)
	good, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "x", Source: "/test"}, Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Normal,
		Send: &events.Send{Recipient: events.Recipient{Kind: events.ByPhone, Value: "09"}, Content: events.Content{Kind: events.ContentText, Text: "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ subject, reason, word string }{
		{"tram.send.fake.nobody.normal", ReasonUnknownAccount, "bank, shop, slow"},
		{"tram.send.nothing.shop.normal", ReasonUnknownProvider, "fake"},
		{"tram.send.fake.shop.sometime", "", "class"},
		{"tram.report.fake.shop.normal", "", "ce-type"},
	}
	var seqs []uint64
	for i, tt := range tests {
		m := good.Data
		if tt.word == "ce-type" { // a send's envelope on a report's subject
			seqs = append(seqs, r.publishAs(tt.subject, fmt.Sprint("r", i), events.KindSend.Type(), m))
			continue
		}
		seqs = append(seqs, r.publish(tt.subject, fmt.Sprint("r", i), m))
	}
	bodies := [][]byte{{}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, []byte(`{"json":1}`), good.Data[:len(good.Data)-3]}
	for i, b := range bodies {
		tests = append(tests, struct{ subject, reason, word string }{"", events.ReasonMalformed, ""})
		seqs = append(seqs, r.publish("tram.send.fake.shop.bulk", fmt.Sprint("b", i), b))
	}
	for i, got := range r.ends(seqs...) {
		if got.State != events.StateRejected || got.Dead != ledger.DeadEvent || got.Call != 0 {
			t.Errorf("%s: state %s dead %q call %d", tests[i].subject, got.State, got.Dead, got.Call)
		}
		if tests[i].reason != "" && got.Why.Reason != tests[i].reason {
			t.Errorf("%s: reason %q, want %q", tests[i].subject, got.Why.Reason, tests[i].reason)
		}
		if !strings.Contains(got.Why.Detail, tests[i].word) {
			t.Errorf("%s: detail %q does not speak of %q", tests[i].subject, got.Why.Detail, tests[i].word)
		}
	}
	if calls := r.desk.made(); len(calls) > 0 {
		t.Errorf("the provider was called: %v", calls)
	}
}

func TestVerdictsBecomeEnds(t *testing.T) {
	r := newRig(t)
	r.start(nil)
	once := func(v channels.Verdict) func(int, call) (int, channels.Verdict) {
		return func(n int, _ call) (int, channels.Verdict) {
			if n == 1 {
				return 200, v
			}
			return 200, channels.Verdict{Class: channels.OK, Evidence: events.Strong}
		}
	}
	always := func(v channels.Verdict) func(int, call) (int, channels.Verdict) {
		return func(int, call) (int, channels.Verdict) { return 200, v }
	}
	tests := []struct {
		name    string
		answer  func(int, call) (int, channels.Verdict)
		policy  events.OnAmbiguous
		state   events.State
		calls   int
		attempt int
		reason  string
	}{
		{"retry once", once(channels.Verdict{Class: channels.Retry, Reason: "r"}), "", events.StateAccepted, 2, 2, ""},
		{"retry for ever", always(channels.Verdict{Class: channels.Retry, Reason: "r"}), "", events.StateFailed, 3, 3, ReasonAttemptsExhausted},
		{"a throttle costs no attempt", once(channels.Verdict{Class: channels.Throttled, Cooldown: 30}), "", events.StateAccepted, 2, 1, ""},
		{"permanent", always(channels.Verdict{Class: channels.Permanent, Reason: "p"}), "", events.StateFailed, 1, 1, "p"},
		{"ambiguous is held", always(channels.Verdict{Class: channels.Ambiguous, Reason: "a"}), "", events.StateUnknown, 1, 1, "a"},
		{"ambiguous is resent", once(channels.Verdict{Class: channels.Ambiguous, Reason: "a"}), events.Resend, events.StateAccepted, 2, 2, ""},
		{"ambiguous is assumed sent", always(channels.Verdict{Class: channels.Ambiguous, Reason: "a"}), events.AssumeSent, events.StateAccepted, 1, 1, "a"},
		{"no verdict", always(channels.Verdict{}), "", events.StateUnknown, 1, 1, ""},
		{"panic in judge", always(channels.Verdict{Reason: "panic"}), "", events.StateUnknown, 1, 1, ReasonPanic},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.desk.mu.Lock()
			r.desk.answer = tt.answer
			r.desk.mu.Unlock()
			id := fmt.Sprint("v", i)
			got := r.ends(r.send("shop", events.Normal, id, func(s *events.Send) { s.OnAmbiguous = tt.policy }))[0]
			if got.State != tt.state || got.Call != tt.calls || got.Attempt != tt.attempt || got.Why.Reason != tt.reason {
				t.Errorf("got %s after %d calls, %d attempts, reason %q; want %s, %d, %d, %q",
					got.State, got.Call, got.Attempt, got.Why.Reason, tt.state, tt.calls, tt.attempt, tt.reason)
			}
			if held := got.State == events.StateUnknown; held != (got.Dead == ledger.DeadUnknown) {
				t.Errorf("state %s goes to dead letters %q", got.State, got.Dead)
			}
		})
	}
	t.Run("panic in prepare", func(t *testing.T) {
		got := r.ends(r.send("shop", events.Normal, "pp", func(s *events.Send) { s.Content.Text = "panic in prepare" }))[0]
		if got.State != events.StateRejected || got.Why.Reason != ReasonPanic || got.Call != 0 {
			t.Errorf("got %s, reason %q, call %d", got.State, got.Why.Reason, got.Call)
		}
	})
}

func TestAThrottleSilencesTheWholeAccount(t *testing.T) {
	r := newRig(t)
	const cooldown = 700 * time.Millisecond
	r.desk.answer = func(n int, c call) (int, channels.Verdict) {
		if n == 1 && strings.HasPrefix(c.body, "09first") {
			return 429, channels.Verdict{Class: channels.Throttled, Cooldown: cooldown.Milliseconds()}
		}
		return 200, channels.Verdict{Class: channels.OK}
	}
	r.start(nil)
	first := r.send("slow", events.Normal, "first", nil)
	r.eventually(func() string {
		if len(r.results()[first]) == 0 {
			return "not throttled yet"
		}
		return ""
	})
	seqs := []uint64{first}
	for i := range 10 {
		seqs = append(seqs, r.send("slow", events.Urgent, fmt.Sprint("s", i), nil))
	}
	r.ends(seqs...)
	calls := r.desk.made()
	for _, c := range calls[1:] {
		if gap := c.at.Sub(calls[0].at); gap < cooldown {
			t.Errorf("call %s after the throttle, want %s of silence", gap, cooldown)
		}
	}
}

func TestARefusedCredentialStopsTheAccountAlone(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(_ int, c call) (int, channels.Verdict) {
		if c.account == "shop" {
			return 401, channels.Verdict{Class: channels.Auth, Reason: "credential"}
		}
		return 200, channels.Verdict{Class: channels.OK}
	}
	stop := r.start(func(c *Config) { c.Accounts[0].Concurrency = 1 })
	var shop, bank []uint64
	for i := range 20 {
		shop = append(shop, r.send("shop", events.Normal, fmt.Sprint("a", i), nil))
		bank = append(bank, r.send("bank", events.Normal, fmt.Sprint("b", i), nil))
	}
	r.ends(bank...)
	tried := 0
	for _, c := range r.desk.made() {
		if c.account == "shop" {
			tried++
		}
	}
	if tried != 1 {
		t.Errorf("%d calls with the refused credential, want 1", tried)
	}
	for _, seq := range shop {
		if n := len(final(r.results()[seq])); n != 0 {
			t.Errorf("request %d ended while its account waits for a credential", seq)
		}
	}
	// With a good credential everything goes on.
	stop()
	r.desk.mu.Lock()
	r.desk.answer = nil
	r.desk.mu.Unlock()
	r.start(nil)
	for _, got := range r.ends(shop...) {
		if got.State != events.StateAccepted {
			t.Errorf("request %d: %s", got.Seq, got.State)
		}
	}
}

func TestAChangedConfigurationIsTakenOver(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(_ int, c call) (int, channels.Verdict) {
		if c.secret == "Bearer old" {
			return 401, channels.Verdict{Class: channels.Auth, Reason: "credential"}
		}
		return 200, channels.Verdict{Class: channels.OK}
	}
	account := func(name, token string) *Account {
		return &Account{Account: channels.Account{Provider: "fake", Name: name, Secrets: map[string]channels.Secret{"token": channels.Secret(token)}}}
	}
	d := r.dispatcher(r.b.Conn, func(c *Config) {
		c.Accounts = []*Account{account("shop", "old"), account("gone", "good")}
	})
	r.run(d)
	shop := r.send("shop", events.Normal, "waits", nil)
	r.ends(r.send("gone", events.Normal, "was", nil))
	r.eventually(func() string {
		if len(r.results()[shop]) == 0 {
			return "the old credential was not refused"
		}
		return ""
	})
	bad := account("shop", "new")
	bad.Limits.Windows = []ratelimit.Window{ratelimit.PerSecond(0)}
	if err := d.Update(t.Context(), []*Account{bad}, nil); err == nil {
		t.Error("limits of 0 per second were taken")
	}
	good := account("shop", "new")
	good.Limits.Windows = []ratelimit.Window{ratelimit.PerSecond(500)}
	if err := d.Update(t.Context(), []*Account{good, account("fresh", "good")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := r.ends(shop)[0]; got.State != events.StateAccepted {
		t.Errorf("with the new credential: %s (%s)", got.State, got.Why.Reason)
	}
	if got := r.ends(r.send("fresh", events.Normal, "fresh", nil))[0]; got.State != events.StateAccepted {
		t.Errorf("a new account: %s (%s)", got.State, got.Why.Reason)
	}
	if _, err := events.NewDirectory(r.b.JS).Contract(t.Context(), "fake", "gone"); err == nil {
		t.Error("producers are still told that the account that is no more takes requests")
	}
	if got := r.ends(r.send("gone", events.Normal, "gone", nil))[0]; got.Why.Reason != ReasonUnknownAccount {
		t.Errorf("an account that is no more: %s (%s)", got.State, got.Why.Reason)
	}
}

func TestPagesAreStepsOfOneRequest(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(_ int, c call) (int, channels.Verdict) {
		next := map[string]string{"page 1": "2", "page 2": "3", "page 3": ""}[c.body]
		return 200, channels.Verdict{Class: channels.OK, Next: next}
	}
	r.start(nil)
	all := r.report("all", nil)
	two := r.report("two", func(rep *events.Report) { rep.Page.MaxPages = 2 })
	ends := r.ends(all, two)
	if e := ends[0]; e.State != events.StateDone || e.Step != 3 || e.Stats != 6 || e.Records != 3 || e.Cursor != "3" {
		t.Errorf("got %s at step %d, %d stats, %d records, cursor %q", e.State, e.Step, e.Stats, e.Records, e.Cursor)
	}
	if e := ends[1]; e.State != events.StateDone || e.Step != 2 || e.Stats != 4 {
		t.Errorf("bounded: got %s at step %d, %d stats", e.State, e.Step, e.Stats)
	}
	if n := len(r.results()[all]); n != 3 {
		t.Errorf("%d results, want one for each page", n)
	}
}

func TestEachPageHasItsOwnAttempts(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(n int, c call) (int, channels.Verdict) {
		if n < 3 { // every page works at its last attempt only
			return 503, channels.Verdict{Class: channels.Retry, Reason: "unavailable"}
		}
		next := map[string]string{"page 1": "2", "page 2": "3", "page 3": "4", "page 4": ""}[c.body]
		return 200, channels.Verdict{Class: channels.OK, Next: next}
	}
	r.start(nil)
	if e := r.ends(r.report("bumpy", nil))[0]; e.State != events.StateDone || e.Step != 4 || e.Attempt != 3 || e.Call != 12 {
		t.Errorf("got %s at step %d, attempt %d, call %d", e.State, e.Step, e.Attempt, e.Call)
	}
}

func TestAnAnswerThatCannotBeParsedFailsTheReport(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return http.StatusTeapot, channels.Verdict{Class: channels.OK}
	}
	r.start(nil)
	got := r.ends(r.report("tea", nil))[0]
	if got.State != events.StateFailed || got.Why.Reason != ReasonUnreadableAnswer || got.Dead != ledger.DeadAnswer || got.Parse {
		t.Errorf("got %s, reason %q, dead %q, parse %v", got.State, got.Why.Reason, got.Dead, got.Parse)
	}
}

func TestExpiredRequestsAreNeverCalled(t *testing.T) {
	r := newRig(t)
	r.start(nil)
	late := r.send("shop", events.Urgent, "late", func(s *events.Send) { s.ExpiresAtMS = time.Now().Add(-time.Second).UnixMilli() })
	fine := r.send("shop", events.Urgent, "fine", func(s *events.Send) { s.ExpiresAtMS = time.Now().Add(time.Minute).UnixMilli() })
	ends := r.ends(late, fine)
	if ends[0].State != events.StateExpired || ends[0].Why.Reason != ReasonExpired || ends[0].Answer != nil {
		t.Errorf("got %s, reason %q", ends[0].State, ends[0].Why.Reason)
	}
	if ends[1].State != events.StateAccepted {
		t.Errorf("got %s", ends[1].State)
	}
	if n := len(r.desk.made()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestToBeStoppedWhileStartingIsNoFailure(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.dispatcher(r.b.Conn, nil).Run(ctx); err != nil {
		t.Errorf("got %v", err)
	}
}
