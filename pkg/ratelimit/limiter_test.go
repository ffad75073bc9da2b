package ratelimit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func limits(windows ...Window) Limits { return Limits{Windows: windows} }

// drain takes cost 1 whenever it is possible, for a span of time, and returns
// when it did. Time is the caller's own: nothing sleeps.
func drain(l *Limiter, from time.Time, span time.Duration) []time.Time {
	var taken []time.Time
	for now := from; now.Before(from.Add(span)); {
		if wait := l.Delay(now, 1); wait > 0 {
			now = now.Add(wait)
			continue
		}
		if !l.Take(now, 1) {
			panic("Take refuses what Delay lets pass")
		}
		taken = append(taken, now)
	}
	return taken
}

// most returns the highest sum of costs in any span of per, end excluded.
func most(at []time.Time, cost []int, per time.Duration) int {
	sum, highest, first := 0, 0, 0
	for i, t := range at {
		sum += cost[i]
		for !t.Before(at[first].Add(per)) {
			sum -= cost[first]
			first++
		}
		highest = max(highest, sum)
	}
	return highest
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }

func TestBacklogUsesTheLimit(t *testing.T) {
	for _, w := range []Window{PerSecond(1), PerSecond(10), PerSecond(50), PerSecond(1000), PerMinute(60), PerHour(54_000)} {
		t.Run(w.String(), func(t *testing.T) {
			l := New(limits(w))
			span := max(time.Minute, 3*w.Per)
			taken := drain(l, time.Now(), span)
			want := 0.95 * float64(w.Limit) * float64(span) / float64(w.Per)
			if n := len(taken); float64(n) < want {
				t.Errorf("%d in %s, want at least %.0f", n, span, want)
			}
			if n := most(taken, ones(len(taken)), w.Per); n > w.Limit {
				t.Errorf("%d in one window of %s", n, w)
			}
		})
	}
}

func TestLateTimersDoNotCostTheirDelay(t *testing.T) {
	l := New(limits(PerSecond(50)))
	now := time.Now()
	end := now.Add(20 * time.Second)
	var taken []time.Time
	for now.Before(end) {
		now = now.Add(l.Delay(now, 1) + 2*time.Millisecond)
		l.Take(now, 1)
		taken = append(taken, now)
	}
	if n := len(taken); n < 950 {
		t.Errorf("%d in 20 s with timers 2 ms late, want 95 %% of 1000", n)
	}
	if n := most(taken, ones(len(taken)), time.Second); n > 50 {
		t.Errorf("%d in one second", n)
	}
}

func TestStartsEmpty(t *testing.T) {
	l := New(limits(Window{Limit: 100, Per: time.Second, Burst: 20}))
	if n := len(drain(l, time.Now(), 100*time.Millisecond)); n > 10 {
		t.Errorf("%d passed in the first tenth of a second", n)
	}
}

func TestCooldownOnlyExtendsAndEndsEmpty(t *testing.T) {
	l := New(limits(Window{Limit: 100, Per: time.Second, Burst: 40}))
	now := time.Now()
	until := now.Add(30 * time.Second)
	l.Cooldown(until)
	l.Cooldown(now.Add(time.Second))
	taken := drain(l, now, 31*time.Second)
	if taken[0].Before(until) {
		t.Errorf("a call passed %s before the end", until.Sub(taken[0]))
	}
	if n := len(taken); n > 62 { // steady rate 61
		t.Errorf("%d in the first second after it", n)
	}
}

func TestCooldownOfThePastChangesNothing(t *testing.T) {
	l := New(limits(Window{Limit: 100, Per: time.Second, Burst: 40}))
	now := time.Now()
	drain(l, now, time.Second)
	l.Cooldown(now.Add(-time.Hour))
	if wait := l.Delay(now.Add(time.Second), 40); wait < 600*time.Millisecond {
		t.Errorf("it refilled the bucket: 40 pass after %s", wait)
	}
}

func TestUsageSlowsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(PerSecond(100)))
		rate := func() int { return len(drain(l, time.Now(), 10*time.Second)) / 10 }
		check := func(percent float64, regain time.Duration, low, high int) {
			t.Helper()
			time.Sleep(time.Hour)
			l.Usage(percent, regain)
			if n := rate(); n < low || n > high {
				t.Errorf("usage %.0f %%: %d per second, want %d to %d", percent, n, low, high)
			}
		}
		check(79, 0, 95, 100)
		check(85, 0, 46, 50)
		check(89.99, 0, 4, 5)
		check(90, 0, 0, 0)
		check(120, 30*time.Second, 0, 0)
		if wait := l.Delay(time.Now(), 1); wait != 30*time.Second {
			t.Errorf("the stop lasts %s, want the 30s that the provider said", wait)
		}
		time.Sleep(30 * time.Second)
		if n := rate(); n < 4 || n > 5 {
			t.Errorf("after the stop: %d per second, want a crawl", n)
		}
		check(50, 0, 95, 100)
	})
}

func TestUsageStopEndsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(Window{Limit: 100, Per: time.Second, Burst: 40}))
		time.Sleep(time.Minute)
		l.Usage(95, time.Minute)
		l.Usage(10, 0)
		if n := len(drain(l, time.Now(), 100*time.Millisecond)); n < 4 || n > 6 {
			t.Errorf("%d in the first tenth of a second, want the steady rate", n)
		}
	})
}

func TestWaitIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(PerSecond(10)))
		passed := make(chan int, 20)
		for i := range 20 {
			go func() {
				if err := l.Wait(t.Context(), 1); err != nil {
					t.Error(err)
				}
				passed <- i
			}()
			synctest.Wait()
		}
		var order []int
		for range 20 {
			order = append(order, <-passed)
		}
		if !slices.IsSorted(order) {
			t.Errorf("passed in the order %v", order)
		}
	})
}

func TestTryWaitPassesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(Window{Limit: 10, Per: time.Second, Burst: 5}))
		time.Sleep(time.Second)
		if !l.TryWait(1) {
			t.Fatal("refused, and nobody waits")
		}
		go func() {
			if err := l.Wait(t.Context(), 5); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if l.TryWait(1) { // there is enough for this one
			t.Error("passed who waits")
		}
		time.Sleep(time.Second)
		if !l.TryWait(1) {
			t.Error("refused, and nobody waits any more")
		}
	})
}

func TestCancelledWaitTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(PerSecond(1)))
		gone := errors.New("the request expired")
		ctx, cancel := context.WithCancelCause(t.Context())
		for range 100 {
			go func() {
				if err := l.Wait(ctx, 1); !errors.Is(err, gone) {
					t.Errorf("Wait = %v, want the cause", err)
				}
			}()
		}
		time.Sleep(500 * time.Millisecond)
		cancel(gone)
		synctest.Wait()
		start := time.Now()
		if err := l.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 600*time.Millisecond {
			t.Errorf("the next call waited %s: cancelled ones took tokens", took)
		}
		if err := l.Wait(ctx, 1); !errors.Is(err, gone) {
			t.Errorf("Wait after the end = %v", err)
		}
	})
}

func TestCostThatCanNeverPass(t *testing.T) {
	l := New(limits(Window{Limit: 10, Per: time.Second, Burst: 3}))
	for _, cost := range []int{-1, 0, 4} {
		if err := l.Wait(t.Context(), cost); !errors.Is(err, ErrCost) {
			t.Errorf("Wait(%d) = %v", cost, err)
		}
		if l.Take(time.Now().Add(time.Hour), cost) || l.Delay(time.Now(), cost) != Never {
			t.Errorf("cost %d passed", cost)
		}
	}
	if err := l.Wait(t.Context(), 3); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		want   string // "" is valid
	}{
		{"one", limits(PerSecond(10)), ""},
		{"CareSoft's own", limits(PerSecond(15), PerHour(54_000)), ""},
		{"lowered to be safe", limits(PerSecond(10), PerHour(54_000)), ""},
		{"all four", limits(PerDay(100_000), PerSecond(15), PerMinute(900), PerHour(54_000)), ""},
		{"none", Limits{}, "no limit"},
		{"zero", limits(PerSecond(0)), "0 per second: must be at least 1"},
		{"negative", limits(PerHour(-5)), "-5 per hour: must be at least 1"},
		{"absurd", limits(PerSecond(1_000_000)), "surely a mistake"},
		{"absurd hour", limits(PerHour(1 << 40)), "surely a mistake"},
		{"period", limits(Window{Limit: 1, Per: time.Millisecond}), "period 1ms"},
		{"no period", limits(Window{Limit: 1}), "period 0s"},
		{"negative burst", limits(Window{Limit: 10, Per: time.Second, Burst: -1}), "burst -1 is negative"},
		{"whole burst", limits(Window{Limit: 15, Per: time.Second, Burst: 15}), "burst 15 leaves only 1 per second"},
		{"twice", limits(PerSecond(10), PerSecond(5)), "two windows of one period"},
		{"never reached", limits(PerMinute(30), PerSecond(60)), "60 per second and 30 per minute contradict each other"},
		{"margin", Limits{Windows: []Window{PerSecond(1)}, Margin: 100 * time.Millisecond}, "margin 100ms: must be from 0 to 50ms"},
		{"negative margin", Limits{Windows: []Window{PerSecond(1)}, Margin: -1}, "margin -1ns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.limits.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Validate = %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}
