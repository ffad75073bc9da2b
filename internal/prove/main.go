// Command prove shows what tram promises, on real processes: a broker on disk,
// dispatchers and collectors that are killed, and the sandbox as the judge of
// what was called.
//
//	go run ./internal/prove crash      kill -9 at every fail-point, and other deaths
//	go run ./internal/prove cluster    three servers, whose leaders die
//	go run ./internal/prove malformed  hostile bodies by the million
//
// Each prints a table and exits with 1 if a promise was broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tramhq/tram/internal/sandbox"
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
	case "node":
		if err := serveNode(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "prove:", err)
			os.Exit(1)
		}
		return
	case "cluster":
		var plan clusterPlan
		flags.IntVar(&plan.Times, "times", 3, "that each fault happens")
		flags.Float64Var(&plan.Rate, "rate", 100, "sends published per second, and a tenth as many reports")
		flags.DurationVar(&plan.Away, "away", 15*time.Second, "that a node is cut off or frozen")
		flags.StringVar(&plan.Only, "only", "", "this fault alone")
		run = func() (report, error) {
			plan.Seed = *seed
			return onStage(ctx, plan.scene(), func(s *stage) (report, error) { return proveCluster(ctx, s, plan) })
		}
	case "crash":
		var plan crashPlan
		flags.IntVar(&plan.Kills, "kills", 95, "at each fail-point")
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
		plan := throttlePlan{
			Told: 30 * time.Second, Flow: 15 * time.Second, Down: 45 * time.Second, Probe: 5 * time.Second, Skew: []int{-2, 0, 2}, Use: 0.95, Flat: 2,
			Words: sandbox.Fault{Status: http.StatusOK, Body: `{"code": "errors", "message": "Too Many Attempts."}`}, Said: time.Minute,
		}
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return throttle(ctx, s, plan) })
		}
	case "idle":
		plan := idlePlan{Memory: 100 << 20, CPU: 0.02}
		flags.IntVar(&plan.Accounts, "accounts", 5000, "that are called once each")
		flags.DurationVar(&plan.For, "for", time.Minute, "that nothing happens")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return idle(ctx, s, plan) })
		}
	case "handover":
		plan := handoverPlan{Fleet: 3, Accounts: 40}
		flags.IntVar(&plan.Changes, "changes", 100, "dispatchers that join, and as many that stop")
		flags.Float64Var(&plan.Rate, "rate", 400, "sends per second for all accounts together")
		flags.DurationVar(&plan.Gap, "gap", time.Second, "between two changes, on average")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return handover(ctx, s, plan) })
		}
	case "classes":
		plan := classesPlan{Between: 370 * time.Millisecond}
		flags.IntVar(&plan.Campaign, "campaign", 200_000, "bulk sends")
		flags.IntVar(&plan.Urgent, "urgent", 100, "urgent sends in the midst of it")
		flags.DurationVar(&plan.Shared, "shared", 30*time.Second, "that normal sends are there as well")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return classes(ctx, s, plan) })
		}
	case "poison":
		plan := poisonPlan{Speed: 0.95}
		flags.IntVar(&plan.Good, "good", 20_000, "sends of a round")
		flags.IntVar(&plan.Rounds, "rounds", 4, "without poison, and as many with it")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return poison(ctx, s, plan) })
		}
	case "redrive":
		plan := redrivePlan{Slower: 2}
		flags.IntVar(&plan.Letters, "letters", 100_000, "dead letters")
		flags.Float64Var(&plan.Rate, "rate", 500, "of the redrive, per second")
		flags.Float64Var(&plan.Live, "live", 500, "requests per second for the others, all together")
		flags.IntVar(&plan.Others, "others", 200, "accounts besides")
		flags.DurationVar(&plan.For, "for", 20*time.Second, "that the others are measured without the redrive, at the start and after each kill")
		flags.IntVar(&plan.Kills, "kills", 4, "of the redriving process")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return redrive(ctx, s, plan) })
		}
	case "replay":
		plan := replayPlan{Speed: 50_000}
		flags.IntVar(&plan.Results, "results", 1_000_000, "whose events are made again")
		flags.IntVar(&plan.Kills, "kills", 5, "of a process that makes them")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return replay(ctx, s, plan) })
		}
	case "schedule":
		var plan schedulePlan
		flags.IntVar(&plan.Sends, "sends", 100_000, "that are due later")
		flags.DurationVar(&plan.Ahead, "ahead", 40*time.Second, "from the first publication to the first time due")
		flags.DurationVar(&plan.Span, "span", time.Minute, "over which they are due")
		flags.DurationVar(&plan.Late, "late", 300*time.Millisecond, "that all but one in a hundred may be")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return schedule(ctx, s, plan) })
		}
	case "takeback":
		var plan takebackPlan
		flags.IntVar(&plan.Sends, "sends", 200_000, "of a paused account, all of which are cancelled at once")
		run = func() (report, error) {
			return onStage(ctx, scene{Seed: *seed}, func(s *stage) (report, error) { return takeback(ctx, s, plan) })
		}
	case "rolling":
		var plan rollingPlan
		flags.StringVar(&plan.From, "from", "", "revision of the old programs; without it the newest commit whose code is another than the working tree's")
		flags.IntVar(&plan.Rounds, "rounds", 1, "of a roll back and another update, after the first update")
		flags.DurationVar(&plan.For, "for", time.Minute, "that requests flow at least")
		flags.DurationVar(&plan.Later, "later", 5*time.Second, "after its publication in which every seventh send is due; 0 is none")
		flags.Float64Var(&plan.Rate, "rate", 150, "sends published per second, and a tenth as many reports and cancels")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return rolling(ctx, s, plan) })
		}
	case "soak":
		plan := soakPlan{Every: 15 * time.Second, Change: 10 * time.Second, Join: 20 * time.Second, Table: os.Stdout}
		flags.DurationVar(&plan.Length, "length", 10*time.Minute, "of the soak")
		flags.Float64Var(&plan.Rate, "rate", 200, "sends published per second")
		run = func() (report, error) {
			return onStage(ctx, plan.scene(*seed), func(s *stage) (report, error) { return soak(ctx, s, plan) })
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
	fmt.Fprintln(os.Stderr, "usage: prove crash|cluster|malformed|limits|fairness|throttle|idle|handover|classes|redrive|poison|replay|rolling|schedule|soak|takeback [flags]")
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
