package dispatcher

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestABlockedAccountDelaysNobodyAndLosesNothing(t *testing.T) {
	r := newRig(t)
	r.desk.hold = make(chan struct{})
	r.start(func(c *Config) {
		c.CallTimeout = 20 * time.Second
		c.Accounts[0].Concurrency = 2
	})
	// Far more than the queue holds: the lane falls behind and reads on later.
	const backlog = 10 * queueItems
	var shop []uint64
	for i := range backlog {
		shop = append(shop, r.send("shop", events.Bulk, fmt.Sprint("x", i), nil))
	}
	urgent := r.send("shop", events.Urgent, "urgent", nil)
	r.eventually(func() string {
		if n := len(r.desk.made()); n != 2 {
			return fmt.Sprintf("%d calls under way, want 2", n)
		}
		return ""
	})
	hold := r.desk.hold
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()
	r.ends(r.send("bank", events.Bulk, "bank", nil)) // while the other is blocked
	close(hold)
	r.ends(append(shop, urgent)...)
	if again := r.desk.twice(); again != nil {
		t.Errorf("called twice: %v", again)
	}
	calls := r.desk.made()
	i := slices.IndexFunc(calls, func(c call) bool { return strings.HasPrefix(c.body, "09urgent ") })
	if i > 6 { // two under way, the bank's, and what had been picked
		t.Errorf("the urgent send was call number %d", i+1)
	}
}

func TestTheFeedJumpsOverABurst(t *testing.T) {
	r := newRigOf(t, 1)
	stop := r.start(nil)
	var seqs []uint64
	for i := range 30 { // history that a lane must not read again
		seqs = append(seqs, r.send("shop", events.Bulk, fmt.Sprint("old", i), nil))
	}
	r.ends(seqs...)
	stop()
	for i := range 500 {
		seqs = append(seqs, r.send("shop", events.Bulk, fmt.Sprint("new", i), nil))
	}
	r.desk.hold = make(chan struct{})
	d := r.dispatcher(r.b.Conn, nil)
	d.intake.jumpLag = 20
	r.run(d)
	r.eventually(func() string {
		if len(r.desk.made()) < 30+startConcurrency {
			return "the burst has not begun"
		}
		return ""
	})
	bank := r.send("bank", events.Normal, "bank", nil)
	r.eventually(func() string {
		if !slices.ContainsFunc(r.desk.made(), func(c call) bool { return c.account == "bank" }) {
			return "the burst of another account holds this one up"
		}
		return ""
	})
	close(r.desk.hold)
	for _, got := range r.ends(append(seqs, bank)...) {
		if got.State != events.StateAccepted {
			t.Errorf("request %d: %s (%s)", got.Seq, got.State, got.Why.Reason)
		}
	}
	if again := r.desk.twice(); again != nil {
		t.Errorf("called twice: %v", again)
	}
}

func TestSendsWithOneOrderKeyGoOutInOrder(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(n int, c call) (int, channels.Verdict) {
		if n == 1 && strings.HasSuffix(c.body, "0 xin chào") { // every tenth fails at first
			return 503, channels.Verdict{Class: channels.Retry, Reason: "unavailable"}
		}
		return 200, channels.Verdict{Class: channels.OK}
	}
	stop := r.start(nil)
	var seqs []uint64
	for i := range 120 {
		key := fmt.Sprint("customer ", i%3)
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprintf("%03d", i), func(s *events.Send) { s.OrderKey = key }))
		if i == 60 {
			stop() // what waits for its turn keeps it
			stop = r.start(nil)
		}
	}
	r.ends(seqs...)
	done := map[int]string{} // by key, the newest that went out
	for _, c := range r.desk.made() {
		var i int
		if _, err := fmt.Sscanf(c.body, "09%d", &i); err != nil {
			t.Fatal(err)
		}
		if c.body < done[i%3] {
			t.Errorf("%s went out after %s", c.body, done[i%3])
		}
		done[i%3] = c.body
	}
}

// Requests of an account that cannot be called end before they would leave the
// stream, those that were read and those that were not.
func TestRequestsThatGetTooOldEndAsExpired(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 401, channels.Verdict{Class: channels.Auth, Reason: "credential"}
	}
	r.start(func(c *Config) {
		c.MaxAge = 2 * time.Second
		c.Accounts[0].Concurrency = 1
	})
	var seqs []uint64
	for i := range 3 * queueItems {
		seqs = append(seqs, r.send("shop", events.Bulk, fmt.Sprint("old", i), nil))
	}
	for _, got := range r.ends(seqs...) {
		if got.State != events.StateExpired || got.Why.Reason != ReasonTooOld {
			t.Errorf("request %d: %s (%s)", got.Seq, got.State, got.Why.Reason)
		}
	}
	if n := len(r.desk.made()); n != 1 {
		t.Errorf("%d calls, want the one that was refused", n)
	}
}

func TestALaneHasMoreCallsUnderWayWhileThatHelps(t *testing.T) {
	r := newRig(t)
	var now, most atomic.Int64
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(30 * time.Millisecond)
		return 200, channels.Verdict{Class: channels.OK, Evidence: events.Strong}
	}
	r.start(func(c *Config) { c.Accounts[0].Concurrency = 8 })
	var seqs []uint64
	for i := range 100 {
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("w", i), nil))
	}
	r.ends(seqs...)
	if n := most.Load(); n <= startConcurrency {
		t.Errorf("%d calls at once at most, want more than %d", n, startConcurrency)
	}
}

// Thousands of idle accounts must not be looked at every second.
func TestLanesThatHaveNothingToDoAreLeftAlone(t *testing.T) {
	r := newRig(t)
	d := r.dispatcher(r.b.Conn, nil)
	r.run(d)
	awake := func() (n int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, p := range d.opened {
			n += len(p.awake())
		}
		return n
	}
	for i := range 2 {
		r.ends(r.send("shop", events.Normal, fmt.Sprint("once", i), nil))
		r.eventually(func() string {
			if n := awake(); n > 0 {
				return fmt.Sprintf("%d lanes awake after all has ended", n)
			}
			return ""
		})
	}
	r.eventually(func() string {
		d.mu.Lock()
		p := d.opened[broker.Partition("fake", "shop", r.partitions)]
		d.mu.Unlock()
		if p == nil {
			return "the partition has no owner"
		}
		p.heed(laneKey{provider: "fake", account: "shop"}, &control{Control: ledger.Control{Paused: true}, revision: 1})
		if n := awake(); n != 1 {
			return fmt.Sprintf("%d lanes awake after an operator has paused one, want 1", n)
		}
		return ""
	})
}
