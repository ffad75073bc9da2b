package collector_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// sorted is what a run of Events came to, by kind.
type sorted struct {
	deliveries []*events.Delivery
	stats      []*events.Stat
	records    []*events.Record
	outcomes   []*events.Outcome
	letters    []*ledger.DeadLetter
}

func sortOut(t testing.TB, msgs []*nats.Msg) sorted {
	t.Helper()
	var s sorted
	for _, m := range msgs {
		if strings.HasPrefix(m.Subject, "tram.dead.") {
			d, err := ledger.DecodeDeadLetter(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			s.letters = append(s.letters, d)
			continue
		}
		switch e := decode(t, m).(type) {
		case *events.Delivery:
			s.deliveries = append(s.deliveries, e)
		case *events.Stat:
			s.stats = append(s.stats, e)
		case *events.Record:
			s.records = append(s.records, e)
		case *events.Outcome:
			s.outcomes = append(s.outcomes, e)
		}
	}
	return s
}

// wantOneLetter checks that just one dead letter tells of events that are not
// whole, and that its answer is there for a person to read.
func wantOneLetter(t *testing.T, s sorted, detail string) {
	t.Helper()
	if len(s.letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(s.letters))
	}
	d := s.letters[0]
	if d.Group != ledger.DeadAnswer || d.Why.Reason != "event_refused" || !strings.Contains(d.Why.Detail, detail) {
		t.Errorf("dead letter %s, %+v; want event_refused with %q", d.Group, d.Why, detail)
	}
}

const tooLarge = events.MaxBody + 1

func TestEvents_RecordTooLarge(t *testing.T) {
	r := unparsed(t, script{Records: []int{10, tooLarge, 20}})
	msgs, err := collector.Events(r, collector.History{}, fake{}, account())
	if err == nil {
		t.Error("nothing for the log")
	}
	s := sortOut(t, msgs)
	wantOneLetter(t, s, "1 events are not told whole; the first, the record of /records/1: ")
	if len(s.records) != 3 || len(s.outcomes) != 1 || s.outcomes[0].State != events.StateDone {
		t.Fatalf("%d records, outcomes %+v; want 3 and done", len(s.records), s.outcomes)
	}
	got := s.records[1]
	if got.Object != "" || got.Attrs["truncated"] != "true" || got.Attrs["name"] != "c2.1" || got.ID != "2.1" || got.Key == "" {
		t.Errorf("truncated record %+v", got)
	}
	if whole := s.records[2]; len(whole.Object) != 20 || whole.Attrs["truncated"] != "" {
		t.Errorf("the record after it %+v", whole)
	}
}

func TestEvents_StatsTooLarge(t *testing.T) {
	r := unparsed(t, script{Stats: 50, Unit: strings.Repeat("x", tooLarge)})
	msgs, err := collector.Events(r, collector.History{}, fake{}, account())
	if err == nil {
		t.Error("nothing for the log")
	}
	s := sortOut(t, msgs)
	wantOneLetter(t, s, "50 events are not told whole; the first, the stat of /data/0: ")
	if len(s.stats) != 0 || len(s.outcomes) != 1 {
		t.Errorf("%d stats, %d outcomes, want 0 and 1", len(s.stats), len(s.outcomes))
	}
}

func TestEvents_OutcomeTooLarge(t *testing.T) {
	r := &ledger.Result{
		Seq: 9, Call: 1, Step: 1, Request: original(t, commandRequest("c-1")),
		Answer: script{Result: strings.Repeat("x", tooLarge)}.answer(), Parse: true, State: events.StateDone, AtMS: start,
	}
	msgs, _ := collector.Events(r, collector.History{}, fake{}, account())
	s := sortOut(t, msgs)
	wantOneLetter(t, s, "the outcome: ")
	if len(s.outcomes) != 1 || s.outcomes[0].State != events.StateDone || s.outcomes[0].Result != "" || s.outcomes[0].Warnings[0] != "shortened" {
		t.Errorf("outcomes %+v", s.outcomes)
	}
}

// A request can be as large as an event may be, so an event that tells it back
// can be larger. It must end all the same.
func TestEvents_DeliveryTooLarge(t *testing.T) {
	huge := func(n int) string { return strings.Repeat("x", n) }
	cases := map[string]func(s *events.Send){
		"metadata":    func(s *events.Send) { s.Metadata = map[string]string{"k": huge(events.MaxBody - 500)} },
		"recipient":   func(s *events.Send) { s.Recipient.Value = huge(events.MaxBody - 500) },
		"kind":        func(s *events.Send) { s.Recipient.Kind = events.RecipientKind(huge(events.MaxBody - 500)) },
		"tenant":      func(s *events.Send) { s.Tenant = huge(events.MaxBody - 500) },
		"correlation": func(s *events.Send) { s.CorrelationID = huge(events.MaxBody - 500) },
	}
	for name, fill := range cases {
		t.Run(name, func(t *testing.T) {
			req := sendRequest("s-1")
			fill(req.Send)
			r := rejected(original(t, req), events.ReasonInvalid)
			r.Dead = ""
			r.Why.Detail = huge(2000)
			msgs, _ := collector.Events(r, collector.History{}, fake{}, account())
			s := sortOut(t, msgs)
			wantOneLetter(t, s, "the delivery: ")
			if len(s.deliveries) != 1 {
				t.Fatalf("%d deliveries, want 1", len(s.deliveries))
			}
			d := s.deliveries[0]
			if d.State != events.StateRejected || d.RequestID != "s-1" || d.Reason != events.ReasonInvalid || d.Warnings[0] != "shortened" {
				t.Errorf("delivery %+v", d)
			}
		})
	}
}

func TestEvents_RecordWithTooManyAttributes(t *testing.T) {
	r := unparsed(t, script{Records: []int{10}, Attrs: 2000})
	msgs, _ := collector.Events(r, collector.History{}, fake{}, account())
	s := sortOut(t, msgs)
	wantOneLetter(t, s, "the record of /records/0: ")
	if len(s.records) != 1 || s.records[0].Attrs["truncated"] != "true" || s.records[0].Attrs["name"] != "c2.0" {
		t.Errorf("records %+v", s.records)
	}
}

// Readers refuse text that is not UTF-8, so none may be published, whatever a
// provider answers.
func TestEvents_TextIsUTF8(t *testing.T) {
	r := accepted(t, 1)
	r.State, r.MessageID = events.StateFailed, "m\xff"
	r.Why = events.Why{Class: "permanent", ProviderCode: "\xc3\x28", ProviderText: "kh\xf4ng"}
	msgs, err := collector.Events(r, collector.History{}, fake{}, account())
	if err != nil {
		t.Fatal(err)
	}
	d := sortOut(t, msgs).deliveries[0]
	if d.ProviderMessageID != "m\ufffd" || d.ProviderCode != "\ufffd(" || d.ProviderText != "kh\ufffdng" {
		t.Errorf("%q, %q, %q", d.ProviderMessageID, d.ProviderCode, d.ProviderText)
	}
}

func TestEvents_DeadLetterFitsAnyServer(t *testing.T) {
	r := &ledger.Result{
		Seq: 7, Call: 1, Step: 1, Request: original(t, reportRequest("r-1")),
		Answer: &channels.Answer{Status: 200, Body: make([]byte, 1<<20)}, State: events.StateFailed, Dead: ledger.DeadAnswer,
	}
	r.Request.Data = make([]byte, 300<<10)
	msgs, _ := collector.Events(r, collector.History{}, fake{}, account())
	if n := len(msgs[len(msgs)-1].Data); n > 1<<20 {
		t.Errorf("dead letter of %d bytes", n)
	}
	if len(r.Answer.Body) != 1<<20 {
		t.Error("the result itself was cut")
	}
}
