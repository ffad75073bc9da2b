package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

type limitsPlan struct {
	Fleet  int           // dispatchers at a time
	For    time.Duration // that the limits are watched
	Change time.Duration // in which one dispatcher joins and one goes
	Skew   []int         // seconds by which the dispatchers' clocks are off, in turns; nil: none is
	Use    float64       // share of its limit that an account must use
	Slack  float64       // share of a limit by which calls may exceed it as they arrive: they come closer together where the machine holds them up
}

// spare is how much longer a backlog lasts than the limits are watched: the first
// accounts are called while the last are still waiting for it.
const spare = 20 * time.Second

// A quota is what a provider allows one account, or several together.
type quota struct {
	name           string
	accounts       []account
	group          bool // that share it
	second, minute int
}

func quotas() []quota {
	return []quota{
		one("slow", "per_second: 10", 10, 0),
		one("medium", "per_second: 50", 50, 0),
		one("fast", "per_second: 200", 200, 0),
		one("windows", "per_second: 30, per_minute: 900", 30, 900),
		{name: "app", group: true, second: 60, accounts: []account{limited("app1", "per_second: 1000"), limited("app2", "per_second: 30"), limited("app3", "per_second: 1000")}},
	}
}

func one(name, limits string, second, minute int) quota {
	return quota{name: name, accounts: []account{limited(name, limits)}, second: second, minute: minute}
}

func limited(name, limits string) account {
	return account{Name: name, Limits: "{" + limits + ", concurrency: 64}"}
}

// home is the partition whose owner keeps the quota.
func (q quota) home() int {
	if q.group {
		return broker.GroupPartition(q.name, broker.DefaultPartitions)
	}
	return q.accounts[0].partition()
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
		c.Accounts = append(c.Accounts, q.accounts...)
		if q.group {
			c.Groups = append(c.Groups, group{q.name, q.accounts, fmt.Sprintf("{per_second: %d}", q.second)})
		}
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
		for _, a := range q.accounts {
			if err := s.fill(ctx, a, q.perSecond(), plan.For+spare); err != nil {
				return nil, err
			}
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
	err = until(ctx, time.Minute, "the first call of each account", func() (bool, error) {
		return len(f.sandbox.Stats().Accounts) == len(plan.scene(0).Accounts), alive(f.dispatchers...)
	})
	from = time.Now()
	to = from.Add(plan.For)
	half := plan.Change / 2
	for i := 0; err == nil && time.Until(to) > half; i++ {
		if err = pause(ctx, half); err != nil {
			break
		}
		gone := quotas()[f.random.IntN(len(quotas()))].home()
		switch i % 4 {
		case 0, 2:
			err = f.join()
		case 1:
			err = f.leaveHome(gone, (*process).kill)
		case 3:
			err = f.leaveHome(gone, (*process).stop)
		}
	}
	if err == nil {
		err = pause(ctx, time.Until(to))
	}
	return from, to, err
}

// judgeQuota adds what became of one account's limits.
func (f *fleet) judgeQuota(r *report, plan limitsPlan, q quota, from, to time.Time) error {
	calls, err := f.recordOf(q.accounts, q.home(), from, to, q.perSecond())
	if err != nil {
		return err
	}
	name := func(what string) string { return fmt.Sprintf("%d dispatchers, %s, %s", plan.Fleet, q.name, what) }
	second, most := calls.most(time.Second), int(float64(q.second)*(1+plan.Slack))
	r.add(name("most calls in any second"), second, fmt.Sprintf("%d at most", most), second <= most)
	if q.minute > 0 && plan.For > time.Minute {
		minute := calls.most(time.Minute)
		r.add(name("most calls in any minute"), minute, fmt.Sprintf("%d at most", q.minute), minute <= q.minute)
	}
	least := plan.Use
	if q.group { // whose places must be a little further apart
		least -= 0.05
	}
	r.add(name("use of the limit"), percent(calls.use), percent(least)+" at least", calls.use >= least)
	r.note(name("taken over"), calls.takeOvers())
	return nil
}
