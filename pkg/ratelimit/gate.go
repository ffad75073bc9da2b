package ratelimit

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrCost is wrapped by the error about a cost that can never pass.
var ErrCost = errors.New("cost can never pass")

// Usage readings, in percent of what the provider allows.
const (
	slowFrom = 80
	stopFrom = 90
	crawl    = 0.05 // slowest pace, so that there is always a next reading

	// What a stop lasts when the provider does not say when it ends.
	defaultRegain = time.Minute
)

// A gate is the windows of a limiter or a group, with what the provider says
// about them while it runs.
type gate struct {
	mu      sync.Mutex
	limits  Limits
	buckets []*bucket
	silent  time.Time     // cool-down: nothing passes before
	stopped time.Time     // usage: nothing passes before
	pace    float64       // usage: share of the full rate
	changed chan struct{} // closed when what waits should look again; nil while nothing waits
}

// open panics on limits that are not valid: they are refused where they are read.
func (g *gate) open(limits Limits, now time.Time) {
	if err := limits.Validate(); err != nil {
		panic(fmt.Sprintf("ratelimit: %v", err))
	}
	g.limits, g.pace = limits, 1
	g.rebuild(now)
}

// Cooldown lets nothing pass before the given time, and from then on the full
// rate from empty, so that nothing saved up bursts out. It only ever extends:
// an earlier time changes nothing.
func (g *gate) Cooldown(until time.Time) {
	now := time.Now()
	until = now.Add(until.Sub(now)) // a time read from a header has no monotonic clock
	g.mu.Lock()
	defer g.mu.Unlock()
	if !until.After(g.silent) {
		return
	}
	g.silent = until
	for _, b := range g.buckets {
		b.drain(until)
	}
}

// Silence returns until when nothing passes at all, because of a cool-down or
// of a usage that has stopped it. A time that is over means nothing.
func (g *gate) Silence() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return latest(g.silent, g.stopped)
}

// Usage takes a reading of how much of its allowance the provider says is used:
// the rate falls linearly from 80 percent on and stops at 90. A stop lasts for
// regain, or a minute where the provider gives no time, or until a better
// reading; what follows a stop crawls at a twentieth of the rate until a reading
// allows more. A provider that reports usage only when it is high should be
// read as 0 when it is silent.
func (g *gate) Usage(percent float64, regain time.Duration) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = time.Time{}
	g.pace = min(1, max(crawl, (stopFrom-percent)/(stopFrom-slowFrom)))
	if percent >= stopFrom {
		if regain <= 0 {
			regain = defaultRegain
		}
		g.stopped = now.Add(regain)
		for _, b := range g.buckets {
			b.drain(now)
		}
	}
	g.rebuild(now)
}

// Update changes the limits from now on. A window that is new or has another
// limit starts empty; of the others what was saved up or used stays so. Limits
// that are not valid change nothing.
func (g *gate) Update(limits Limits) error {
	if err := limits.Validate(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = limits
	g.rebuild(time.Now())
	return nil
}

// rebuild makes the buckets what limits and pace say, and wakes what waits.
func (g *gate) rebuild(now time.Time) {
	old := g.buckets
	g.buckets = make([]*bucket, 0, len(g.limits.Windows))
	for _, w := range g.limits.Windows {
		b := find(old, w.Per)
		if b == nil || b.Limit != w.Limit {
			b = newBucket(w, g.limits.margin(), latest(now, g.silent))
		}
		b.set(now, w, g.limits.margin(), g.pace)
		g.buckets = append(g.buckets, b)
	}
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

func find(buckets []*bucket, per time.Duration) *bucket {
	for _, b := range buckets {
		if b.Per == per {
			return b
		}
	}
	return nil
}

// fits returns an error if cost can never pass.
func (g *gate) fits(cost int) error {
	if cost < 1 {
		return fmt.Errorf("cost %d: %w: must be at least 1", cost, ErrCost)
	}
	for _, b := range g.buckets {
		if n := b.burst(); cost > n {
			return fmt.Errorf("cost %d: %w: %s has a burst of %d", cost, ErrCost, b.Window, n)
		}
	}
	return nil
}

// due returns when cost passes all windows.
func (g *gate) due(cost int) time.Time {
	t := latest(g.silent, g.stopped)
	for _, b := range g.buckets {
		t = latest(t, b.due(cost))
	}
	return t
}
