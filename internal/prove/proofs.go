package main

import (
	"context"
	"flag"
	"net/http"
	"os"
	"time"

	"github.com/tramhq/tram/internal/sandbox"
)

// A run is a proof whose flags have been read.
type run func(ctx context.Context, seed uint64) (report, error)

// A proof is one that can be asked for by its name.
type proof struct {
	name, shows string
	plan        func(*flag.FlagSet) run // adds the proof's flags
}

var proofs = []proof{
	{"crash", "kill -9 at every fail-point, and other deaths", func(f *flag.FlagSet) run {
		plan := crashPlan{Resume: 10 * time.Second}
		f.IntVar(&plan.Kills, "kills", 95, "at each fail-point")
		f.IntVar(&plan.Faults, "faults", 10, "of each other kind")
		f.Float64Var(&plan.Rate, "rate", 150, "sends published per second")
		f.DurationVar(&plan.Away, "away", time.Minute, "that the broker is gone when it is")
		f.StringVar(&plan.Only, "only", "", "this death alone")
		return func(ctx context.Context, seed uint64) (report, error) { return crash(ctx, seed, plan) }
	}},
	{"cluster", "three servers whose leaders die, are cut off and restarted", func(f *flag.FlagSet) run {
		var plan clusterPlan
		f.IntVar(&plan.Times, "times", 3, "that each fault happens")
		f.Float64Var(&plan.Rate, "rate", 100, "sends published per second, and a tenth as many reports")
		f.DurationVar(&plan.Away, "away", 15*time.Second, "that a node is cut off or frozen")
		f.StringVar(&plan.Only, "only", "", "this fault alone")
		return on(&plan, proveCluster)
	}},
	{"malformed", "hostile bodies by the million", func(f *flag.FlagSet) run {
		var plan malformedPlan
		f.IntVar(&plan.Bodies, "bodies", 1_000_000, "to publish")
		return on(&plan, malformed)
	}},
	{"limits", "1, 3 and 10 dispatchers that come and go, judged at the provider's side", func(f *flag.FlagSet) run {
		plan := limitsPlan{Skew: []int{-2, 0, 2}, Use: 0.95}
		f.DurationVar(&plan.For, "for", 2*time.Minute, "that each fleet is watched")
		f.DurationVar(&plan.Change, "change", 10*time.Second, "in which one dispatcher joins and one goes")
		return func(ctx context.Context, seed uint64) (r report, err error) {
			for _, plan.Fleet = range []int{1, 3, 10} {
				found, err := on(&plan, limits)(ctx, seed)
				if r = append(r, found...); err != nil {
					return r, err
				}
			}
			return r, nil
		}
	}},
	{"fairness", "one account with a backlog of a million beside 2,000 others", func(f *flag.FlagSet) run {
		var plan fairnessPlan
		f.IntVar(&plan.Backlog, "backlog", 1_000_000, "requests for the one account")
		f.Float64Var(&plan.Burst, "burst", 5000, "of them per second as they come; 0 is as fast as it goes")
		f.IntVar(&plan.Others, "others", 2000, "accounts besides")
		f.Float64Var(&plan.Rate, "rate", 2000, "requests per second for all of the others")
		f.DurationVar(&plan.For, "for", time.Minute, "that the others are measured, without the backlog and with it")
		f.Int64Var(&plan.Memory, "memory", 64<<20, "bytes that the dispatcher may take")
		return on(&plan, fairness)
	}},
	{"throttle", "refusals and outages of providers, with dispatchers that come and go", func(f *flag.FlagSet) run {
		plan := throttlePlan{
			Told: 30 * time.Second, Flow: 15 * time.Second, Down: 45 * time.Second, Probe: 5 * time.Second, Skew: []int{-2, 0, 2}, Use: 0.95, Flat: 2,
			Words: sandbox.Fault{Status: http.StatusOK, Body: `{"code": "errors", "message": "Too Many Attempts."}`}, Said: time.Minute,
		}
		return on(&plan, throttle)
	}},
	{"idle", "5,000 accounts that have nothing to do", func(f *flag.FlagSet) run {
		plan := idlePlan{Memory: 100 << 20, CPU: 0.02}
		f.IntVar(&plan.Accounts, "accounts", 5000, "that are called once each")
		f.DurationVar(&plan.For, "for", time.Minute, "that nothing happens")
		return on(&plan, idle)
	}},
	{"handover", "dispatchers that join and stop, under load", func(f *flag.FlagSet) run {
		plan := handoverPlan{Fleet: 3, Accounts: 40}
		f.IntVar(&plan.Changes, "changes", 100, "dispatchers that join, and as many that stop")
		f.Float64Var(&plan.Rate, "rate", 400, "sends per second for all accounts together")
		f.DurationVar(&plan.Gap, "gap", time.Second, "between two changes, on average")
		return on(&plan, handover)
	}},
	{"classes", "urgent sends beside a bulk campaign", func(f *flag.FlagSet) run {
		plan := classesPlan{Between: 370 * time.Millisecond}
		f.IntVar(&plan.Campaign, "campaign", 200_000, "bulk sends")
		f.IntVar(&plan.Urgent, "urgent", 100, "urgent sends in the midst of it")
		f.DurationVar(&plan.Shared, "shared", 30*time.Second, "that normal sends are there as well")
		return on(&plan, classes)
	}},
	{"redrive", "dead letters published anew, by a process that is killed, while others flow", func(f *flag.FlagSet) run {
		plan := redrivePlan{Slower: 2}
		f.IntVar(&plan.Letters, "letters", 100_000, "dead letters")
		f.Float64Var(&plan.Rate, "rate", 500, "of the redrive, per second")
		f.Float64Var(&plan.Live, "live", 500, "requests per second for the others, all together")
		f.IntVar(&plan.Others, "others", 200, "accounts besides")
		f.DurationVar(&plan.For, "for", 20*time.Second, "that the others are measured without the redrive, at the start and after each kill")
		f.IntVar(&plan.Kills, "kills", 4, "of the redriving process")
		return on(&plan, redrive)
	}},
	{"poison", "one bad request in a hundred", func(f *flag.FlagSet) run {
		plan := poisonPlan{Speed: 0.95}
		f.IntVar(&plan.Good, "good", 20_000, "sends of a round")
		f.IntVar(&plan.Turns, "turns", 24, "of four rounds: without poison, with it, with it, without")
		return on(&plan, poison)
	}},
	{"replay", "the events of a million results made again, byte for byte", func(f *flag.FlagSet) run {
		plan := replayPlan{Speed: 50_000}
		f.IntVar(&plan.Results, "results", 1_000_000, "whose events are made again")
		f.IntVar(&plan.Kills, "kills", 5, "of a process that makes them")
		return on(&plan, replay)
	}},
	{"rolling", "from older programs to these and back, one process after the other", func(f *flag.FlagSet) run {
		var plan rollingPlan
		f.StringVar(&plan.From, "from", "", "revision of the old programs; without it the newest commit whose code is another than the working tree's")
		f.IntVar(&plan.Rounds, "rounds", 1, "of a roll back and another update, after the first update")
		f.DurationVar(&plan.For, "for", time.Minute, "that requests flow at least")
		f.DurationVar(&plan.Later, "later", 5*time.Second, "after its publication in which every seventh send is due; 0 is none")
		f.Float64Var(&plan.Rate, "rate", 150, "sends published per second, and a tenth as many reports and cancels")
		return on(&plan, rolling)
	}},
	{"schedule", "sends that are due later, through a restart of the broker", func(f *flag.FlagSet) run {
		var plan schedulePlan
		f.IntVar(&plan.Sends, "sends", 100_000, "that are due later")
		f.DurationVar(&plan.Ahead, "ahead", 40*time.Second, "from the first publication to the first time due")
		f.DurationVar(&plan.Span, "span", time.Minute, "over which they are due")
		f.DurationVar(&plan.Late, "late", 300*time.Millisecond, "that all but one in a hundred may be")
		return on(&plan, schedule)
	}},
	{"soak", "whether anything grows while accounts and dispatchers come and go", func(f *flag.FlagSet) run {
		plan := soakPlan{Every: 15 * time.Second, Change: 10 * time.Second, Join: 20 * time.Second, Table: os.Stdout}
		f.DurationVar(&plan.Length, "length", 10*time.Minute, "of the soak")
		f.Float64Var(&plan.Rate, "rate", 200, "sends published per second")
		return on(&plan, soak)
	}},
	{"takeback", "sends of a paused account, cancelled at once", func(f *flag.FlagSet) run {
		var plan takebackPlan
		f.IntVar(&plan.Sends, "sends", 200_000, "of a paused account, all of which are cancelled at once")
		return on(&plan, takeback)
	}},
}

// A plan is what a proof is to be played by.
type plan interface{ scene(seed uint64) scene }

// on plays by p, as it is then, on a stage that is set for it.
func on[P plan](p *P, play func(context.Context, *stage, P) (report, error)) run {
	return func(ctx context.Context, seed uint64) (report, error) {
		return onStage(ctx, (*p).scene(seed), func(s *stage) (report, error) { return play(ctx, s, *p) })
	}
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
