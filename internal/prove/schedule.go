package main

import (
	"context"
	"fmt"
	"slices"
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

// schedule publishes sends that are due later, evenly, and kills the broker after
// a third of them: enough is left to see that it is in time again. None may be called early, lost or called twice, nor but for the
// restart late.
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

	if err := pause(ctx, time.Until(first.Add(plan.Span/3))); err != nil {
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

	out := outage{plan: plan, due: due, away: away, back: back}
	r, err := out.judge(s.sandbox.Calls(sandbox.Filter{}))
	if err != nil {
		return nil, err
	}
	r.note("published in, planned when the first is due", fmt.Sprintf("%s, %d", published.Round(time.Millisecond), planned))
	return r, nil
}

// An outage is when the broker was away while sends came due.
type outage struct {
	plan       schedulePlan
	due        func(i int) time.Time
	away, back time.Time
}

// judge tells what the calls were like. How late they are counts but for what the
// restart has made late: what came due from the kill until the account's first
// send after it that was in time again, for accounts come back one by one.
func (o *outage) judge(calls []sandbox.Call) (report, error) {
	early, at := 0, map[int]time.Time{}
	for _, c := range calls {
		i, err := strconv.Atoi(c.Recipient[2:]) // it is a phone number
		if err != nil {
			return nil, err
		}
		if c.At.Before(o.due(i)) {
			early++
		}
		at[i] = c.At
	}
	var again [schedulers]time.Time
	for i := range again {
		again[i] = o.due(o.plan.Sends) // never
	}
	tried, came := map[int]bool{}, map[int]bool{} // of the accounts, since the broker is back
	for i, called := range at {
		a, due := i%schedulers, o.due(i)
		if due.Before(o.back) {
			continue
		}
		tried[a] = true
		if called.Sub(due) <= o.plan.Late && due.Before(again[a]) {
			came[a], again[a] = true, due
		}
	}
	var before, meanwhile, after latencies
	for i, called := range at {
		switch due := o.due(i); {
		case !due.After(o.away.Add(-o.plan.Late)): // the others may have been about to be called
			before = append(before, called.Sub(due))
		case due.Before(again[i%schedulers]):
			meanwhile = append(meanwhile, called.Sub(due))
		default:
			after = append(after, called.Sub(due))
		}
	}
	late := slices.Concat(before, after)
	var r report
	r.note("sends", o.plan.Sends)
	r.add("called early", early, "0", early == 0)
	r.add("never called", o.plan.Sends-len(at), "0", len(at) == o.plan.Sends)
	r.add("called twice", len(calls)-len(at), "0", len(calls) == len(at))
	r.add("late, outside the restart", late, fmt.Sprintf("p99 %s at most", o.plan.Late), late.at(0.99) <= o.plan.Late)
	r.note("of these before the kill", before)
	r.note("of these in time again", after)
	r.add("accounts in time again before the end", len(came), strconv.Itoa(len(tried)), len(came) == len(tried))
	first, last := slices.MinFunc(again[:], time.Time.Compare), slices.MaxFunc(again[:], time.Time.Compare)
	r.note("from the kill until the broker is back", o.back.Sub(o.away).Round(time.Millisecond))
	r.note("until the first and last account is in time again", fmt.Sprintf("%s, %s", first.Sub(o.away).Round(time.Millisecond), last.Sub(o.away).Round(time.Millisecond)))
	r.note(fmt.Sprintf("late of the %d due meanwhile", len(meanwhile)), meanwhile)
	return r, nil
}
