package dispatcher

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// The dispatcher that answered dies before anything else is stored. The next one
// must not call what was taken back, and answers no cancel twice: not even when
// the void that was stored last is that of an older cancel, which an owner in
// between has worked again.
func TestWhatWasTakenBackStaysSo(t *testing.T) {
	r := newRig(t)
	stop := r.start(calm)
	r.pause("shop")
	stop()
	var seqs, cancels []uint64
	defer r.cutOff(nil, func() bool {
		all := r.results()
		return len(cancels) == 10 && !slices.ContainsFunc(cancels, func(seq uint64) bool { return len(final(all[seq])) == 0 })
	}, func() {
		for i := range 20 {
			seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("s", i), nil))
			if i < 10 {
				cancels = append(cancels, r.cancel("shop", fmt.Sprint("s", i)))
			}
		}
	})()
	r.void("shop", "s0", cancels[0])
	r.control("shop", false, "An", "")
	r.start(calm)
	for _, seq := range cancels {
		r.one(seq, events.StateDone, ReasonTakenBack)
	}
	for i, seq := range seqs {
		if i < 10 {
			r.one(seq, events.StateCancelled, ReasonTakenBack)
		} else {
			r.one(seq, events.StateAccepted, "")
		}
	}
}

// An owner died when it had stored the void and not the answer. The request must
// not end before the cancel is answered, or the answer would be wrong.
func TestACancelIsWorkedAgain(t *testing.T) {
	r := newRig(t)
	send := r.send("shop", events.Normal, "v1", nil)
	after := r.send("shop", events.Normal, "v2", nil)
	cancel := r.cancel("shop", "v1")
	r.void("shop", "v1", cancel)
	r.start(calm)
	r.one(cancel, events.StateDone, ReasonTakenBack)
	r.one(send, events.StateCancelled, ReasonTakenBack)
	r.one(after, events.StateAccepted, "")
}

// An owner dies in the middle of calls. Its successor answers the cancels of what
// it had begun before it meets those requests itself: what may have been called
// is not taken back.
func TestCancelOfWhatAnOwnerBeforeHasCalled(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	var seqs []uint64
	defer r.cutOff(nil, func() bool { return len(r.desk.made()) >= startConcurrency }, func() {
		for i := range 20 {
			seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("k", i), nil))
		}
	})()
	defer close(hold)
	called := len(r.desk.made())
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()
	r.control("shop", true, "An", "a test") // so that the cancels come before the rest is called
	var cancels []uint64
	for i := range seqs {
		cancels = append(cancels, r.cancel("shop", fmt.Sprint("k", i)))
	}
	r.start(nil)
	r.eventually(func() string {
		all, answered := r.results(), 0
		for _, seq := range cancels {
			answered += len(final(all[seq]))
		}
		if want := len(cancels) - called; answered < want {
			return fmt.Sprintf("%d cancels are answered, want %d", answered, want)
		}
		return ""
	})
	r.control("shop", false, "An", "")
	late := 0
	for i, seq := range cancels {
		switch said := r.ends(seq)[0]; said.State {
		case events.StateFailed:
			late++
			r.one(seqs[i], events.StateUnknown, ReasonWorkerDied)
		case events.StateDone:
			r.one(seqs[i], events.StateCancelled, ReasonTakenBack)
		default:
			t.Errorf("cancel %d is answered with %s", i, said.State)
		}
	}
	if late != called {
		t.Errorf("%d cancels came too late, want one for each of the %d calls", late, called)
	}
}

// An owner dies when it has stored that a request is about to end as taken back.
// That was no call, so there is no doubt.
func TestWhatWasAboutToEndAsTakenBackDoes(t *testing.T) {
	r := newRig(t)
	taken, called := r.send("shop", events.Normal, "taken", nil), r.send("shop", events.Normal, "called", nil)
	data, err := ledger.EncodeIntents(&ledger.IntentGroup{Owner: "dead", Calls: []ledger.Intent{{Seq: taken, Call: 1, Void: true}, {Seq: called, Call: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.b.JS.Publish(t.Context(), broker.IntentSubject(broker.Partition("fake", "shop", r.partitions)), data); err != nil {
		t.Fatal(err)
	}
	r.control("shop", true, "An", "a test") // so that the cancels come first, as they did
	first, second := r.cancel("shop", "taken"), r.cancel("shop", "called")
	r.start(nil)
	r.one(first, events.StateDone, ReasonTakenBack)
	r.control("shop", false, "An", "")
	r.one(second, events.StateFailed, ReasonTooLate)
	if end := r.one(taken, events.StateCancelled, ReasonTakenBack); end.Call != 1 {
		t.Errorf("it ended with call %d, want the one that its intent has", end.Call)
	}
	r.one(called, events.StateUnknown, ReasonWorkerDied)
}

// It is called by nobody, so it stands behind nobody of its order key.
func TestWhatWasTakenBackEndsThoughItFollowsAnother(t *testing.T) {
	r := newRig(t)
	keyed := func(s *events.Send) { s.OrderKey = "k" }
	before := r.send("shop", events.Normal, "before", keyed)
	taken := r.send("shop", events.Normal, "taken", keyed)
	cancel := r.cancel("shop", "taken")
	r.void("shop", "taken", cancel)
	n := broker.Partition("fake", "shop", r.partitions)
	m := laneMark{Provider: "fake", Account: "shop", Open: []entryMark{{Seq: before, Class: 1}, {Seq: taken, Class: 1, Void: cancel}}}
	m.Queues[1] = queueMark{Taken: taken, Known: taken}
	ck := &checkpoint{Feed: cancel, Lanes: []laneMark{m}}
	marks := &checkpoints{js: r.b.JS, reader: r.read, n: n}
	if _, err := marks.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := marks.write(t.Context(), ck); err != nil {
		t.Fatal(err)
	}
	r.control("shop", true, "an", "their office moves")
	r.start(calm)
	r.ends(taken)
}
