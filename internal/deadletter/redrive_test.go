package deadletter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func TestRedrive(t *testing.T) {
	r := newRig(t)
	ahead := time.Now().Add(time.Hour).UnixMilli()
	plain := r.bury(send(1), nil)
	expired, later := send(2), send(3)
	expired.Send.ExpiresAtMS, later.Send.ExpiresAtMS = 1_700_000_000_000, ahead
	again := send(4)
	again.ID, again.AncestorID = "redrive-1", "order-4"
	letters := []*Letter{plain, r.bury(expired, nil), r.bury(later, nil), r.bury(again, nil), r.bury(report(5), func(d *ledger.DeadLetter) { d.Group = ledger.DeadAnswer })}

	j := r.job(nil)
	r.bury(send(6), nil) // none of the job's
	plan, err := r.box.Plan(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Letters != 5 || plan.Requests != 5 || plan.Recipients != 4 || plan.Accounts != 1 || plan.Lifted != 1 || plan.Kinds[events.KindReport] != 1 {
		t.Errorf("plan %+v", plan)
	}
	if n := len(r.requests()); n != 0 {
		t.Fatalf("a plan has published %d requests", n)
	}
	told := r.redrive(j)
	published := r.requests()
	if len(told) != 5 || len(published) != 5 {
		t.Fatalf("%d told, %d published, want 5", len(told), len(published))
	}
	for i, want := range []struct {
		ancestor string
		expires  int64
	}{{"order-1", 0}, {"order-2", 0}, {"order-3", ahead}, {"order-4", 0}, {"report-5", 0}} {
		l := letters[i]
		got := published[told[l.ID].NewID]
		if got == nil || told[l.ID].As != AsRedriven {
			t.Fatalf("letter %d: told %+v", i, told[l.ID])
		}
		if got.AncestorID != want.ancestor || got.Source != l.Event.Source || got.Class != events.Bulk || got.Timing().ExpiresAtMS != want.expires ||
			got.Context().CorrelationID != l.Event.Context().CorrelationID || got.Traceparent != l.Event.Traceparent {
			t.Errorf("letter %d is redriven as %+v %+v", i, got, got.Timing())
		}
	}
	if left := r.letters(); !slices.Equal(left, []uint64{6}) {
		t.Errorf("letters left: %v, want [6]", left)
	}
	if _, err := r.box.Job(t.Context(), j.ID); !errors.Is(err, ErrNoJob) {
		t.Errorf("the job is still there: %v", err)
	}
}

func TestRedriveRefuses(t *testing.T) {
	r := newRig(t)
	elsewhere := send(5)
	elsewhere.Account = "nobody"
	wrong := send(6)
	wrong.Send.Content = events.Content{Kind: events.ContentBlock, BlockName: "b"}
	for name, c := range map[string]struct {
		req    *events.Request
		change func(*ledger.DeadLetter)
		says   string
	}{
		"malformed":                        {send(1), func(d *ledger.DeadLetter) { d.Group, d.Request.Data = ledger.DeadEvent, []byte{0xc1} }, "its event is malformed"},
		"unknown":                          {send(2), func(d *ledger.DeadLetter) { d.Group = ledger.DeadUnknown }, "tram dead resolve"},
		"accepted, its delivery too large": {send(3), func(d *ledger.DeadLetter) { d.Group, d.State = ledger.DeadAnswer, events.StateAccepted }, "it was carried out"},
		"an account that does not exist":   {elsewhere, func(d *ledger.DeadLetter) { d.Group = ledger.DeadEvent }, "it would be refused again: invalid"},
		"what the account does not take":   {wrong, func(d *ledger.DeadLetter) { d.Group = ledger.DeadEvent }, "it would be refused again: invalid send: content.kind"},
	} {
		t.Run(name, func(t *testing.T) {
			l := r.bury(c.req, c.change)
			j := r.job(func(j *Job) { j.Filter.IDs = []uint64{l.ID} })
			plan, err := r.box.Plan(t.Context(), j)
			if err != nil || plan.Requests != 0 || len(plan.Refused) != 1 {
				t.Errorf("plan %+v, %v", plan, err)
			}
			if told := r.redrive(j)[l.ID]; told.As != AsRefused || !strings.Contains(told.Why, c.says) {
				t.Errorf("told %+v, want refused with %q", told, c.says)
			}
			if _, err := r.box.Get(t.Context(), l.ID); err != nil {
				t.Errorf("the letter: %v", err)
			}
		})
	}
	if n := len(r.requests()); n != 0 {
		t.Errorf("%d requests were published", n)
	}
}

// A configuration that has changed is what makes some letters good.
func TestRedriveHeedsAChangedConfiguration(t *testing.T) {
	r := newRig(t)
	req := send(1)
	req.Account = "new"
	l := r.bury(req, func(d *ledger.DeadLetter) { d.Group, d.Why.Reason = ledger.DeadEvent, "unknown_account" })
	if told := r.redrive(r.job(nil))[l.ID]; told.As != AsRefused {
		t.Fatalf("told %+v", told)
	}
	err := events.PutContract(t.Context(), r.JS, events.Contract{
		Provider: "fake", Account: "new", Sends: []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if told := r.redrive(r.job(nil))[l.ID]; told.As != AsRedriven {
		t.Errorf("told %+v", told)
	}
}

// What is decided is not published by a run that has stood still since: somebody
// else may have done so.
func TestRedriveThatStoodStillPublishesNothing(t *testing.T) {
	r := newRig(t)
	l := r.bury(send(1), nil)
	j := r.job(nil)
	still := r.begin(j)
	defer still.pub.Close()
	if err := still.step(t.Context(), t.Context(), []*Letter{l}); err != nil {
		t.Fatal(err)
	}
	r.flush()
	r.redrive(j)
	r.forget()
	still.since = still.since.Add(-publishWithin)
	if err := still.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := still.takeOverAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(r.requests()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// A replay of results may have made a second letter of a request, of which the
// run knows nothing when it comes to the first.
func TestRedriveOfTwoLettersOfOneRequest(t *testing.T) {
	r := newRig(t)
	l := r.bury(send(1), nil)
	again := func() *Letter {
		ack, err := r.JS.Publish(t.Context(), broker.DeadSubject("refused", "fake", "shop"), r.encoded(l))
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.box.Get(t.Context(), ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	second, third := again(), again()
	run := r.begin(r.job(nil))
	defer run.pub.Close()
	for _, group := range [][]*Letter{{l, second}, {}, {}} {
		if err := run.step(t.Context(), t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
	r.forget()
	if err := run.step(t.Context(), t.Context(), []*Letter{third}); err != nil {
		t.Fatal(err)
	}
	if err := run.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := run.takeOverAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(r.requests()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
	if left := r.letters(); left != nil {
		t.Errorf("letters left: %v", left)
	}
}

func (r *rig) encoded(l *Letter) []byte {
	r.Helper()
	data, err := ledger.EncodeDeadLetter(&l.DeadLetter)
	if err != nil {
		r.Fatal(err)
	}
	return data
}

// When REQUESTS itself no longer tells, nothing is risked.
func TestRedriveDoesNotGuess(t *testing.T) {
	r := newRig(t)
	l := r.bury(send(1), nil)
	long := time.Now().Add(-100 * time.Hour)
	if _, err := r.box.decide(t.Context(), l, Decision{Action: Redriven, AtMS: long.UnixMilli(), Run: "dead", NewID: newID(l), Class: events.Bulk}); err != nil {
		t.Fatal(err)
	}
	if told := r.redrive(r.job(nil))[l.ID]; told.As != AsRefused || told.Why != whyForgotten {
		t.Errorf("told %+v", told)
	}
	if n := len(r.requests()); n != 0 {
		t.Errorf("%d requests were published", n)
	}
}
