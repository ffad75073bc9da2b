package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// followUp publishes sends one by one, at a rate, to a contender that has
// nothing else to do, and measures how long each takes to the provider and to
// a consumer of deliveries. All clocks are this machine's.
func (b *bench) followUp(ctx context.Context, c contender, s scenario) (*measured, error) {
	r, err := newRig(ctx, b.dir, c, s)
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	all := s.warmUp() + s.n
	published, delivered := make([]time.Time, all), make([]time.Time, all)
	var mu sync.Mutex // guards delivered
	var strange error
	stop, err := r.watch(ctx, func(body []byte) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		i, ok := recipientOf(body)
		if !ok || i >= all || !delivered[i].IsZero() {
			strange = errors.New("a delivery is for nobody, or for one who has had his")
			return
		}
		delivered[i] = now
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	note := func(i int) { published[i] = time.Now() }
	if err := r.publish(ctx, 0, s.warmUp(), s.rate, note); err != nil {
		return nil, err
	}
	if _, err := r.finished(ctx, s.warmUp()); err != nil {
		return nil, err
	}
	before := r.used()
	if err := r.publish(ctx, s.warmUp(), all, s.rate, note); err != nil {
		return nil, err
	}
	last, err := r.finished(ctx, all)
	if err != nil {
		return nil, err
	}
	m, err := r.measure(before, last)
	if err != nil {
		return nil, err
	}
	var arrivals []int64
	if err := r.ask("/arrivals", &arrivals); err != nil {
		return nil, err
	}
	// The last deliveries may still be on their way to the consumer.
	err = until(ctx, 10*time.Second, "the last deliveries", func() (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(delivered, time.Time.IsZero), strange
	})
	if err != nil {
		return nil, err
	}
	for i := s.warmUp(); i < all; i++ {
		m.toCall = append(m.toCall, time.Unix(0, arrivals[i]).Sub(published[i]))
		m.toDelivery = append(m.toDelivery, delivered[i].Sub(published[i]))
	}
	slices.Sort(m.toCall)
	slices.Sort(m.toDelivery)
	return m, nil
}

// recipientOf finds the recipient's number in a delivery: MessagePack, in
// which the text of ten bytes stands behind its length.
func recipientOf(body []byte) (i int, ok bool) {
	_, rest, ok := bytes.Cut(body, []byte("value\xaa09"))
	if !ok {
		return 0, false
	}
	return digits(rest)
}

// A pacer lets pass so many per second.
type pacer struct {
	every time.Duration
	next  time.Time
}

func (p *pacer) wait(ctx context.Context) error {
	if p.next.IsZero() {
		p.next = time.Now()
	}
	p.next = p.next.Add(p.every)
	select {
	case <-time.After(time.Until(p.next)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
