package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
)

type soakPlan struct {
	Length time.Duration
	Every  time.Duration // between two looks at everything
	Change time.Duration // in which half of the accounts are others
	Join   time.Duration // in which a dispatcher joins and one stops
	Rate   float64       // sends per second
	Table  io.Writer     // gets a line for each look
}

const (
	soakPool = 60 // accounts, of which half are configured at a time
	soakAge  = time.Minute
)

func soaked(i int) account {
	return account{Name: "soak" + strconv.Itoa(i), Limits: "{per_second: 20, concurrency: 16}"}
}

func (plan soakPlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Journal: 1000}
	for i := range soakPool {
		c.Accounts = append(c.Accounts, soaked(i))
	}
	return c
}

// ages are the shortest that the configuration allows, so that the streams of a
// short soak are full of what is as old as it may get.
var ages = []string{
	"TRAM_STREAMS_DUPLICATES=30s", "TRAM_STREAMS_REQUESTS_MAX_AGE=1m", "TRAM_STREAMS_LEDGER_MAX_AGE=1m",
	"TRAM_STREAMS_EVENTS_MAX_AGE=1m", "TRAM_STREAMS_DEAD_MAX_AGE=1m", "TRAM_DISPATCHER_RETRY_MAX=5s",
	"TRAM_OPS_LISTEN=127.0.0.1:0",
}

// A soaking is a soak under way.
type soaking struct {
	*stage
	plan        soakPlan
	collector   *process
	stays       *process   // a dispatcher
	dispatchers []*process // that come and go
	looks       []look
}

// soak lets sends flow, some of them to accounts that are not there and to a
// provider that fails, while accounts and dispatchers come and go. What it
// takes must not grow.
func soak(ctx context.Context, s *stage, plan soakPlan) (r report, err error) {
	s.env = append(s.env, ages...)
	err = broker.Setup(ctx, s.js, broker.Streams{
		Duplicates: 30 * time.Second, RequestsAge: soakAge, LedgerAge: soakAge, EventsAge: soakAge, DeadAge: soakAge,
	})
	if err != nil {
		return nil, err
	}
	for _, f := range []sandbox.Fault{
		{Probability: 0.02, Seed: 1, Status: 500}, {Probability: 0.01, Seed: 2, How: sandbox.Reset}, {Probability: 0.01, Seed: 3, Status: 400},
	} {
		if _, err := s.sandbox.AddFault(f); err != nil {
			return nil, err
		}
	}
	k := &soaking{stage: s, plan: plan}
	if k.collector, err = s.start("collector"); err != nil {
		return nil, err
	}
	if k.stays, err = s.start("dispatcher"); err != nil {
		return nil, err
	}
	if err := errors.Join(ready(ctx, k.collector), ready(ctx, k.stays), k.join(ctx)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	published := 0
	go func() {
		defer close(done)
		err := s.publish(ctx, 0, int(plan.Length.Seconds()*plan.Rate), plan.Rate, func(i int) (*nats.Msg, error) {
			published++
			return encode(sendTo(soaked(i%soakPool), i))
		})
		if err != nil && ctx.Err() == nil {
			cancel(err)
		}
	}()
	err = k.play(ctx)
	cancel(err)
	<-done
	if err != nil {
		return nil, err
	}
	r.note("soaked for", plan.Length)
	r.note("sends published", published)
	r.note("calls", s.sandbox.Stats().Calls)
	return append(r, k.judge()...), nil
}

// play changes what is there, and looks, until the time is over.
func (k *soaking) play(ctx context.Context) error {
	fmt.Fprintln(k.plan.Table, lookHead)
	begun := time.Now()
	look, change, join := time.NewTicker(k.plan.Every), time.NewTicker(k.plan.Change), time.NewTicker(k.plan.Join)
	defer look.Stop()
	defer change.Stop()
	defer join.Stop()
	for time.Since(begun) < k.plan.Length {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-change.C:
			err = k.change()
		case <-join.C:
			if err = k.join(ctx); err == nil {
				first := k.dispatchers[0]
				k.dispatchers = k.dispatchers[1:]
				err = first.stop()
			}
		case <-look.C:
			l, failed := k.look(ctx, time.Since(begun))
			k.looks, err = append(k.looks, l), failed
			fmt.Fprintln(k.plan.Table, l)
		}
		if err := errors.Join(err, alive(k.collector, k.stays), alive(k.dispatchers...)); err != nil {
			return err
		}
	}
	return nil
}

// change configures another half of the accounts.
func (k *soaking) change() error {
	c := k.plan.scene(0)
	k.random.Shuffle(len(c.Accounts), func(i, j int) { c.Accounts[i], c.Accounts[j] = c.Accounts[j], c.Accounts[i] })
	c.Accounts = c.Accounts[:soakPool/2]
	env := k.env // it has the secrets of all
	defer func() { k.env = env }()
	if err := k.configure(k.sandbox.URL(), 1, c); err != nil {
		return err
	}
	for _, p := range slices.Concat([]*process{k.collector, k.stays}, k.dispatchers) {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			return errors.Join(err, p.dead())
		}
	}
	return nil
}

// join starts one more dispatcher.
func (k *soaking) join(ctx context.Context) error {
	p, err := k.start("dispatcher")
	if err != nil {
		return err
	}
	k.dispatchers = append(k.dispatchers, p)
	return ready(ctx, p)
}

// ready returns when a process is ready: before that it would die of a SIGHUP.
func ready(ctx context.Context, p *process) error {
	return until(ctx, time.Minute, "a process to be ready", func() (bool, error) {
		m, _ := p.metrics(ctx) // it may not listen yet
		return m["tram_ready"] == 1, p.dead()
	})
}
