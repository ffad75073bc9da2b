package dispatcher

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

func TestOwner_SpreadsAndHandsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	const lease = 3 * time.Second
	one := f.join(lease, nil)
	f.settle(ownerPatience, []int{64}, one)
	two := f.join(lease, nil)
	f.settle(ownerPatience, []int{32, 32}, one, two)
	three := f.join(lease, nil)
	f.settle(ownerPatience, []int{22, 21, 21}, one, two, three)
	if got := f.sum(opens, one, two, three); got > 64+32+22+5 {
		t.Errorf("%d opens for two joins: partitions move more than they need", got)
	}
	one.stop()
	f.settle(ownerPatience, []int{32, 32}, two, three)
	two.stop()
	f.settle(ownerPatience, []int{64}, three)
	three.stop()
	if _, free := f.counts(); free != 64 {
		t.Errorf("%d partitions free after all have stopped", free)
	}
	if n := f.sum(drops, one, two, three); n != 0 {
		t.Errorf("%d partitions dropped in a quiet fleet", n)
	}
	l, err := broker.NewLeases(f.b.JS, lease)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := l.View(t.Context()); err != nil || len(v.Members) != 0 {
		t.Errorf("members left: %v, %v", v.Members, err)
	}
}

// All that start at once share evenly, and those that stop at once too.
func TestOwner_StartTogether(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var all []*ownerUnderTest
	for range 5 {
		all = append(all, f.join(3*time.Second, nil))
	}
	f.settle(ownerPatience, []int{13, 13, 13, 13, 12}, all...)
	var stopping sync.WaitGroup
	for _, u := range all[:3] {
		stopping.Go(u.stop)
	}
	stopping.Wait()
	f.settle(ownerPatience, []int{32, 32}, all[3:]...)
}

// What hangs while it is opened is given up and tried again, and holds up nobody.
func TestOwner_OpenHangs(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var mu sync.Mutex
	tries := 0
	one := f.join(time.Second, nil, func(u *ownerUnderTest) {
		u.cfg.Patience = 200 * time.Millisecond
		u.openHook = func(ctx context.Context, n int) error {
			mu.Lock()
			if n == 1 {
				tries++
			}
			hangs := n == 1 && tries == 1
			mu.Unlock()
			if !hangs {
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}
	})
	f.settle(ownerPatience, []int{ownedPartitions}, one)
	mu.Lock()
	defer mu.Unlock()
	if tries < 2 {
		t.Error("what hung is open without a second try")
	}
}

// A slow Open or Close holds up neither the renewals nor other partitions, and
// a partition that fails is tried again.
func TestOwner_SlowAndFailing(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	release := make(chan struct{})
	var mu sync.Mutex
	tries := make(map[int]int)
	const lease = 3 * time.Second // that no busy machine loses
	one := f.join(lease, nil, func(u *ownerUnderTest) {
		u.openHook = func(_ context.Context, n int) error {
			switch n {
			case 1, 2, 3:
				<-release
			case 4:
				mu.Lock()
				defer mu.Unlock()
				if tries[n]++; tries[n] <= 2 {
					return fmt.Errorf("try %d", tries[n])
				}
			}
			return nil
		}
		u.closeHook = func(context.Context) { <-release }
	})
	began := time.Now()
	brokertest.Eventually(t, "61 open", func() bool { counts, _ := f.counts(one); return counts[0] == 61 })
	mu.Lock()
	if tries[4] != 3 {
		t.Errorf("opened in %d tries, want 3", tries[4])
	}
	mu.Unlock()

	f.mu.Lock()
	epoch := f.epochs[9]
	f.mu.Unlock()
	one.GiveUp(9, epoch-1) // said about an earlier time: changes nothing
	one.GiveUp(9, epoch)
	one.GiveUp(9, epoch)
	brokertest.Eventually(t, "the one given up is open again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.epochs[9] > epoch && f.holder[9] == one
	})
	if n := f.sum(drops, one); n != 1 {
		t.Errorf("%d partitions dropped, want the one given up", n)
	}

	two := f.join(lease, nil) // has to wait for one's Close
	brokertest.Eventually(t, "more than a lease", func() bool { return time.Since(began) > lease+lease/2 })
	if got, _ := f.counts(two); got[0] != 0 {
		t.Errorf("%d partitions handed over before they were closed", got[0])
	}
	close(release)
	f.settle(ownerPatience, []int{32, 32}, one, two)
	if n := f.sum(drops, one, two); n != 1 {
		t.Errorf("%d partitions dropped, want the one given up", n)
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		counts map[string]int
		want   map[string]int
	}{
		{map[string]int{"a": 0}, map[string]int{"a": 64}},
		{map[string]int{"a": 64, "b": 0}, map[string]int{"a": 32, "b": 32}},
		{map[string]int{"a": 32, "b": 32, "c": 0}, map[string]int{"a": 22, "b": 21, "c": 21}},
		{map[string]int{"a": 21, "b": 21, "c": 22}, map[string]int{"a": 21, "b": 21, "c": 22}}, // stays
	} {
		for id, want := range c.want {
			if got := share(c.counts, id, 64); got != want {
				t.Errorf("%v: %s gets %d, want %d", c.counts, id, got, want)
			}
		}
	}
}
