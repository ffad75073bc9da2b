package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/failpoint"
)

// outlast is how long a process must be unable to renew its lease for others to
// take over.
const outlast = 5 * crashLease / 2

// atPoints has processes die at each of some fail-points as often as is planned,
// in turns, each at a hit that the seed chooses.
func atPoints(dispatchers, collectors []failpoint.Point) func(*crashRun, context.Context) error {
	return func(r *crashRun, ctx context.Context) error {
		turns := map[string]int{}
		points := map[string][]failpoint.Point{"dispatcher": dispatchers, "collector": collectors}
		err := r.cast(func(program string) []string {
			mine := points[program]
			if turns[program] >= r.plan.Kills*len(mine) {
				return nil
			}
			p := mine[turns[program]%len(mine)]
			turns[program]++
			return []string{failpoint.Variable + "=" + r.trap(p)}
		})
		if err != nil {
			return err
		}
		return r.tendUntil(ctx, r.plan.Kills*(len(dispatchers)+len(collectors)))
	}
}

// trap is the setting that kills a process at p.
func (r *crashRun) trap(p failpoint.Point) string {
	switch p {
	case failpoint.CheckpointWritten: // once a second
		return fmt.Sprintf("%s=kill@%d", p, 1+r.random.IntN(3))
	case failpoint.LeaseLost: // it must lose it first
		return fmt.Sprintf("%s=freeze:%s@%d,%s=kill@1", failpoint.BeforeCall, outlast, 1+r.random.IntN(20), p)
	}
	return fmt.Sprintf("%s=kill@%d", p, 1+r.random.IntN(40))
}

// tendUntil replaces who dies until so many have.
func (r *crashRun) tendUntil(ctx context.Context, deaths int) error {
	patience := time.Minute + time.Duration(deaths)*10*time.Second
	err := until(ctx, patience, fmt.Sprintf("%d deaths", deaths), func() (bool, error) {
		err := r.crew.tend()
		return r.crew.deaths >= deaths, err
	})
	r.times = r.crew.deaths
	return err
}

// killAtRandom kills whoever it is, a dispatcher or a collector, whatever it does.
func (r *crashRun) killAtRandom(ctx context.Context) error {
	if err := r.cast(nil); err != nil {
		return err
	}
	for range r.plan.Kills {
		if err := pause(ctx, time.Duration(r.random.IntN(1000))*time.Millisecond); err != nil {
			return err
		}
		if err := r.crew.some("").kill(); err != nil {
			return err
		}
		if err := r.crew.tend(); err != nil {
			return err
		}
	}
	r.times = r.crew.deaths
	return nil
}

// freeze stops dispatchers for longer than the lease, by turns at any moment and
// right before a call, and lets them go on where they were: as a virtual machine
// that is moved does. Others have taken over by then.
func (r *crashRun) freeze(ctx context.Context) error {
	err := r.cast(func(program string) []string {
		if program != "dispatcher" {
			return nil
		}
		return []string{fmt.Sprintf("%s=%s=freeze:%s@2%%,%s=freeze:%s@1%%", failpoint.Variable,
			failpoint.BeforeCall, outlast, failpoint.MidCall, outlast),
			fmt.Sprintf("%s=%d", failpoint.SeedVariable, r.random.Uint64())}
	})
	if err != nil {
		return err
	}
	for range r.plan.Faults {
		m := r.crew.some("dispatcher")
		if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		err := pause(ctx, outlast)
		if err := m.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(r.random.IntN(1000))*time.Millisecond); err != nil {
			return err
		}
		r.times++
	}
	return r.crew.alive()
}

// killBroker kills the broker and starts it at once on what it has stored.
func (r *crashRun) killBroker(ctx context.Context) error {
	return r.withoutBroker(ctx, r.plan.Faults, 0)
}

// loseBroker lets the broker be gone for long.
func (r *crashRun) loseBroker(ctx context.Context) error {
	return r.withoutBroker(ctx, 1, r.plan.Away)
}

func (r *crashRun) withoutBroker(ctx context.Context, times int, away time.Duration) error {
	if err := r.cast(nil); err != nil {
		return err
	}
	for range times {
		if err := r.awaitCalls(ctx, 100); err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(r.random.IntN(1000))*time.Millisecond); err != nil {
			return err
		}
		if err := r.broker.kill(); err != nil {
			return err
		}
		if err := pause(ctx, away); err != nil {
			return err
		}
		if err := r.startBroker(ctx); err != nil {
			return err
		}
		back := time.Now()
		if err := r.awaitCalls(ctx, 1); err != nil {
			return err
		}
		if took := time.Since(back); r.plan.Resume > 0 && took > r.plan.Resume {
			return fmt.Errorf("no call for %s after the broker was back, want %s at most", took, r.plan.Resume)
		}
		r.times++
	}
	return r.crew.alive()
}

// awaitCalls returns when so many more calls have been made.
func (r *crashRun) awaitCalls(ctx context.Context, more int64) error {
	goal := r.sandbox.Stats().Calls + more
	return until(ctx, time.Minute, "calls", func() (bool, error) {
		return r.sandbox.Stats().Calls >= goal, r.crew.alive()
	})
}

func joinFirst(err, then error) error {
	if err != nil {
		return err
	}
	return then
}

// skewScene is that of clocks that jump.
func skewScene() scene {
	c := crashScene()
	c.Skew = true
	return c
}

// jumpClocks puts the dispatchers' clocks on and back by an hour while they run,
// and kills them: the next owner goes on from what such clocks have left, by a
// clock that jumps as well.
func (r *crashRun) jumpClocks(ctx context.Context) error {
	err := r.cast(func(program string) []string {
		if program != "dispatcher" {
			return nil
		}
		jumps := []string{"0"}
		for n := range 1 + r.random.IntN(3) { // the last one stays
			jumps = append(jumps, fmt.Sprintf("%d@%d", []int{-3600, 3600}[(n+r.random.IntN(2))%2], 2*n+1+r.random.IntN(2)))
		}
		return []string{skewVariable + "=" + strings.Join(jumps, ",")}
	})
	if err != nil {
		return err
	}
	for range r.plan.Faults {
		if err := pause(ctx, 2*time.Second+time.Duration(r.random.IntN(2000))*time.Millisecond); err != nil {
			return err
		}
		if err := r.crew.some("dispatcher").kill(); err != nil {
			return err
		}
		if err := r.crew.tend(); err != nil {
			return err
		}
		r.times++
	}
	r.crew.env = nil // what is left is for these very clocks
	return nil
}

// smallScene is that of a broker that can be filled.
func smallScene() scene {
	c := crashScene()
	c.MaxStore = 64 << 20
	return c
}

// fillDisk stores so much in a stream of its own that the broker refuses
// everything, for longer than the lease, and then makes room.
func (r *crashRun) fillDisk(ctx context.Context) error {
	if err := r.cast(nil); err != nil {
		return err
	}
	for range r.plan.Faults {
		if err := r.awaitCalls(ctx, 100); err != nil {
			return err
		}
		if err := r.full(ctx, 5*time.Second); err != nil {
			return err
		}
		r.times++
	}
	return joinFirst(r.awaitCalls(ctx, 1), r.crew.alive())
}

// full keeps the broker full for a while.
func (r *crashRun) full(ctx context.Context, lasts time.Duration) error {
	const filler = "FILLER"
	if _, err := r.js.CreateStream(ctx, jetstream.StreamConfig{Name: filler, Subjects: []string{filler}}); err != nil {
		return err
	}
	for { // until it is full
		if _, err := r.js.Publish(ctx, filler, make([]byte, 1<<20), jetstream.WithRetryAttempts(0)); err != nil {
			if _, refused := errors.AsType[*jetstream.APIError](err); refused {
				break
			}
			return err
		}
	}
	err := pause(ctx, lasts)
	return joinFirst(err, r.js.DeleteStream(ctx, filler))
}
