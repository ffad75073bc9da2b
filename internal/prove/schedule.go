package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
)

type schedulePlan struct {
	Sends int
	Ahead time.Duration // from the first publication to the first time due
	Span  time.Duration // over which they are due
	Late  time.Duration // that all but one in a hundred may be
}

// schedulers is how many accounts share the sends.
const schedulers = 10

func (plan schedulePlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Journal: 2 * plan.Sends}
	for i := range schedulers {
		c.Accounts = append(c.Accounts, other(i))
	}
	return c
}

// schedule publishes sends that are due later, evenly, and kills the broker in
// the middle. None may be called early, lost or called twice; those that were not
// due while the broker was away, or had to be caught up with, hardly late.
func schedule(ctx context.Context, s *stage, plan schedulePlan) (report, error) {
	d, err := s.start("dispatcher")
	if err != nil {
		return nil, err
	}
	first := time.Now().Add(plan.Ahead).Truncate(time.Millisecond)
	due := func(i int) time.Time {
		return first.Add(time.Duration(float64(i) / float64(plan.Sends) * float64(plan.Span))).Truncate(time.Millisecond)
	}
	began := time.Now()
	err = s.publish(ctx, 0, plan.Sends, 0, func(i int) (*nats.Msg, error) {
		r := sendTo(other(i%schedulers), i)
		r.Send.NotBeforeMS = due(i).UnixMilli()
		return encode(r)
	})
	if err != nil {
		return nil, err
	}
	published := time.Since(began)
	if published > plan.Ahead {
		return nil, fmt.Errorf("publishing took %s, longer than until the first is due: this machine needs a longer -ahead than %s", published.Round(time.Second), plan.Ahead)
	}
	if err := pause(ctx, time.Until(first)); err != nil {
		return nil, err
	}
	planned, err := s.count(ctx, broker.Later, "tram.later.plan.>")
	if err != nil {
		return nil, err
	}

	if err := pause(ctx, time.Until(first.Add(plan.Span/2))); err != nil {
		return nil, err
	}
	away := time.Now()
	if err := s.broker.kill(); err != nil {
		return nil, err
	}
	if err := s.startBroker(ctx); err != nil {
		return nil, err
	}
	back := time.Now()
	err = until(ctx, plan.Span+time.Minute, "all calls", func() (bool, error) {
		return s.sandbox.Stats().Calls >= int64(plan.Sends), d.dead()
	})
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, 2*time.Second); err != nil { // some may come twice
		return nil, err
	}

	var late, disturbed latencies
	early, called := 0, map[int]bool{}
	for _, c := range s.sandbox.Calls(sandbox.Filter{}) {
		i, err := strconv.Atoi(c.Recipient[2:]) // it is a phone number
		if err != nil {
			return nil, err
		}
		called[i] = true
		off := c.At.Sub(due(i))
		switch {
		case off < 0:
			early++
		case due(i).After(away.Add(-plan.Late)) && due(i).Before(back.Add(caughtUp)):
			disturbed = append(disturbed, off)
		default:
			late = append(late, off)
		}
	}
	calls := s.sandbox.Stats().Calls
	var r report
	r.note("sends, published in, planned when the first is due", fmt.Sprintf("%d, %s, %d", plan.Sends, published.Round(time.Millisecond), planned))
	r.add("called early", early, "0", early == 0)
	r.add("never called", plan.Sends-len(called), "0", len(called) == plan.Sends)
	r.add("called twice", calls-int64(len(called)), "0", calls == int64(len(called)))
	r.add("late, but for the restart", late, fmt.Sprintf("p99 %s at most", plan.Late), late.at(0.99) <= plan.Late)
	r.note("broker killed, and back after", back.Sub(away).Round(time.Millisecond))
	r.note(fmt.Sprintf("late of the %d due from then to %s after", len(disturbed), caughtUp), disturbed)
	return r, nil
}

// caughtUp is how long after its return the effects of a broker's absence are
// told apart.
const caughtUp = 3 * time.Second
