package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
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
		{account{"slow", "{per_second: 10, concurrency: 64}"}, 10, 0},
		{account{"medium", "{per_second: 50, concurrency: 64}"}, 50, 0},
		{account{"fast", "{per_second: 200, concurrency: 64}"}, 200, 0},
		{account{"windows", "{per_second: 30, per_minute: 900, concurrency: 64}"}, 30, 900},
	}
}

// perSecond is what the account can be called at for long.
func (q quota) perSecond() float64 {
	if q.minute > 0 {
		return min(float64(q.second), float64(q.minute)/60)
	}
	return float64(q.second)
}

// limits gives accounts more work than their limits let through, while
// dispatchers join, stop and are killed. No span may hold more calls than the
// provider allows, and nearly as many must have been made. While an account
// goes from one dispatcher to the next it is not called: that gap is told apart.
func limits(ctx context.Context, s *stage, plan limitsPlan) (report, error) {
	owners, stop := s.watchOwners(ctx)
	defer stop()
	if err := s.fillAccounts(ctx, plan.For); err != nil {
		return nil, err
	}
	f := fleet{stage: s, plan: plan, owners: owners}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	var r report
	for _, q := range quotas() {
		f.judge(&r, q)
	}
	twice := s.sandbox.Stats().Duplicates
	r.add(f.name("recipients called twice"), twice, "0", twice == 0)
	return r, nil
}

func (plan limitsPlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Skew: plan.Skew != nil}
	for _, q := range quotas() {
		c.Accounts = append(c.Accounts, q.account)
	}
	return c
}

// fillAccounts publishes a backlog for each account that outlasts the time.
func (s *stage) fillAccounts(ctx context.Context, lasts time.Duration) error {
	from := 0
	for _, q := range quotas() {
		to := from + int(q.perSecond()*(lasts.Seconds()+60))
		if err := s.publish(ctx, from, to, 0, func(i int) (*nats.Msg, error) {
			return encode(sendTo(q.Name, i))
		}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// owners is who has owned each partition, and since when.
type owners struct {
	mu     sync.Mutex
	claims map[int][]claim
}

type claim struct {
	at     time.Time
	member string
}

// watchOwners notes who claims which partition, until stop is called.
func (s *stage) watchOwners(ctx context.Context) (o *owners, stop func()) {
	o = &owners{claims: map[int][]claim{}}
	prefix := "$KV." + broker.OwnersBucket + ".p."
	feed := broker.NewFeed(s.js, "KV_"+broker.OwnersBucket, prefix+"*", 1, func(m *broker.Stored, _ uint64) {
		n, err := strconv.Atoi(strings.TrimPrefix(m.Subject, prefix))
		if err != nil || len(m.Data) == 0 { // released
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.claims[n] = append(o.claims[n], claim{m.Time, string(m.Data)})
	})
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { feed.Run(ctx) })
	return o, func() { cancel(); wg.Wait() }
}

// of returns who has owned the account, oldest first.
func (o *owners) of(account string) []claim {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.claims[broker.Partition("caresoft", account, broker.DefaultPartitions)])
}

// A fleet is the dispatchers, as they come and go.
type fleet struct {
	*stage
	plan   limitsPlan
	owners *owners

	dispatchers []*process
	started     int
	stopped     int
	killed      int
	end         time.Time
}

func (f *fleet) name(what string) string {
	return fmt.Sprintf("%d dispatchers, %s", f.plan.Fleet, what)
}

// run lets the fleet work. In each period one joins and, half a period later,
// one that owns an account goes: stopped and killed in turns.
func (f *fleet) run(ctx context.Context) error {
	for range f.plan.Fleet {
		if err := f.join(); err != nil {
			return err
		}
	}
	err := until(ctx, 20*time.Second, "the first call of each account", func() (bool, error) {
		return len(f.sandbox.Stats().Accounts) == len(quotas()), alive(f.dispatchers...)
	})
	if err != nil {
		return err
	}
	f.end = time.Now().Add(f.plan.For)
	for half := f.plan.Change / 2; ; {
		for _, change := range []func() error{f.join, f.leave} {
			if time.Until(f.end) < half {
				return pause(ctx, time.Until(f.end))
			}
			if err := pause(ctx, half); err != nil {
				return err
			}
			if err := alive(f.dispatchers...); err != nil {
				return err
			}
			if err := change(); err != nil {
				return err
			}
		}
	}
}

func (f *fleet) join() error {
	var env []string
	if n := len(f.plan.Skew); n > 0 {
		env = append(env, skewVariable+"="+strconv.Itoa(f.plan.Skew[f.started%n]))
	}
	p, err := f.start("dispatcher", env...)
	if err != nil {
		return err
	}
	f.dispatchers = append(f.dispatchers, p)
	f.started++
	return nil
}

// leave ends the dispatcher that owns one of the accounts.
func (f *fleet) leave() error {
	qs := quotas()
	claims := f.owners.of(qs[f.random.IntN(len(qs))].Name)
	if len(claims) == 0 {
		return fmt.Errorf("an account that is called has no owner")
	}
	owner := claims[len(claims)-1].member
	for i, p := range f.dispatchers {
		member, err := p.member()
		if err != nil {
			return err
		}
		if member != owner {
			continue
		}
		f.dispatchers = slices.Delete(f.dispatchers, i, i+1)
		if (f.stopped+f.killed)%2 == 0 {
			f.killed++
			p.kill()
			return nil
		}
		f.stopped++
		return p.stop()
	}
	return fmt.Errorf("owner %s is none of the dispatchers", owner)
}

// judge adds what became of one account's limits.
func (f *fleet) judge(r *report, q quota) {
	var calls []time.Time
	for _, c := range f.sandbox.Calls(sandbox.Filter{Account: q.Name}) {
		if c.At.Before(f.end) {
			calls = append(calls, c.At)
		}
	}
	slices.SortFunc(calls, time.Time.Compare)
	spacing := time.Duration(float64(time.Second) / q.perSecond())
	gaps := takeOvers(calls, f.owners.of(q.Name), spacing)
	var lost, longest time.Duration
	for _, g := range gaps {
		lost += g
		longest = max(longest, g)
	}
	busy := f.end.Sub(calls[0]) + spacing - lost
	use := float64(len(calls)) / busy.Seconds() / q.perSecond()

	name := func(what string) string { return f.name(q.Name + ", " + what) }
	second := mostIn(calls, time.Second)
	r.add(name("most calls in any second"), second, fmt.Sprintf("%d at most", q.second), second <= q.second)
	if q.minute > 0 && f.plan.For > time.Minute {
		minute := mostIn(calls, time.Minute)
		r.add(name("most calls in any minute"), minute, fmt.Sprintf("%d at most", q.minute), minute <= q.minute)
	}
	r.add(name("use of the limit"), fmt.Sprintf("%.1f %%", 100*use), fmt.Sprintf("%.0f %% at least", 100*f.plan.Use), use >= f.plan.Use)
	r.note(name("taken over"), fmt.Sprintf("%d times, %s not called, %s at once", len(gaps), lost.Round(time.Millisecond), longest.Round(time.Millisecond)))
}

// mostIn is the most calls in any span of time per, its start excluded.
func mostIn(calls []time.Time, per time.Duration) int {
	most, first := 0, 0
	for i, at := range calls {
		for at.Sub(calls[first]) >= per {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// takeOvers is how long an account was not called around each change of its
// owner, beyond the time between two calls.
func takeOvers(calls []time.Time, claims []claim, spacing time.Duration) []time.Duration {
	var gaps []time.Duration
	before := -1
	for _, c := range claims {
		i, _ := slices.BinarySearchFunc(calls, c.at, time.Time.Compare)
		if i == 0 || i == len(calls) || i == before { // before the first call, after the last, or still in the same gap
			continue
		}
		before = i
		gaps = append(gaps, max(0, calls[i].Sub(calls[i-1])-spacing))
	}
	return gaps
}
