package dispatcher

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// A crash is often followed by a second change of owner within seconds: the
// process starts again and gets its share back. What the first successor has
// learned from the logs, and not acted on yet, the second must know, too.

func TestADoubtOutlivesASecondTakeOver(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	stopDead := r.cutOff(nil, func() bool { return len(r.desk.made()) > 0 }, func() { r.send("shop", events.Normal, "1", nil) })
	defer stopDead()
	defer close(hold)
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()

	stop := r.takenOver("shop", nil)
	stop()
	r.start(nil)
	if got := r.ends(1)[0]; got.State != events.StateUnknown || got.Why.Reason != ReasonWorkerDied {
		t.Errorf("ended as %s (%s), want unknown", got.State, got.Why.Reason)
	}
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %s", twice)
	}
}

func TestWhatHasEndedOutlivesASecondTakeOver(t *testing.T) {
	r := newRig(t)
	slowly := func(c *Config) {
		c.Accounts[2].Limits = ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(1)}}
	}
	ended := func() bool { return len(final(r.results()[1])) > 0 }
	defer r.cutOff(slowly, ended, func() {
		for i := range 2 {
			r.send("slow", events.Normal, fmt.Sprint(i), nil)
		}
	})()

	stop := r.takenOver("slow", slowly) // and before its limiter lets anything pass
	stop()
	r.start(slowly)
	r.ends(1, 2)
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %s", twice)
	}
}

// cutOff starts a dispatcher, has work published and cuts it off from the
// broker once it has come so far. It goes on by itself until stop is called.
func (r *rig) cutOff(change func(*Config), far func() bool, publish func()) (stop func()) {
	r.t.Helper()
	lost := r.b.Connect()
	d := r.dispatcher(lost, func(c *Config) {
		if change != nil {
			change(c)
		}
		c.Grace = time.Millisecond // nothing that it still stores arrives
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	publish()
	r.eventually(5*time.Second, func() string {
		if far() {
			return ""
		}
		return "the dispatcher has not come so far"
	})
	lost.Close()
	return func() {
		cancel()
		<-done // with whatever error: its connection is gone
	}
}

// takenOver starts a dispatcher and returns when it has opened the partition of
// the account.
func (r *rig) takenOver(account string, change func(*Config)) (stop func()) {
	r.t.Helper()
	d := r.dispatcher(r.b.Conn, change)
	stop = r.run(d)
	n := broker.Partition("fake", account, r.partitions)
	r.eventually(10*time.Second, func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.opened[n] != nil {
			return ""
		}
		return "the partition is not taken over"
	})
	return stop
}
