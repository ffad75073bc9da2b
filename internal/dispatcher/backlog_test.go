package dispatcher

import (
	"context"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// A lane that waits for a sweep is looked at when it may read beside it, though it
// was to be looked at before that for something else.
func TestALaneThatWaitsForASweepTriesToReadAgain(t *testing.T) {
	l := bareLane()
	l.p.take = context.Background()
	l.p.d.readers = &readers{beside: rate.NewLimiter(0, 0), over: true}
	l.p.swept.Store(true)
	l.skipTo(1, 9, false)
	now := time.Now()
	l.alarmAt = now.Add(time.Millisecond) // as for a limit
	if e := l.pick(now); e != nil || l.queues[1].reading {
		t.Fatalf("picked %v, reading %v, want to wait for the sweep", e, l.queues[1].reading)
	}
	l.ring()
	later := now.Add(time.Millisecond)
	if e := l.pick(later); e != nil || !l.alarmAt.Equal(now.Add(hungerFor)) {
		t.Errorf("picked %v, to be looked at %s later, want %s", e, l.alarmAt.Sub(now), hungerFor)
	}
	l.alarm.Stop()
}
