package ratelimit

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever has a place uses it early or late within the play, and some not at
// all; every window holds all the same.
func TestGroupHoldsHoweverItsPlacesAreUsed(t *testing.T) {
	for _, l := range []Limits{limits(PerSecond(30)), limits(PerSecond(1)), limits(PerSecond(50), PerMinute(600)), limits(Window{Limit: 40, Per: time.Second, Burst: 20})} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGroup(l)
			random := rand.New(rand.NewPCG(1, 2))
			var used []time.Time
			places := 0
			for start := time.Now(); time.Since(start) < 3*time.Minute; {
				at, ok := g.Reserve(time.Now(), time.Now().Add(200*time.Millisecond))
				if !ok {
					time.Sleep(min(at.Sub(time.Now().Add(200*time.Millisecond)), time.Second))
					continue
				}
				places++
				if random.IntN(10) == 0 {
					time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond) // nobody asks for a while
				}
				used = append(used, at.Add(time.Duration(random.Int64N(int64(GroupPlay)))))
			}
			slices.SortFunc(used, time.Time.Compare)
			for _, w := range l.Windows {
				if n := most(used, ones(len(used)), w.Per); n > w.Limit {
					t.Errorf("%v: %d in one %s", l.Windows, n, period(w.Per))
				}
			}
			if places < 60 {
				t.Errorf("%v: only %d places in three minutes", l.Windows, places)
			}
		})
	}
}

func TestGroupGivesWhatItsLimitAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(limits(PerSecond(30)))
		n := 0
		for start := time.Now(); time.Since(start) < time.Minute; {
			at, ok := g.Reserve(time.Now(), time.Now())
			if !ok {
				time.Sleep(time.Until(at))
				continue
			}
			n++
		}
		if n < 60*30*95/100 {
			t.Errorf("%d places in a minute at 30 per second", n)
		}
	})
}

func TestGroupPlacesFollowALimitThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(limits(PerSecond(100)))
		time.Sleep(time.Second)
		if err := g.Update(limits(PerSecond(1))); err != nil {
			t.Fatal(err)
		}
		if at, ok := g.Reserve(time.Now(), time.Now().Add(500*time.Millisecond)); ok {
			t.Errorf("a place after %s: the new limit starts empty", time.Until(at))
		}
		if err := g.Update(Limits{}); err == nil {
			t.Error("no limit at all was taken")
		}
	})
}
