// Bench measures tram beside what one would write or take instead: a loop by
// hand, Watermill, asynq. All do the same work: take a send, post it to a
// provider, store the result, and make a delivery of it in another process.
//
//	go run . -experiments throughput,latency
//	go run . -contenders bare-std,tram -n 50000 -inflight 1024 -provider 50ms
//	go run . -contenders tram,tram@../../before -reps 5
//
// docs/performance.md says what is measured and how, and has the numbers. It
// reads /proc and so runs on Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// hidden commands are the processes that a run starts.
var hidden = map[string]func(args []string) error{
	"broker":    serveBroker,
	"provider":  serveProvider,
	"loop":      serveLoop,
	"watermill": serveWatermill,
	"asynq":     serveAsynq,
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && hidden[args[0]] != nil {
		return hidden[args[0]](args[1:])
	}
	var own scenario
	b := &bench{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := flags.String("experiments", "", "`names` of what docs/performance.md shows, separated by commas: "+strings.Join(experimentNames(), ", ")+", or all")
	contenders := flags.String("contenders", "", "an experiment of your own: `names`, separated by commas, among them tram@<source tree>, and what they have to do:")
	flags.IntVar(&own.n, "n", 50_000, "sends")
	flags.IntVar(&own.inflight, "inflight", 256, "calls under way at once")
	flags.IntVar(&own.accounts, "accounts", 1, "over which the sends are spread")
	flags.DurationVar(&own.latency, "provider", 0, "how long the provider takes to answer")
	flags.IntVar(&own.each, "each", 1, "dispatchers, and as many collectors")
	flags.IntVar(&own.rate, "rate", 0, "sends per second; 0 is a backlog that is there before the start")
	repetitions := flags.Int("reps", 1, "how often each of them runs, in turn")
	noise := flags.Float64("noise", 0.1, "share of the machine that others may use during a run before it is made again")
	scale := flags.Float64("scale", 1, "what the numbers of sends are multiplied with, for a quick look")
	out := flags.String("out", "", "`document` to write the tables to, with plots beside it; without it they go to standard output")
	flags.StringVar(&b.redis, "redis", "redis-server", "the `program`, for asynq")
	flags.StringVar(&b.profile, "profile", "", "`directory` for CPU and heap profiles of tram's processes; each run overwrites those of the one before")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*names, *contenders, own)
	if err != nil {
		return err
	}
	if b.profile != "" {
		if err := os.MkdirAll(b.profile, 0o700); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "tram-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	var outcomes []*outcome
	for _, e := range chosen {
		o, err := b.conduct(ctx, e.scaled(*scale), *repetitions, *noise, say)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	conditions := conditions(*repetitions, *scale)
	if *out != "" {
		return write(*out, outcomes, conditions)
	}
	fmt.Print(report(outcomes, conditions, false))
	return nil
}

// choose returns the experiments of those names, or one of their own for the
// contenders.
func choose(names, contenders string, own scenario) ([]experiment, error) {
	switch {
	case (names == "") == (contenders == ""):
		return nil, errors.New("say either -experiments or -contenders")
	case names == "all":
		return experiments, nil
	case contenders != "":
		e := experiment{name: "own", title: "An experiment of your own"}
		for name := range strings.SplitSeq(contenders, ",") {
			e.rows = append(e.rows, row{name, name, own})
		}
		return []experiment{e}, nil
	}
	var chosen []experiment
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(experiments, func(e experiment) bool { return e.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is no experiment: %s are, and all", name, strings.Join(experimentNames(), ", "))
		}
		chosen = append(chosen, experiments[i])
	}
	return chosen, nil
}

func experimentNames() []string {
	var all []string
	for _, e := range experiments {
		all = append(all, e.name)
	}
	return all
}

// scaled returns e with so many times the sends.
func (e experiment) scaled(by float64) experiment {
	e.rows = slices.Clone(e.rows)
	for i := range e.rows {
		e.rows[i].n = max(1, int(float64(e.rows[i].n)*by))
	}
	return e
}
