// Bench measures tram beside what others would write instead of it: a loop by
// hand, Watermill, asynq. All do the same work: consume a send, post it to a
// provider, store the result, and make a delivery of it in another process.
//
//	go -C bench run . -contenders bare-std,tram -n 50000 -inflight 256
//
// docs/performance.md says what is measured, and has the numbers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// hidden commands are the processes that a run starts.
var hidden = map[string]func([]string) error{
	"broker":   serveBroker,
	"provider": serveProvider,
	"loop":     serveLoop,
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && hidden[args[0]] != nil {
		return hidden[args[0]](args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := flags.String("contenders", "bare-std,tram", "who runs, separated by commas")
	s := scenario{}
	flags.IntVar(&s.n, "n", 50_000, "sends")
	flags.IntVar(&s.inflight, "inflight", 256, "calls under way at once")
	flags.IntVar(&s.accounts, "accounts", 1, "over which the sends are spread")
	flags.DurationVar(&s.latency, "provider", 0, "how long the provider takes to answer")
	repetitions := flags.Int("reps", 1, "runs of each contender, one after the other in turn")
	profile := flags.String("profile", "", "`directory` for CPU profiles of tram's processes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, err := newBench(ctx, *profile)
	if err != nil {
		return err
	}
	defer b.close()
	for range *repetitions {
		for name := range strings.SplitSeq(*names, ",") {
			m, err := b.run(ctx, name, s)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Printf("%-12s %7.0f/s  wall %6.2fs start-to-end %6.2fs  µs/event broker %5.1f workers %v provider %5.1f  peak MiB %v  in flight %d  others %.0f%%\n",
				name, m.rate(), m.wall.Seconds(), m.total.Seconds(), m.perEvent(m.broker), m.workersText(), m.perEvent(m.provider), m.peaks(), m.most, m.others*100)
			if m.repeated+m.lost > 0 {
				return fmt.Errorf("%s: %d calls were repeated and %d never made", name, m.repeated, m.lost)
			}
		}
	}
	return nil
}

// A scenario is what one run of a contender has to do.
type scenario struct {
	n        int
	inflight int
	accounts int
	latency  time.Duration
}
