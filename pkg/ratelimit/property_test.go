package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// newAt is New at another time than the present.
func newAt(limits Limits, now time.Time) *Limiter {
	l := new(Limiter)
	l.open(limits, now)
	return l
}

func drawWindows(t *rapid.T) []Window {
	second := Window{Limit: rapid.IntRange(1, 200).Draw(t, "per second"), Per: time.Second}
	second.Burst = rapid.IntRange(1, max(1, second.Limit/2)).Draw(t, "burst")
	minute := PerMinute(second.Limit * rapid.IntRange(5, 60).Draw(t, "minute factor"))
	return []Window{second, minute}
}

// drawLateness is how late a timer fires: anything from nothing to far more
// than is forgiven, or the account being idle.
func drawLateness(t *rapid.T) time.Duration {
	return time.Duration(rapid.OneOf(rapid.Int64Range(0, 1e6), rapid.Int64Range(0, 1e9)).Draw(t, "late"))
}

func checkWindows(t *rapid.T, windows []Window, at []time.Time, cost []int) {
	t.Helper()
	for _, w := range windows {
		if n := most(at, cost, w.Per); n > w.Limit {
			t.Fatalf("%d in a window of %s", n, w)
		}
	}
}

// TestNoSlidingWindowEverExceedsItsLimit has costs, lateness and owners that
// die: each take-over begins with a new limiter that knows nothing.
func TestNoSlidingWindowEverExceedsItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		windows := drawWindows(t)
		highest := min(windows[0].burst(), windows[1].burst())
		now := time.Now()
		l := newAt(limits(windows...), now)
		var at []time.Time
		var cost []int
		for range rapid.IntRange(1, 300).Draw(t, "calls") {
			c := rapid.IntRange(1, highest).Draw(t, "cost")
			now = now.Add(l.Delay(now, c) + drawLateness(t))
			if !l.Take(now, c) {
				t.Fatalf("Take refuses what Delay lets pass")
			}
			at, cost = append(at, now), append(cost, c)
			if rapid.IntRange(0, 20).Draw(t, "take-over") == 0 {
				l = newAt(limits(windows...), now)
			}
		}
		checkWindows(t, windows, at, cost)
	})
}

// TestNothingThatIsSaidExceedsALimit mixes calls with all that a limiter is told
// while it runs.
func TestNothingThatIsSaidExceedsALimit(t *testing.T) {
	type step struct {
		pause   time.Duration
		what    int
		percent float64
		wait    time.Duration
		burst   int
	}
	rapid.Check(t, func(rt *rapid.T) {
		windows := drawWindows(rt)
		plan := make([]step, rapid.IntRange(1, 50).Draw(rt, "steps"))
		for i := range plan {
			plan[i] = step{
				pause:   drawLateness(rt),
				what:    rapid.IntRange(0, 11).Draw(rt, "what"),
				percent: rapid.Float64Range(0, 120).Draw(rt, "percent"),
				wait:    time.Duration(rapid.Int64Range(-1e9, 3e9).Draw(rt, "wait")),
				burst:   rapid.IntRange(1, max(1, windows[0].Limit/2)).Draw(rt, "new burst"),
			}
		}
		var at []time.Time
		synctest.Test(t, func(t *testing.T) {
			l := New(limits(windows...))
			var silent time.Time
			for _, s := range plan {
				end := time.Now().Add(s.pause)
				for s.what%2 == 1 && time.Now().Add(l.Delay(time.Now(), 1)).Before(end) { // greedy, or idle
					time.Sleep(l.Delay(time.Now(), 1))
					if l.Take(time.Now(), 1) {
						at = append(at, time.Now())
					}
					if time.Now().Before(silent) {
						t.Error("a call passed during a cool-down")
					}
				}
				time.Sleep(time.Until(end))
				switch s.what / 2 {
				case 0:
					l.Cooldown(time.Now().Add(s.wait))
					silent = latest(silent, time.Now().Add(s.wait))
				case 1:
					l.Usage(s.percent, s.wait)
				case 2:
					changed := windows[0]
					changed.Burst = s.burst
					if err := l.Update(limits(changed, windows[1])); err != nil {
						t.Error(err)
					}
				}
			}
		})
		checkWindows(rt, windows, at, ones(len(at)))
	})
}
