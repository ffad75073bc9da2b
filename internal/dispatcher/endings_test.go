package dispatcher

import (
	"log/slog"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// What an earlier call may have carried out nobody may say was never called.
func TestWhatMayHaveBeenSentDoesNotEndAsNeverCalled(t *testing.T) {
	soon := func(s *events.Send) {
		s.OnAmbiguous, s.ExpiresAtMS = events.Resend, time.Now().Add(1500*time.Millisecond).UnixMilli()
	}
	t.Run("no answer", func(t *testing.T) {
		r := newRig(t)
		r.desk.answer = func(int, call) (int, channels.Verdict) {
			return 200, channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"}
		}
		r.start(func(c *Config) { calm(c); c.Retry = RetryPolicy{Base: 4 * time.Second, MaxAttempts: 3} })
		end := r.ends(r.send("shop", events.Urgent, "otp", soon))[0]
		if end.State != events.StateUnknown || len(r.desk.made()) != 1 {
			t.Errorf("ended as %s (%s: %s) after %d calls, want unknown", end.State, end.Why.Reason, end.Why.Detail, len(r.desk.made()))
		}
	})
	t.Run("its dispatcher died", func(t *testing.T) {
		r := newRig(t)
		hold := make(chan struct{})
		r.desk.hold = hold
		var seq uint64
		defer r.cutOff(nil, func() bool { return len(r.desk.made()) == 1 }, func() {
			seq = r.send("shop", events.Urgent, "otp", soon)
		})()
		defer close(hold)
		r.desk.mu.Lock()
		r.desk.hold = nil
		r.desk.mu.Unlock()
		r.start(nil)
		end := r.ends(seq)[0]
		if end.State != events.StateUnknown {
			t.Errorf("ended as %s (%s: %s) after %d calls, want unknown", end.State, end.Why.Reason, end.Why.Detail, len(r.desk.made()))
		}
	})
	t.Run("its account is no more", func(t *testing.T) {
		r := newRig(t)
		r.desk.answer = func(int, call) (int, channels.Verdict) {
			return 200, channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"}
		}
		d := r.dispatcher(r.b.Conn, func(c *Config) { calm(c); c.Retry = RetryPolicy{Base: 3 * time.Second, MaxAttempts: 3} })
		r.run(d)
		seq := r.send("shop", events.Urgent, "otp", func(s *events.Send) { s.OnAmbiguous = events.Resend })
		r.eventually(func() string {
			if len(r.results()[seq]) == 0 {
				return "not called"
			}
			return ""
		})
		if err := d.Update(t.Context(), []*Account{d.cfg.Accounts[1]}, nil); err != nil {
			t.Fatal(err)
		}
		end := r.ends(seq)[0]
		if end.State != events.StateUnknown {
			t.Errorf("ended as %s (%s: %s) after %d calls, want unknown", end.State, end.Why.Reason, end.Why.Detail, len(r.desk.made()))
		}
	})
}

// An acknowledgement may be lost with its connection: the result of a page is stored,
// and stands there already when it is stored again.
func TestAPageWhoseResultIsStoredTwiceIsCountedOnce(t *testing.T) {
	r := newRig(t)
	results := r.resultStore()
	part := broker.Partition("fake", "shop", r.partitions)
	seqs := make(chan uint64, 1)
	var seq uint64
	r.desk.answer = func(_ int, c call) (int, channels.Verdict) {
		next := map[string]string{"page 1": "2", "page 2": "3", "page 3": ""}[c.body]
		if c.body == "page 1" { // what the dispatcher stores in a moment
			seq = <-seqs
			m, err := r.read.Get(t.Context(), broker.Requests, seq)
			if err != nil {
				t.Error(err)
				return 500, channels.Verdict{}
			}
			e := newEntry(m, 1)
			e.calls, e.attempts, e.stats, e.records = 1, 1, 2, 1
			res := e.result(time.Now())
			res.Next, res.Parse = next, true
			if _, err := results.put(t.Context(), broker.ResultSubject(part, "fake", "shop"), res, func() bool { return true }); err != nil {
				t.Error(err)
			}
		}
		return 200, channels.Verdict{Class: channels.OK, Next: next}
	}
	r.start(calm)
	s := r.report("three", func(rep *events.Report) { rep.Page.MaxPages = 3 })
	seqs <- s
	if e := r.ends(s)[0]; e.State != events.StateDone || e.Step != 3 || e.Stats != 6 {
		t.Errorf("got %s at step %d, %d stats, %d calls, want three pages", e.State, e.Step, e.Stats, len(r.desk.made()))
	}
}

func (r *rig) resultStore() *resultStore {
	r.t.Helper()
	results := newResultStore(&Config{JS: r.b.JS, Log: slog.New(slog.DiscardHandler), DedupWindow: time.Minute}, r.read, newCrew(0, nil))
	pub, err := broker.NewPublisher(r.b.JS.Conn(), broker.AckWait)
	if err != nil {
		r.t.Fatal(err)
	}
	results.pub = pub
	r.t.Cleanup(pub.Close)
	return results
}
