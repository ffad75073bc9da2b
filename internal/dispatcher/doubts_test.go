package dispatcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// What is in doubt is told also where no call may start.
func TestDoubtIsSettledWhileTheAccountIsPaused(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	var send, report uint64
	defer r.cutOff(nil, func() bool { return len(r.desk.made()) == 2 }, func() {
		send, report = r.send("shop", events.Normal, "doubt", nil), r.report("read", nil)
	})()
	defer close(hold)
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 401, channels.Verdict{Class: channels.Auth, Reason: "credential"}
	}
	r.desk.mu.Unlock()
	r.start(nil)
	pausing := r.send("shop", events.Urgent, "pauses", nil)
	r.eventually(func() string {
		if len(r.results()[pausing]) == 0 {
			return "the account is not paused"
		}
		return ""
	})
	if got := r.ends(send)[0]; got.State != events.StateUnknown || got.Why.Reason != ReasonWorkerDied {
		t.Errorf("got %s (%s), want unknown", got.State, got.Why.Reason)
	}
	if n := len(final(r.results()[report])); n != 0 {
		t.Error("the report, which may be repeated, has ended")
	}
}

// Nor does it wait in a queue of which nothing may begin.
func TestDoubtIsSettledThoughNothingMayBegin(t *testing.T) {
	for name, hold := range map[string]func(*rig) func(*Config){
		"paused": func(r *rig) func(*Config) {
			r.control("shop", true, "an", "their office moves")
			return nil
		},
		"quiet hours": func(*rig) func(*Config) {
			return func(c *Config) { c.Accounts[0].Quiet = quietFor(2 * time.Hour) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			answer := make(chan struct{})
			r.desk.hold = answer
			var doubts []uint64
			var held uint64
			defer r.cutOff(nil, func() bool { return len(r.desk.made()) == 2 }, func() {
				for i := range 2 {
					doubts = append(doubts, r.send("shop", events.Bulk, fmt.Sprint("doubt", i), nil))
				}
			})()
			defer close(answer)
			r.desk.mu.Lock()
			r.desk.hold = nil
			r.desk.mu.Unlock()
			held = r.send("shop", events.Bulk, "held", nil)

			r.start(hold(r))
			for _, got := range r.ends(doubts...) {
				if got.State != events.StateUnknown || got.Why.Reason != ReasonWorkerDied {
					t.Errorf("got %s (%s), want unknown", got.State, got.Why.Reason)
				}
			}
			if len(r.results()[held]) != 0 || len(r.desk.made()) != 2 {
				t.Errorf("the desk has been called for %v, want nothing after the two in doubt", r.desk.made())
			}
		})
	}
}

// It takes no call, so it stands behind nothing that waits for one.
func TestDoubtThatIsDueDoesNotWaitForItsTurn(t *testing.T) {
	for _, pause := range []bool{false, true} {
		t.Run(fmt.Sprint("paused=", pause), func(t *testing.T) {
			r := newRig(t)
			slowly := func(c *Config) {
				c.Accounts[0].Limits = ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(4)}}
				c.Grace = time.Second
			}
			hold := make(chan struct{})
			r.desk.hold = hold
			var doubt uint64
			defer r.cutOff(slowly, func() bool { return len(r.desk.made()) == 1 }, func() {
				doubt = r.send("shop", events.Bulk, "doubt", nil)
			})()
			defer close(hold)
			r.desk.mu.Lock()
			r.desk.hold = nil
			r.desk.mu.Unlock()
			for i := range 200 {
				r.send("shop", events.Urgent, fmt.Sprint("urgent", i), nil)
			}
			r.start(slowly)
			due := time.Now().Add(4 * time.Second) // the call's time, and a second
			r.eventually(func() string {
				if time.Now().Before(due) || r.callsFor("urgent") < 8 {
					return "not so far"
				}
				return ""
			})
			if pause {
				r.pause("shop")
			}
			r.ends(doubt)
			if n := r.callsFor("urgent"); n > 100 {
				t.Errorf("what was in doubt stood behind %d urgent requests", n)
			}
		})
	}
}

// An owner may have ended many requests since its last checkpoint.
func TestDoubtBehindWhatHasEndedIsSettledThoughNothingMayBegin(t *testing.T) {
	r := newRig(t)
	const n = queueItems + 36
	results := r.resultStore()
	part := broker.Partition("fake", "shop", r.partitions)
	var seqs []uint64
	var calls []ledger.Intent
	for i := range n {
		seq := r.send("shop", events.Normal, fmt.Sprint("s", i), nil)
		seqs, calls = append(seqs, seq), append(calls, ledger.Intent{Seq: seq, Call: 1})
	}
	data, err := ledger.EncodeIntents(&ledger.IntentGroup{Owner: "dead", Calls: calls})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.b.JS.Publish(t.Context(), broker.IntentSubject(part), data); err != nil {
		t.Fatal(err)
	}
	for _, seq := range seqs[:n-1] { // all but the last have their answers
		m, err := r.read.Get(t.Context(), broker.Requests, seq)
		if err != nil {
			t.Fatal(err)
		}
		e := newEntry(m, 1)
		e.calls, e.attempts = 1, 1
		res := e.result(time.Now())
		res.State = events.StateAccepted
		if _, err := results.put(t.Context(), broker.ResultSubject(part, "fake", "shop"), res, func() bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	r.control("shop", true, "an", "their office moves")
	r.start(nil)
	r.ends(seqs[n-1])
}

// Of an order key the one that was called goes first, wherever it stands.
func TestDoubtIsSettledThoughAnotherOfItsKeyIsBefore(t *testing.T) {
	r := newRig(t)
	first, hold := make(chan struct{}), make(chan struct{})
	r.desk.hold = first
	keyed := func(s *events.Send) { s.OrderKey = "k" }
	var doubt uint64
	var begun time.Time
	step := 0
	defer r.cutOff(calm, func() bool {
		switch step {
		case 0: // all calls that may be under way are
			if len(r.desk.made()) == startConcurrency {
				r.send("shop", events.Normal, "before", keyed)
				doubt = r.send("shop", events.Urgent, "doubt", keyed)
				begun, step = time.Now(), 1
			}
		case 1: // both of the key wait in the lane: the urgent one goes first
			if time.Since(begun) > time.Second {
				r.desk.mu.Lock()
				r.desk.hold = hold
				r.desk.mu.Unlock()
				close(first)
				step = 2
			}
		case 2:
			if r.called("doubt") {
				begun, step = time.Now(), 3
			}
		case 3: // with a checkpoint that has both
			return time.Since(begun) > 3*checkpointEvery
		}
		return false
	}, func() {
		for i := range startConcurrency {
			r.send("shop", events.Urgent, fmt.Sprint("other", i), nil)
		}
	})()
	defer close(hold)
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()
	if r.called("before") {
		t.Fatalf("called: %v", r.desk.made())
	}
	r.control("shop", true, "an", "their office moves")
	r.start(nil)
	r.ends(doubt)
}
