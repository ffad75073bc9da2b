package dispatcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// More dispatchers are wanted for what waits for nothing else, and for nothing
// that an account or its provider holds back.
func TestRunnable(t *testing.T) {
	r := newRig(t)
	r.desk.hold = make(chan struct{})
	defer close(r.desk.hold)
	d := r.dispatcher(r.b.Conn, func(c *Config) {
		c.MaxInFlight, c.CallTimeout = 1, time.Minute
		c.Accounts[2].Limits = ratelimit.Limits{Windows: []ratelimit.Window{{Limit: 1, Per: time.Hour}}}
	})
	r.run(d)
	stands := func(account string, want func(ledger.Lane) bool) {
		t.Helper()
		r.eventually(func() string {
			for _, s := range d.Lanes() {
				if s.Account == account && want(s) {
					return ""
				}
			}
			return fmt.Sprintf("%s does not stand as it should: %+v", account, d.Lanes())
		})
	}
	r.eventually(func() string { // of what has come before, a lane reads only when there is a place
		if n := len(d.partitions()); n < r.partitions {
			return fmt.Sprintf("%d partitions are taken over", n)
		}
		return ""
	})
	r.send("shop", events.Normal, "shop", nil) // keeps the only place
	stands("shop", func(s ledger.Lane) bool { return s.InFlight == 1 })
	begun := time.Now()
	for i := range 5 {
		r.send("bank", events.Normal, fmt.Sprint("bank-", i), nil)
	}
	stands("bank", func(s ledger.Lane) bool {
		age := begun.Sub(time.UnixMilli(s.OldestMS[1])).Abs()
		return s.Queued[1] == 5 && s.Runnable == 2 && age < time.Minute // as many as its concurrency lets begin
	})
	for i := range 5 {
		r.send("slow", events.Bulk, fmt.Sprint("slow-", i), nil)
	}
	stands("slow", func(s ledger.Lane) bool { return s.Queued[2] == 5 && s.Runnable == 0 }) // its limiter begins with nothing
	r.pause("bank")
	stands("bank", func(s ledger.Lane) bool { return s.Queued[1] == 5 && s.Runnable == 0 })

	f := d.Figures()
	if f.Partitions != r.partitions || f.Outages["intents"] || len(f.Outages) != 4 {
		t.Errorf("got %+v", f)
	}
	if !f.ClockKnown || f.ClockAhead.Abs() > 10*time.Second { // it is the same clock
		t.Errorf("the clock is %s ahead, known: %v", f.ClockAhead, f.ClockKnown)
	}
}

func TestClockAhead(t *testing.T) {
	now := time.Now()
	for want, c := range map[time.Duration]clock{
		0:                readClock(now, now.Add(-time.Second), now.Add(time.Second)),
		2 * time.Second:  readClock(now.Add(-2*time.Second), now, now),
		-2 * time.Second: readClock(now.Add(2*time.Second), now, now),
	} {
		if got := c.ahead(now.Add(time.Minute)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	c := readClock(now, now, now)
	if got := c.ahead(now.Round(0).Add(time.Hour)); got != 0 { // without a monotonic reading nothing is known to be set
		t.Errorf("got %s, want 0", got)
	}
}
