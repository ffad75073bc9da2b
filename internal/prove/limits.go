package main

import (
	"context"
	"fmt"
	"time"
)

type limitsPlan struct {
	Fleet  int           // dispatchers at a time
	For    time.Duration // that the limits are watched
	Change time.Duration // in which one dispatcher joins and one goes
	Skew   []int         // seconds by which the dispatchers' clocks are off, in turns; nil: none is
	Use    float64       // share of its limit that an account must use
}

// A quota is an account with what its provider allows.
type quota struct {
	account
	second, minute int
}

func quotas() []quota {
	return []quota{
		{account{Name: "slow", Limits: "{per_second: 10, concurrency: 64}"}, 10, 0},
		{account{Name: "medium", Limits: "{per_second: 50, concurrency: 64}"}, 50, 0},
		{account{Name: "fast", Limits: "{per_second: 200, concurrency: 64}"}, 200, 0},
		{account{Name: "windows", Limits: "{per_second: 30, per_minute: 900, concurrency: 64}"}, 30, 900},
	}
}

// perSecond is what the account can be called at for long.
func (q quota) perSecond() float64 {
	if q.minute > 0 {
		return min(float64(q.second), float64(q.minute)/60)
	}
	return float64(q.second)
}

func (plan limitsPlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Skew: plan.Skew != nil}
	for _, q := range quotas() {
		c.Accounts = append(c.Accounts, q.account)
	}
	return c
}

// limits gives accounts more work than their limits let through, while
// dispatchers join, stop and are killed. No span may hold more calls than the
// provider allows, and nearly as many must have been made. While an account
// goes from one dispatcher to the next it is not called: that gap is told apart.
func limits(ctx context.Context, s *stage, plan limitsPlan) (report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, q := range quotas() {
		if err := s.fill(ctx, q.account, q.perSecond(), plan.For+time.Minute); err != nil {
			return nil, err
		}
	}
	f, err := s.newFleet(ctx, plan.Fleet, plan.Skew)
	if err != nil {
		return nil, err
	}
	from, to, err := f.comeAndGo(ctx, plan)
	if err != nil {
		return nil, err
	}
	var r report
	for _, q := range quotas() {
		if err := f.judgeQuota(&r, plan, q, from, to); err != nil {
			return nil, err
		}
	}
	twice := s.sandbox.Stats().Duplicates
	r.add(fmt.Sprintf("%d dispatchers, recipients called twice", plan.Fleet), twice, "0", twice == 0)
	return r, nil
}

// comeAndGo lets the fleet work for the planned time, once each account has
// been called. In each period one dispatcher joins and, half a period later, one
// that owns an account goes: killed and stopped in turns.
func (f *fleet) comeAndGo(ctx context.Context, plan limitsPlan) (from, to time.Time, err error) {
	err = until(ctx, 20*time.Second, "the first call of each account", func() (bool, error) {
		return len(f.sandbox.Stats().Accounts) == len(quotas()), alive(f.dispatchers...)
	})
	from = time.Now()
	to = from.Add(plan.For)
	half := plan.Change / 2
	for i := 0; err == nil && time.Until(to) > half; i++ {
		if err = pause(ctx, half); err != nil {
			break
		}
		gone := quotas()[f.random.IntN(len(quotas()))].account
		switch i % 4 {
		case 0, 2:
			err = f.join()
		case 1:
			err = f.leave(gone, (*process).kill)
		case 3:
			err = f.leave(gone, (*process).stop)
		}
	}
	if err == nil {
		err = pause(ctx, time.Until(to))
	}
	return from, to, err
}

// judgeQuota adds what became of one account's limits.
func (f *fleet) judgeQuota(r *report, plan limitsPlan, q quota, from, to time.Time) error {
	calls, err := f.record(q.account, from, to, q.perSecond())
	if err != nil {
		return err
	}
	name := func(what string) string { return fmt.Sprintf("%d dispatchers, %s, %s", plan.Fleet, q.Name, what) }
	second := calls.most(time.Second)
	r.add(name("most calls in any second"), second, fmt.Sprintf("%d at most", q.second), second <= q.second)
	if q.minute > 0 && plan.For > time.Minute {
		minute := calls.most(time.Minute)
		r.add(name("most calls in any minute"), minute, fmt.Sprintf("%d at most", q.minute), minute <= q.minute)
	}
	r.add(name("use of the limit"), percent(calls.use), percent(plan.Use)+" at least", calls.use >= plan.Use)
	r.note(name("taken over"), calls.takeOvers())
	return nil
}
