package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestUpdateToASmallerBurst is the one reload that could give something away:
// the old burst just passed, and the rate is higher from now on.
func TestUpdateToASmallerBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(Window{Limit: 100, Per: time.Second, Burst: 50}))
		time.Sleep(time.Minute)
		taken := drain(l, time.Now(), time.Millisecond)
		if len(taken) != 50 {
			t.Fatalf("%d at once, want the burst", len(taken))
		}
		time.Sleep(time.Millisecond)
		if err := l.Update(limits(PerSecond(100))); err != nil {
			t.Fatal(err)
		}
		taken = append(taken, drain(l, time.Now(), 3*time.Second)...)
		if n := most(taken, ones(len(taken)), time.Second); n > 100 {
			t.Errorf("%d in one second", n)
		}
	})
}

func TestUpdateWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(limits(PerHour(1)))
		start := time.Now()
		passed := make(chan time.Duration, 1)
		go func() {
			if err := l.Wait(t.Context(), 1); err != nil {
				t.Error(err)
			}
			passed <- time.Since(start)
		}()
		time.Sleep(time.Second)
		if err := l.Update(limits(PerSecond(0))); err == nil {
			t.Error("a limit of zero was taken")
		}
		if err := l.Update(limits(PerSecond(10))); err != nil {
			t.Error(err)
		}
		if took := <-passed; took > 1200*time.Millisecond {
			t.Errorf("the waiting call passed after %s", took)
		}
	})
}

func TestUpdateKeepsWhatWasUsed(t *testing.T) {
	l := New(limits(PerSecond(10)))
	now := time.Now()
	taken := drain(l, now, 5*time.Second)
	later := now.Add(5 * time.Second)
	for i := range 20 { // a reload every 50 ms gives nothing away
		if err := l.Update(limits(PerSecond(10), PerMinute(600))); err != nil {
			t.Fatal(err)
		}
		taken = append(taken, drain(l, later.Add(time.Duration(i)*50*time.Millisecond), 50*time.Millisecond)...)
	}
	if n := most(taken, ones(len(taken)), time.Second); n > 10 {
		t.Errorf("%d in one second", n)
	}
}

// A smaller burst makes the rate higher, and the larger one may just have
// passed. A cool-down must not forgive that.
func TestCooldownAfterASmallerBurstForgivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := Window{Limit: 60, Per: time.Second, Burst: 30}
		l := New(limits(large))
		time.Sleep(2 * time.Second) // until the burst is there
		passed := 0
		for l.Take(time.Now(), 1) {
			passed++
		}
		if err := l.Update(limits(PerSecond(60))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		l.Cooldown(time.Now())
		for end := time.Now().Add(990 * time.Millisecond); ; passed++ {
			time.Sleep(l.Delay(time.Now(), 1))
			if time.Now().After(end) {
				break
			}
			if !l.Take(time.Now(), 1) {
				t.Fatal("Take refuses what Delay lets pass")
			}
		}
		if passed > 60 {
			t.Errorf("%d in a second, want 60 at most", passed)
		}
	})
}

func TestLimiter_UpdateWaitsNoLongerThanAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Limits{Windows: []Window{{Limit: 100_000, Per: time.Second, Burst: 10_000}}})
		time.Sleep(time.Second) // full
		if err := l.Update(Limits{Windows: []Window{PerSecond(500)}}); err != nil {
			t.Fatal(err)
		}
		if d := l.Delay(time.Now(), 1); d > 1100*time.Millisecond {
			t.Errorf("the first call after the change waits %s", d)
		}
		l = New(Limits{Windows: []Window{{Limit: 100_000, Per: time.Second, Burst: 10_000}}})
		if err := l.Update(Limits{Windows: []Window{PerSecond(500)}}); err != nil {
			t.Fatal(err)
		}
		if d := l.Delay(time.Now(), 1); d > 1100*time.Millisecond {
			t.Errorf("from empty, the first call after the change waits %s", d)
		}
	})
}
