package deadletter

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func unknown(d *ledger.DeadLetter) {
	d.Group, d.State, d.Why = ledger.DeadUnknown, events.StateUnknown, events.Why{Class: "ambiguous", Reason: "timeout"}
}

// told returns the events that collectors make of what RESULTS holds.
func (r *rig) told() (all []*events.Event) {
	r.Helper()
	err := broker.NewReader(r.JS).Replay(r.Context(), broker.Results, broker.ResultSubject(broker.Partition("fake", "shop", broker.DefaultPartitions), "fake", "shop"), 1,
		func(m *broker.Stored) error {
			res, err := ledger.DecodeResult(m.Data)
			if err != nil {
				return err
			}
			msgs, err := collector.Events(res, collector.History{}, nil, nil)
			for _, m := range msgs {
				e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
				if err != nil {
					return err
				}
				all = append(all, e)
			}
			return err
		})
	if err != nil {
		r.Fatal(err)
	}
	return all
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		sent  bool
		state events.State
		why   string
		proof events.Evidence
		other string
	}{
		{true, events.StateAccepted, "", events.Operator, "resolved as sent at "},
		{false, events.StateFailed, ReasonNotSent, "", "resolved as not_sent at "},
	} {
		t.Run(string(c.state), func(t *testing.T) {
			r := newRig(t)
			l := r.bury(send(1), unknown)
			if err := r.box.Resolve(t.Context(), l, c.sent); err != nil {
				t.Fatal(err)
			}
			all := r.told()
			if len(all) != 1 {
				t.Fatalf("%d events, want 1", len(all))
			}
			d := all[0].Delivery
			if d.State != c.state || !d.Final || d.Evidence != c.proof || d.Reason != c.why || d.RequestID != "order-1" || d.Recipient.Value == "" {
				t.Errorf("got %+v", d)
			}
			if left := r.letters(); left != nil {
				t.Errorf("letters left: %v", left)
			}
			// Whoever still looks at the letter cannot say otherwise, nor the
			// same a second time, nor publish it anew.
			r.forget()
			decided, ok := errors.AsType[*DecidedError](r.box.Resolve(t.Context(), l, !c.sent))
			if !ok || !strings.Contains(decided.Error(), c.other) {
				t.Errorf("the other answer: %v", decided)
			}
			if err := r.box.Resolve(t.Context(), l, c.sent); err != nil {
				t.Errorf("the same answer: %v", err)
			}
			if n := len(r.told()); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
			if _, err := r.JS.Publish(t.Context(), broker.DeadSubject("unknown", "fake", "shop"), r.encoded(l)); err != nil {
				t.Fatal(err)
			}
			told := r.redrive(r.job(func(j *Job) { j.Unknown = true }))
			for _, got := range told {
				if got.As != AsDecided || !strings.Contains(got.Why, c.other) {
					t.Errorf("a redrive after it: %+v", got)
				}
			}
			if len(told) != 1 || len(r.requests()) != 0 {
				t.Errorf("a redrive after it: %d told, %d published", len(told), len(r.requests()))
			}
		})
	}
}

// The process may have died between its decision and the result.
func TestResolveGoesOnAfterADeath(t *testing.T) {
	r := newRig(t)
	l := r.bury(send(1), unknown)
	if _, err := r.box.decide(t.Context(), l, Decision{Action: Sent, AtMS: time.Now().UnixMilli(), Run: "dead"}); err != nil {
		t.Fatal(err)
	}
	r.forget()
	if err := r.box.Resolve(t.Context(), l, true); err != nil {
		t.Fatal(err)
	}
	if n := len(r.told()); n != 1 || r.letters() != nil {
		t.Errorf("%d events, want 1; letters %v", n, r.letters())
	}
}

func TestResolveRefuses(t *testing.T) {
	r := newRig(t)
	if err := r.box.Resolve(t.Context(), r.bury(send(1), nil), true); !errors.Is(err, ErrNotUnknown) {
		t.Errorf("a refusal: %v", err)
	}
	l := r.bury(send(2), unknown)
	r.redrive(r.job(func(j *Job) { j.Unknown = true; j.Filter.IDs = []uint64{l.ID} }))
	if err := r.box.Resolve(t.Context(), l, true); err == nil || !strings.Contains(err.Error(), "was redriven at ") {
		t.Errorf("after a redrive: %v", err)
	}
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestDrop(t *testing.T) {
	r := newRig(t)
	r.box.abandoned = time.Hour
	a, b, c := r.bury(send(1), nil), r.bury(send(2), nil), r.bury(send(3), nil)
	if _, err := r.box.decide(t.Context(), b, Decision{Action: Redriven, AtMS: time.Now().UnixMilli(), Run: "alive", NewID: newID(b)}); err != nil {
		t.Fatal(err)
	}
	kept, err := r.box.Drop(t.Context(), a, b, c)
	if err != nil || len(kept) != 1 || kept[0].Letter != b.ID {
		t.Errorf("kept %v, %v", kept, err)
	}
	if left := r.letters(); len(left) != 1 || left[0] != b.ID {
		t.Errorf("letters left: %v", left)
	}
	if _, err := r.box.Drop(t.Context(), a); err != nil {
		t.Errorf("a letter that is gone: %v", err)
	}
}
