package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
)

// A rollingPlan says how a fleet goes from old programs to those of the working
// tree and back.
type rollingPlan struct {
	From   string        // revision of the old programs; "" is the newest whose code is another
	Same   bool          // the old programs are the present ones, and the machine has other work: who is slow then may be in doubt
	Rounds int           // updates with a roll back; one more update follows
	For    time.Duration // that requests flow at least, all in all
	Later  time.Duration // after its publication in which every seventh send is due; 0 is none
	Rate   float64       // sends published per second, and a tenth as many reports and cancels
}

const (
	rollingDispatchers = 3
	rollingCollectors  = 2
)

func (plan rollingPlan) scene(seed uint64) scene {
	return scene{Seed: seed, Accounts: crashAccounts, Journal: 2_000_000, Bare: true}
}

// step is how long the fleet stays as it is between two replacements.
func (plan rollingPlan) step() time.Duration {
	return plan.For / time.Duration((2*plan.Rounds+1)*(rollingDispatchers+rollingCollectors))
}

// A rollingRun is the proof in the making.
type rollingRun struct {
	*fleet
	plan       rollingPlan
	collectors []*process
	replaced   int

	mu  sync.Mutex
	due map[int]time.Time // of the sends that are due later
}

// rolling updates every process to the present programs, one after the other and
// in the order of docs/upgrading.md, takes them back, and so on, while requests
// flow. Nobody is killed: so nothing may be lost, called twice or left unknown,
// whichever programs work side by side.
func rolling(ctx context.Context, s *stage, plan rollingPlan) (r report, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	now, err := s.present(ctx)
	if err != nil {
		return nil, err
	}
	old := now
	if !plan.Same {
		if old, err = s.past(ctx, plan.From); err != nil {
			return nil, err
		}
	}
	s.log.Info("built", "old", old.name, "new", now.name)
	s.programs = old.dir
	if err := s.setup(ctx); err != nil {
		return nil, err
	}
	f, err := s.newFleet(ctx, rollingDispatchers, nil)
	if err != nil {
		return nil, err
	}
	run := &rollingRun{fleet: f, plan: plan, due: map[int]time.Time{}}
	for range rollingCollectors {
		if err := run.startCollector(); err != nil {
			return nil, err
		}
	}
	judge, err := run.underLoad(ctx, old, now)
	if err != nil {
		return nil, fmt.Errorf("%w; the logs are in %s", err, s.keepLogs())
	}
	r.note("old, new", old.name+", "+now.name)
	r.note("processes replaced", run.replaced)
	if err := judge(&r); err != nil {
		return r, err
	}
	if r.verdict() != nil {
		r.note("logs", s.keepLogs())
	}
	return r, nil
}

// underLoad plays all rounds while requests are published, and returns what
// judges them.
func (r *rollingRun) underLoad(ctx context.Context, old, now *build) (func(*report) error, error) {
	if err := r.even(ctx); err != nil {
		return nil, err
	}
	cancelled, err := r.takes(ctx, "tram.cancel.*.*.*")
	if err != nil {
		return nil, err
	}
	load, reports := r.load(ctx, r.plan.Rate, r.send), r.loadReports(ctx, r.plan.Rate/10)
	taking := new(cancels)
	if cancelled { // else the old programs know of none
		taking = r.cancels(ctx, load, r.plan.Rate)
	}
	err = r.update(ctx, now)
	for range r.plan.Rounds {
		if err == nil {
			err = r.rollBack(ctx, old)
		}
		if err == nil {
			err = r.update(ctx, now)
		}
	}
	for _, stop := range []func() error{taking.stop, load.stop, reports.stop} {
		if stopErr := stop(); err == nil {
			err = stopErr
		}
	}
	return func(table *report) error { return r.judge(ctx, table, taking, reports) }, err
}

// takes reports whether a subject is one of REQUESTS.
func (r *rollingRun) takes(ctx context.Context, subject string) (bool, error) {
	st, err := r.js.Stream(ctx, broker.Requests)
	if err != nil {
		return false, err
	}
	return slices.Contains(st.CachedInfo().Config.Subjects, subject), nil
}

// send is send number i, of which some are due later.
func (r *rollingRun) send(i int) (*nats.Msg, error) {
	s := sendTo(crashAccounts[i%len(crashAccounts)], i)
	s.Send.OnAmbiguous = policyOf(i)
	if r.plan.Later > 0 && i%7 == 3 {
		due := time.Now().Add(r.plan.Later)
		s.Send.NotBeforeMS = due.UnixMilli()
		r.mu.Lock()
		r.due[i] = time.UnixMilli(due.UnixMilli())
		r.mu.Unlock()
	}
	return encode(s)
}

// update replaces everything by the programs of b: first the streams, then who
// reads results, last who writes them.
func (r *rollingRun) update(ctx context.Context, b *build) error {
	r.programs = b.dir
	return inTurn(ctx, r.setup, r.replaceCollectors, r.replaceDispatchers)
}

// rollBack does so in the reverse order, but for the streams: a process does not
// start on others than its own.
func (r *rollingRun) rollBack(ctx context.Context, b *build) error {
	r.programs = b.dir
	return inTurn(ctx, r.setup, r.replaceDispatchers, r.replaceCollectors)
}

func inTurn(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// replaceDispatchers replaces the oldest of them, as often as there are some. Of
// some the successor joins first, as a deployment with a surge has it, of others
// it comes when there is one less.
func (r *rollingRun) replaceDispatchers(ctx context.Context) error {
	stop := func() error { return r.retire(ctx, 0) }
	for range rollingDispatchers {
		if err := r.inAnyOrder(stop, r.join); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *rollingRun) replaceCollectors(ctx context.Context) error {
	for range rollingCollectors {
		first := r.collectors[0]
		stop := func() error {
			r.collectors = slices.DeleteFunc(r.collectors, func(p *process) bool { return p == first })
			return first.stop()
		}
		if err := r.inAnyOrder(stop, r.startCollector); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *rollingRun) inAnyOrder(one, other func() error) error {
	if r.random.IntN(2) == 0 {
		one, other = other, one
	}
	if err := one(); err != nil {
		return err
	}
	return other()
}

func (r *rollingRun) startCollector() error {
	p, err := r.start("collector")
	if err == nil {
		r.collectors = append(r.collectors, p)
	}
	return err
}

// settle returns when everybody works and the partitions are spread evenly, and
// the fleet has stayed like that for a while.
func (r *rollingRun) settle(ctx context.Context) error {
	r.replaced++
	err := until(ctx, time.Minute, "a collector to start", func() (bool, error) {
		for _, p := range r.collectors {
			if ok, err := p.started(); !ok || err != nil {
				return false, errors.Join(err, p.dead())
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := r.even(ctx); err != nil {
		return err
	}
	return pause(ctx, r.plan.step())
}

// started reports whether a process has come as far as its work, by its log.
func (p *process) started() (bool, error) {
	log, err := os.ReadFile(p.log.Name())
	return strings.Contains(string(log), "msg=started"), err
}
