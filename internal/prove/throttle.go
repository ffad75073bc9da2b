package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/sandbox"
)

type throttlePlan struct {
	Told  time.Duration // Retry-After, in whole seconds
	Words sandbox.Fault // a refusal in the body of an answer
	Said  time.Duration // the silence that it means
	Flow  time.Duration // of the stretches before and after each trouble
	Down  time.Duration // how long providers are out
	Probe time.Duration // a breaker's interval
	Skew  []int         // as in limits
	Use   float64       // as in limits
	Slack float64       // the same
	Flat  float64       // how many times its p99 other accounts' sends may take. 0: no time is judged
}

const (
	throttleLimit = 50  // per second, of each account with a backlog
	calmAccounts  = 20  // without one
	calmRate      = 200 // sends per second for them together
)

// The accounts with a backlog, by what befalls their provider.
var (
	backlogged = fmt.Sprintf("{per_second: %d, concurrency: 64}", throttleLimit)
	told       = account{Provider: "ahachat", Name: "told", Limits: backlogged}   // 429 with Retry-After
	untold     = account{Provider: "ahachat", Name: "untold", Limits: backlogged} // 429 without
	worded     = account{Name: "worded", Limits: backlogged}                      // CareSoft says it in its own words
	down       = account{Provider: "ahachat", Name: "down", Limits: backlogged}   // 503
	gone       = account{Provider: "ahachat", Name: "gone", Limits: backlogged, Wired: true}
	alongside  = account{Provider: "ahachat", Name: "alongside", Limits: backlogged} // nothing
)

func calm(i int) account {
	return account{Name: "calm" + strconv.Itoa(i), Limits: "{per_second: 1000, concurrency: 64}"}
}

func (plan throttlePlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Skew: plan.Skew != nil}
	for _, a := range []account{told, untold, worded, down, gone, alongside} {
		a.Breaker = fmt.Sprintf("{min_calls: 10, window: 2s, open: %s}", plan.Probe)
		c.Accounts = append(c.Accounts, a)
	}
	for i := range calmAccounts {
		c.Accounts = append(c.Accounts, calm(i))
	}
	return c
}

// trouble is the fleet with what is measured while its providers make trouble.
type trouble struct {
	*fleet
	plan throttlePlan
	r    report

	mu        sync.Mutex
	published map[int]time.Time // sends of the calm accounts
	stretches []*stretch        // in which nobody joins or goes
}

// throttle lets providers refuse calls because there were too many, and then
// takes two of them down, while dispatchers work backlogs, and join, stop and
// are killed. Nobody may call an account before its time, or a provider that is
// down but for a probe; all must come back without a burst, and other accounts
// must not notice.
func throttle(ctx context.Context, s *stage, plan throttlePlan) (report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lasts := 5*plan.Flow + max(plan.Told, plan.Said) + plan.Down + time.Minute
	for _, a := range []account{told, untold, worded, down, gone, alongside} {
		if err := s.fill(ctx, a, throttleLimit, lasts); err != nil {
			return nil, err
		}
	}
	f, err := s.newFleet(ctx, 3, plan.Skew)
	if err != nil {
		return nil, err
	}
	t := &trouble{fleet: f, plan: plan, published: map[int]time.Time{}}
	flow := s.load(ctx, calmRate, func(i int) (*nats.Msg, error) {
		t.mu.Lock()
		t.published[i] = time.Now()
		t.mu.Unlock()
		return encode(sendTo(calm(i%calmAccounts), i))
	})
	err = until(ctx, time.Minute, "the first call of each account", func() (bool, error) {
		return len(s.sandbox.Stats().Accounts) == 6+calmAccounts, alive(f.dispatchers...)
	})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	err = errors.Join(t.rest(ctx, "before", plan.Flow), t.rest(ctx, "before, once more", plan.Flow))
	if err == nil {
		err = errors.Join(t.refuse(ctx), t.takeDown(ctx))
	}
	if err = errors.Join(err, flow.stop()); err != nil {
		return nil, err
	}
	calls, err := f.record(alongside, start, time.Now(), throttleLimit)
	if err != nil {
		return nil, err
	}
	t.r.add("other account with a backlog, use of its limit throughout", percent(calls.use), percent(plan.Use)+" at least", calls.use >= plan.Use)
	t.r.note("other account with a backlog, taken over", calls.takeOvers())
	t.judgeCalm()
	return t.r, nil
}

// rest is a stretch of time in which the fleet stays as it is.
func (t *trouble) rest(ctx context.Context, what string, d time.Duration) error {
	s := &stretch{what: what, from: time.Now()}
	t.stretches = append(t.stretches, s)
	err := pause(ctx, d)
	s.to = time.Now()
	return err
}

// replace ends the dispatcher that owns a, once one does.
func (t *trouble) replace(ctx context.Context, a account, end func(*process) error) error {
	err := until(ctx, 20*time.Second, "an owner of "+a.Name, func() (bool, error) {
		claims := t.owners(a.partition())
		for _, p := range t.dispatchers {
			member, err := p.member()
			if err != nil || member != "" && claims[len(claims)-1].member == member {
				return true, err
			}
		}
		return false, alive(t.dispatchers...)
	})
	if err != nil {
		return err
	}
	return t.leave(a, end)
}

// refuse has one call each of three accounts refused.
func (t *trouble) refuse(ctx context.Context) error {
	faults := []sandbox.Fault{
		{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": strconv.Itoa(int(t.plan.Told.Seconds()))}},
		{Status: http.StatusTooManyRequests},
		t.plan.Words,
	}
	accounts, ids := []account{told, untold, worded}, make([]int64, 3)
	for i, fault := range faults {
		fault.Provider, fault.Account, fault.Count = accounts[i].provider(), accounts[i].Name, 1
		id, err := t.sandbox.AddFault(fault)
		if err != nil {
			return err
		}
		ids[i] = id
	}
	third := t.plan.Told / 3
	if err := t.rest(ctx, "while accounts are silent", third); err != nil {
		return err
	}
	if err := errors.Join(t.join(), t.replace(ctx, told, (*process).stop), pause(ctx, third)); err != nil {
		return err
	}
	if err := errors.Join(t.join(), t.replace(ctx, told, (*process).kill)); err != nil {
		return err
	}
	if err := pause(ctx, third+max(0, t.plan.Said-t.plan.Told)+t.plan.Flow); err != nil {
		return err
	}
	for i, silence := range []struct {
		what string
		wait time.Duration
	}{
		{fmt.Sprintf("429, Retry-After: %.0f", t.plan.Told.Seconds()), t.plan.Told},
		{"429 without a time", time.Second},
		{fmt.Sprintf("%d and words in the body", t.plan.Words.Status), t.plan.Said},
	} {
		if err := t.judgeSilence(ctx, silence.what, accounts[i], ids[i], silence.wait); err != nil {
			return err
		}
	}
	return nil
}

// takeDown has one provider answer 503 and cannot reach another for a while.
func (t *trouble) takeDown(ctx context.Context) error {
	fault, err := t.sandbox.AddFault(sandbox.Fault{
		Provider: down.provider(), Account: down.Name, Status: http.StatusServiceUnavailable,
	})
	if err != nil {
		return err
	}
	t.far.Stop()
	start, third := time.Now(), t.plan.Down/3
	if err := t.rest(ctx, "while providers are down", third); err != nil {
		return err
	}
	// Who takes over from a dispatcher that is killed knows what it knew a second
	// before.
	err = until(ctx, time.Minute, "an open breaker", func() (bool, error) {
		calls := t.sandbox.Calls(sandbox.Filter{Account: down.Name})
		late := func(c sandbox.Call) bool { return time.Since(c.At) < 3*time.Second/2 }
		return !slices.ContainsFunc(calls, late), alive(t.dispatchers...)
	})
	if err != nil {
		return err
	}
	if err := errors.Join(t.join(), t.replace(ctx, down, (*process).kill), pause(ctx, third)); err != nil {
		return err
	}
	if err := errors.Join(t.join(), t.replace(ctx, gone, (*process).stop)); err != nil {
		return err
	}
	if err := pause(ctx, time.Until(start.Add(t.plan.Down))); err != nil {
		return err
	}
	t.sandbox.RemoveFault(fault)
	if err := t.far.Start(); err != nil {
		return err
	}
	back := time.Now()
	err = until(ctx, time.Minute, "both providers to be called again", func() (bool, error) {
		again := true
		for _, a := range []account{down, gone} {
			again = again && slices.ContainsFunc(t.sandbox.Calls(sandbox.Filter{Account: a.Name}), func(c sandbox.Call) bool { return c.At.After(back) })
		}
		return again, alive(t.dispatchers...)
	})
	if err := errors.Join(err, pause(ctx, t.plan.Flow)); err != nil {
		return err
	}
	for what, a := range map[string]account{"provider answers 503": down, "provider refuses connections": gone} {
		if err := t.judgeOutage(ctx, what, a, start, back); err != nil {
			return err
		}
	}
	return nil
}
