// Command prove shows what tram promises, on real processes: a broker on disk,
// dispatchers and collectors that are killed, and the sandbox as the judge of
// what was called.
//
//	go run ./internal/prove crash      kill -9 at every fail-point, and other deaths
//	go run ./internal/prove malformed  hostile bodies by the million
//
// Each prints a table and exits with 1 if a promise was broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		usage()
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	seed := flags.Uint64("seed", 1, "of everything random")
	var run func() (report, error)
	switch os.Args[1] {
	case "broker":
		if err := serveBroker(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "prove:", err)
			os.Exit(1)
		}
		return
	case "crash":
		var plan crashPlan
		flags.IntVar(&plan.Kills, "kills", 100, "at each fail-point")
		flags.IntVar(&plan.Faults, "faults", 10, "of each other kind")
		flags.Float64Var(&plan.Rate, "rate", 150, "sends published per second")
		flags.DurationVar(&plan.Away, "away", time.Minute, "that the broker is gone when it is")
		flags.StringVar(&plan.Only, "only", "", "this death alone")
		plan.Resume = 10 * time.Second
		run = func() (report, error) { return crash(ctx, *seed, plan) }
	case "malformed":
		bodies := flags.Int("bodies", 1_000_000, "to publish")
		run = func() (report, error) {
			return onStage(ctx, scene{Seed: *seed}, func(s *stage) (report, error) { return malformed(ctx, s, *bodies) })
		}
	case "limits":
		lasts := flags.Duration("for", 2*time.Minute, "that each fleet is watched")
		change := flags.Duration("change", 10*time.Second, "in which one dispatcher joins and one goes")
		run = func() (r report, err error) {
			for _, n := range []int{1, 3, 10} {
				plan := limitsPlan{Fleet: n, For: *lasts, Change: *change, Skew: []int{-2, 0, 2}, Use: 0.95}
				found, err := onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return limits(ctx, s, plan) })
				if r = append(r, found...); err != nil {
					return r, err
				}
			}
			return r, nil
		}
	case "fairness":
		var plan fairnessPlan
		flags.IntVar(&plan.Backlog, "backlog", 1_000_000, "requests for the one account")
		flags.Float64Var(&plan.Burst, "burst", 5000, "of them per second as they come; 0 is as fast as it goes")
		flags.IntVar(&plan.Others, "others", 2000, "accounts besides")
		flags.Float64Var(&plan.Rate, "rate", 2000, "requests per second for all of the others")
		flags.DurationVar(&plan.For, "for", time.Minute, "that the others are measured, without the backlog and with it")
		flags.Int64Var(&plan.Memory, "memory", 64<<20, "bytes that the dispatcher may take")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return fairness(ctx, s, plan) })
		}
	case "throttle":
		plan := throttlePlan{Told: 30 * time.Second, Flow: 15 * time.Second, Down: 30 * time.Second, Probe: 5 * time.Second, Skew: []int{-2, 0, 2}, Use: 0.95}
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return throttle(ctx, s, plan) })
		}
	default:
		usage()
	}
	_ = flags.Parse(os.Args[2:]) // exits on an error
	r, err := sharingPrograms(run)
	r.print(os.Stdout)
	if err = errors.Join(err, r.verdict()); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: prove crash|malformed|limits|fairness|throttle [flags]")
	os.Exit(2)
}

// onStage sets the stage and plays on it.
func onStage(ctx context.Context, c scene, play func(*stage) (report, error)) (report, error) {
	s, err := newStage(ctx, c)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return play(s)
}
