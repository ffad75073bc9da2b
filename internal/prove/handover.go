package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type handoverPlan struct {
	Changes  int // dispatchers that join, and as many that stop
	Fleet    int // dispatchers at first
	Accounts int
	Rate     float64       // sends per second for all accounts together
	Gap      time.Duration // between two changes, on average
}

func handed(i int) account {
	return account{Name: "handed" + strconv.Itoa(i), Limits: "{per_second: 200}"}
}

func (plan handoverPlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Journal: 1_000_000}
	for i := range plan.Accounts {
		c.Accounts = append(c.Accounts, handed(i))
	}
	return c
}

// handover lets dispatchers join and stop, one after the other and at random
// moments, while sends flow for many accounts. Nobody is killed: so nothing may
// be lost, called twice, or be left unknown, and no account may rest for long.
func handover(ctx context.Context, s *stage, plan handoverPlan) (report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := s.newFleet(ctx, plan.Fleet, nil)
	if err != nil {
		return nil, err
	}
	collector, err := s.start("collector")
	if err != nil {
		return nil, err
	}
	if err := f.even(ctx); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	published := map[int]time.Time{}
	flow := s.load(ctx, plan.Rate, func(i int) (*nats.Msg, error) {
		mu.Lock()
		published[i] = time.Now()
		mu.Unlock()
		return encode(sendTo(handed(i%plan.Accounts), i))
	})
	began := time.Now()
	for range plan.Changes {
		if err := f.pauseAbout(ctx, plan.Gap); err != nil {
			return nil, err
		}
		if err := f.join(); err != nil {
			return nil, err
		}
		if err := f.pauseAbout(ctx, plan.Gap); err != nil {
			return nil, err
		}
		if err := f.retire(ctx, f.random.IntN(len(f.dispatchers))); err != nil {
			return nil, err
		}
	}
	lasted := time.Since(began)
	spread := f.even(ctx)
	if err := flow.stop(); err != nil {
		return nil, err
	}
	b := newBook(s)
	err = until(ctx, time.Minute, "the end of all sends", func() (bool, error) {
		err := b.read(ctx)
		return err == nil && b.waiting(0, len(published)) == 0, err
	})
	if ctx.Err() != nil {
		return nil, err
	}
	if err := alive(append(f.dispatchers, collector)...); err != nil {
		return nil, err
	}
	var r report
	r.note("dispatchers that joined, and stopped", fmt.Sprintf("%d in %s", plan.Changes, lasted.Round(time.Second)))
	r.note("partitions that changed their owner", f.changes())
	f.judgeHandover(&r, b, published)
	r.add("spread of the partitions over the dispatchers afterwards", f.spread(), "even", spread == nil)
	return r, nil
}

// pauseAbout waits for up to twice as long.
func (f *fleet) pauseAbout(ctx context.Context, d time.Duration) error {
	return pause(ctx, time.Duration(f.random.Int64N(int64(2*d))))
}

// retire stops dispatcher number i, once it has joined: one that has not is not
// told apart from one that could not.
func (f *fleet) retire(ctx context.Context, i int) error {
	p := f.dispatchers[i]
	err := until(ctx, time.Minute, "a dispatcher to join", func() (bool, error) {
		member, err := p.member()
		return member != "", errors.Join(err, alive(f.dispatchers...))
	})
	if err != nil {
		return err
	}
	f.dispatchers = slices.Delete(f.dispatchers, i, i+1)
	return p.stop()
}

// held returns how many partitions each dispatcher was the last to claim.
func (f *fleet) held() (map[string]int, error) {
	held := map[string]int{}
	for _, p := range f.dispatchers {
		member, err := p.member()
		if err != nil {
			return nil, err
		}
		held[member] = 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, claims := range f.claims {
		if _, ours := held[claims[len(claims)-1].member]; ours {
			held[claims[len(claims)-1].member]++
		}
	}
	return held, nil
}

// even waits until every partition has an owner and none has more than one above
// another.
func (f *fleet) even(ctx context.Context) error {
	return until(ctx, time.Minute, "an even spread of the partitions", func() (bool, error) {
		held, err := f.held()
		if err != nil {
			return false, err
		}
		sum := 0
		for _, n := range held {
			sum += n
		}
		counts := slices.Collect(maps.Values(held))
		return sum == broker.DefaultPartitions && slices.Max(counts)-slices.Min(counts) <= 1, alive(f.dispatchers...)
	})
}

func (f *fleet) spread() string {
	held, _ := f.held()
	return fmt.Sprint(slices.Sorted(maps.Values(held)))
}

// changes counts the claims but the first of each partition.
func (f *fleet) changes() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, claims := range f.claims {
		n += len(claims) - 1
	}
	return n
}

// judgeHandover compares what was published with what was called and told.
func (f *fleet) judgeHandover(r *report, b *book, published map[int]time.Time) {
	called := map[int]int{}
	var took latencies
	last, rest := map[string]time.Time{}, time.Duration(0)
	calls := f.sandbox.Calls(sandbox.Filter{})
	slices.SortFunc(calls, func(a, b sandbox.Call) int { return a.At.Compare(b.At) })
	for _, c := range calls {
		i, _ := strconv.Atoi(c.Recipient[2:]) // it is a phone number
		called[i]++
		took = append(took, c.At.Sub(published[i]))
		if before, ok := last[c.Account]; ok {
			rest = max(rest, c.At.Sub(before))
		}
		last[c.Account] = c.At
	}
	lost, twice, several, states := 0, 0, 0, map[events.State]int{}
	for i := range published {
		switch {
		case called[i] == 0:
			lost++
		case called[i] > 1:
			twice++
		}
		if len(b.ends[i]) > 1 {
			several++
		}
		for _, end := range b.ends[i] {
			states[end.State]++
		}
	}
	waiting := b.waiting(0, len(published))
	r.note("sends", len(published))
	r.add("never called", lost, "0", lost == 0)
	r.add("called twice", twice, "0", twice == 0)
	r.add("without a final delivery", waiting, "0", waiting == 0)
	r.add("with several", several, "0", several == 0)
	other := len(published) - waiting - states[events.StateAccepted]
	r.add("ended as anything but accepted", other, "0", other == 0)
	r.note("publication to call", took)
	r.note("longest time in which an account was not called", rest.Round(time.Millisecond))
}
