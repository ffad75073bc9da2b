package collector_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

var update = flag.Bool("update", false, "write what Events returns to testdata instead of comparing")

// eventCases are results and what stands in testdata under the same name.
var eventCases = []struct {
	name    string
	result  func(t testing.TB) *ledger.Result
	account *channels.Account
	past    collector.History
	unknown bool // the collector does not know the provider
	wantErr string
}{
	{name: "send accepted", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 1, Attempt: 1, Step: 1, Request: original(t, sendRequest("s-1")), Answer: script{}.answer(), Parse: true,
			State: events.StateAccepted, Evidence: events.Strong, MessageID: "m-9", Warnings: []string{"oa_defaulted"}, AtMS: start + 200,
		}
	}},
	{name: "send traced", account: account(), result: func(t testing.TB) *ledger.Result {
		r := accepted(t, 7)
		r.Trace = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
		return r
	}},
	{name: "send deferred", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 3, Attempt: 2, Step: 1, Request: original(t, sendRequest("s-1")), Answer: &channels.Answer{Status: 429},
			State: events.StateDeferred, RetryAtMS: start + 9000, AtMS: start + 200,
			Why: events.Why{Class: "throttled", Reason: "rate_limited", HTTPStatus: 429},
		}
	}},
	{name: "send middle step", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{Seq: 7, Call: 1, Attempt: 1, Step: 1, Next: "send", Request: original(t, sendRequest("s-1")), Answer: script{}.answer(), Parse: true, AtMS: start}
	}},
	{name: "send unknown", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 1, Attempt: 1, Step: 1, Request: original(t, sendRequest("s-1")),
			Answer: &channels.Answer{Status: 200, Body: []byte("<html>log in</html>"), StartedMS: start},
			State:  events.StateUnknown, AtMS: start + 200, Dead: ledger.DeadUnknown,
			Why: events.Why{Class: "ambiguous", Reason: "unexpected_answer", HTTPStatus: 200},
		}
	}},
	{name: "send refused", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 1, Attempt: 1, Step: 1, Request: original(t, sendRequest("s-1")),
			Answer: &channels.Answer{Status: 400, Body: []byte(`{"code":"errors"}`), StartedMS: start},
			State:  events.StateFailed, AtMS: start + 200, Dead: ledger.DeadRefused,
			Why: events.Why{Class: "permanent", Reason: "provider_refused", HTTPStatus: 400, ProviderCode: "errors", ProviderText: "no such OA"},
		}
	}},
	{name: "send that panicked", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 2, Attempt: 2, Step: 1, Request: original(t, sendRequest("s-1")),
			Answer: &channels.Answer{Status: 200, Body: []byte("{}"), StartedMS: start + 100, TookUS: 1500},
			State:  events.StateUnknown, AtMS: start + 200, Dead: ledger.DeadUnknown, Stack: "provider.Judge (judge.go:7)\n",
			Why: events.Why{Class: "ambiguous", Reason: "panic", HTTPStatus: 200, ProviderText: strings.Repeat("no ", 200)},
		}
	}, past: collector.History{
		Attempts: []ledger.Attempt{{Call: 1, Step: 1, AtMS: start, State: events.StateDeferred, Why: events.Why{Class: "retry", Reason: "connect"}}},
		Missing:  "they have left the stream",
	}},
	{name: "send that an operator found to be sent", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 1, Attempt: 1, Step: 1, Request: original(t, sendRequest("s-1")), Resolved: true,
			State: events.StateAccepted, Evidence: events.Operator, AtMS: start + 9000,
		}
	}},
	{name: "send that was taken back", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 7, Call: 1, Step: 1, Request: original(t, sendRequest("s-1")), State: events.StateCancelled, AtMS: start + 200,
			Why: events.Why{Reason: "taken_back"},
		}
	}},
	{name: "cancel done", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 9, Call: 1, Step: 1, Request: original(t, cancelRequest("c-1")), State: events.StateDone, AtMS: start + 200,
			Why: events.Why{Reason: "taken_back", Detail: "the request will not be called"},
		}
	}},
	{name: "cancel too late", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 9, Call: 1, Step: 1, Request: original(t, cancelRequest("c-1")), State: events.StateFailed, AtMS: start + 200,
			Why: events.Why{Class: "permanent", Reason: "too_late", Detail: "the request has ended as accepted"},
		}
	}},
	{name: "send with an unreadable body", account: account(), result: func(t testing.TB) *ledger.Result {
		o := original(t, sendRequest("s-1"))
		o.Data = []byte{0xdf, 0xff, 0xff, 0xff, 0xff}
		return rejected(o, events.ReasonMalformed)
	}},
	{name: "send without an id", account: account(), result: func(t testing.TB) *ledger.Result {
		o := original(t, sendRequest("s-1"))
		delete(o.Header, events.HeaderID)
		return rejected(o, events.ReasonEnvelope)
	}},
	{name: "send with a huge id and no readable body", account: account(), result: func(t testing.TB) *ledger.Result {
		o := original(t, sendRequest("s-1"))
		o.Header[events.HeaderID] = []string{strings.Repeat("x", 300_000)}
		o.Data = nil
		r := rejected(o, events.ReasonEnvelope)
		r.Dead = "" // the letter would fill the golden file
		return r
	}},
	{name: "report to an account that is not there", result: func(t testing.TB) *ledger.Result {
		req := reportRequest("r-1")
		req.Provider, req.Account = "zalo", "nobody"
		return rejected(original(t, req), "unknown_provider")
	}, unknown: true},
	{name: "report to names that are no names", result: func(t testing.TB) *ledger.Result {
		o := original(t, reportRequest("r-1"))
		o.Subject = "tram.report.Điện." + strings.Repeat("a", 70) + ".bulk"
		return rejected(o, events.ReasonEnvelope)
	}, unknown: true},
	{name: "report page", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 8, Call: 1, Attempt: 1, Step: 1, Next: "p2", Request: original(t, reportRequest("r-1")),
			Answer: script{Stats: 2, Records: []int{3}}.answer(), Parse: true, Stats: 2, Records: 1, AtMS: start + 200,
		}
	}},
	{name: "report last page", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 8, Call: 2, Attempt: 2, Step: 2, Cursor: "p2", Request: original(t, reportRequest("r-1")),
			Answer: script{Stats: 1}.answer(), Parse: true, Stats: 3, Records: 1, State: events.StateDone, AtMS: start + 300,
		}
	}},
	{name: "report page of an account that is gone", result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 8, Call: 1, Attempt: 1, Step: 1, Request: original(t, reportRequest("r-1")),
			Answer: script{Stats: 1}.answer(), Parse: true, Stats: 1, State: events.StateDone, AtMS: start + 300,
		}
	}},
	{name: "report failed on its second page", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 8, Call: 6, Attempt: 5, Step: 2, Cursor: "p2", Request: original(t, reportRequest("r-1")),
			Answer: &channels.Answer{Failure: channels.FailTimeout, Written: true, StartedMS: start}, Stats: 3,
			State: events.StateFailed, AtMS: start + 300, Why: events.Why{Class: "retry", Reason: "attempts_exhausted"},
		}
	}},
	{name: "report that cannot be parsed", account: account(), wantErr: "no data", result: func(t testing.TB) *ledger.Result {
		return unparsed(t, script{Fail: "no data"})
	}},
	{name: "report that panics", account: account(), wantErr: "panicked with a string", result: func(t testing.TB) *ledger.Result {
		return unparsed(t, script{Panic: "84900000001"})
	}},
	{name: "report that lets the runtime panic", account: account(), wantErr: "index out of range", result: func(t testing.TB) *ledger.Result {
		return unparsed(t, script{Panic: "index"})
	}},
	{name: "report page that cannot be parsed", account: account(), wantErr: "no data", result: func(t testing.TB) *ledger.Result {
		r := unparsed(t, script{Fail: "no data"})
		r.State, r.Next = "", "p2"
		return r
	}},
	{name: "report that its dispatcher could not parse", account: account(), result: func(t testing.TB) *ledger.Result {
		r := unparsed(t, script{Fail: "no data"})
		r.State, r.Parse, r.Dead = events.StateFailed, false, ledger.DeadAnswer
		r.Why = events.Why{Class: "permanent", Reason: "unreadable_answer", Detail: "the words of the dispatcher", HTTPStatus: 200}
		return r
	}},
	{name: "report of an unknown provider", unknown: true, wantErr: "does not know the provider", result: func(t testing.TB) *ledger.Result {
		return unparsed(t, script{Stats: 1})
	}},
	{name: "report without its answer", account: account(), wantErr: "has no answer", result: func(t testing.TB) *ledger.Result {
		r := unparsed(t, script{})
		r.Answer = nil
		return r
	}},
	{name: "command done", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 9, Call: 1, Attempt: 1, Step: 1, Request: original(t, commandRequest("c-1")),
			Answer: script{Result: `{"tags":[7]}`}.answer(), Parse: true, State: events.StateDone, AtMS: start + 300,
		}
	}},
	{name: "command expired", account: account(), result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{
			Seq: 9, Step: 1, Request: original(t, commandRequest("c-1")),
			State: events.StateExpired, AtMS: start + 300, Why: events.Why{Reason: "expired"},
		}
	}},
	{name: "no request at all", account: account(), wantErr: "subject", result: func(t testing.TB) *ledger.Result {
		return &ledger.Result{Seq: 10, Request: ledger.Original{Subject: "tram.delivery.fake.shop.accepted"}, State: events.StateDone, AtMS: start}
	}},
}

func rejected(o ledger.Original, reason string) *ledger.Result {
	return &ledger.Result{
		Seq: 7, Step: 1, Request: o, State: events.StateRejected, AtMS: start + 200, Dead: ledger.DeadEvent,
		Why: events.Why{Class: "permanent", Reason: reason, Detail: "the words of the dispatcher"},
	}
}

func unparsed(t testing.TB, s script) *ledger.Result {
	return &ledger.Result{
		Seq: 8, Call: 2, Attempt: 2, Step: 2, Cursor: "p2", Request: original(t, reportRequest("r-1")),
		Answer: s.answer(), Parse: true, Stats: 3, State: events.StateDone, AtMS: start + 300,
	}
}

func TestEvents(t *testing.T) {
	for _, c := range eventCases {
		t.Run(c.name, func(t *testing.T) {
			var p channels.Provider = fake{}
			if c.unknown {
				p = nil
			}
			msgs, err := collector.Events(c.result(t), c.past, p, c.account)
			if c.wantErr == "" && err != nil {
				t.Errorf("error: %v", err)
			} else if c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)) {
				t.Errorf("error %v, want one with %q", err, c.wantErr)
			}
			compareGolden(t, strings.ReplaceAll(c.name, " ", "_"), describe(t, msgs))
		})
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// describe writes messages so that a person can read and compare them.
func describe(t testing.TB, msgs []*nats.Msg) string {
	t.Helper()
	if len(msgs) == 0 {
		return "nothing\n"
	}
	var b strings.Builder
	for i, m := range msgs {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n", m.Subject)
		for _, name := range []string{events.HeaderMsgID, events.HeaderID, events.HeaderTime, events.HeaderTraceparent} {
			if v := m.Header[name]; len(v) == 1 {
				fmt.Fprintf(&b, "%s: %s\n", name, v[0])
			}
		}
		body, err := json.MarshalIndent(decode(t, m), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", body)
	}
	return b.String()
}

// decode reads a message as its readers would.
func decode(t testing.TB, m *nats.Msg) any {
	t.Helper()
	if strings.HasPrefix(m.Subject, "tram.dead.") {
		d, err := ledger.DecodeDeadLetter(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		answer := "none"
		if d.Answer != nil {
			answer = fmt.Sprintf("%d %s", d.Answer.Status, d.Answer.Body)
		}
		return map[string]any{
			"group": d.Group, "seq": d.Seq, "call": d.Call, "attempt": d.Attempt, "state": d.State, "why": d.Why, "at_ms": d.AtMS,
			"answer": answer, "request": d.Request.Subject, "attempts": d.Attempts, "missing": d.Missing, "stack": d.Stack != "",
		}
	}
	e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case e.Delivery != nil:
		return e.Delivery
	case e.Stat != nil:
		return e.Stat
	case e.Record != nil:
		return e.Record
	}
	return e.Outcome
}

func TestEvents_IsDeterministic(t *testing.T) {
	for _, c := range eventCases {
		first, _ := collector.Events(c.result(t), collector.History{}, fake{}, c.account)
		for range 5 { // map order changes from run to run
			again, _ := collector.Events(c.result(t), collector.History{}, fake{}, c.account)
			if !sameBytes(t, first, again) {
				t.Errorf("%s: a second run gives other bytes", c.name)
			}
		}
	}
}

func sameBytes(t testing.TB, a, b []*nats.Msg) bool {
	t.Helper()
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		ha, errA := json.Marshal(a[i].Header)
		hb, errB := json.Marshal(b[i].Header)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a[i].Subject != b[i].Subject || !bytes.Equal(ha, hb) || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}
