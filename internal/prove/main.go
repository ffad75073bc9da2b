// Command prove shows what tram promises, on real processes: a broker on disk,
// dispatchers and collectors that are killed, and the sandbox as the judge of
// what was called.
//
//	go run ./internal/prove crash      kill -9 of dispatchers with calls in flight
//	go run ./internal/prove malformed  hostile bodies by the million
//
// Each prints a table and exits with 1 if a promise was broken.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		usage()
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	seed := flags.Uint64("seed", 1, "of everything random")
	var run func(context.Context, *stage) (report, error)
	switch os.Args[1] {
	case "crash":
		sends := flags.Int("sends", 1000, "messages in a run")
		kills := flags.Int("kills", 2, "dispatchers killed in a run, one after the other")
		run = func(ctx context.Context, s *stage) (report, error) {
			return crash(ctx, s, crashPlan{Sends: *sends, Kills: *kills})
		}
	case "malformed":
		bodies := flags.Int("bodies", 1_000_000, "to publish")
		run = func(ctx context.Context, s *stage) (report, error) {
			return malformed(ctx, s, *bodies)
		}
	default:
		usage()
	}
	_ = flags.Parse(os.Args[2:]) // exits on an error
	if err := onStage(ctx, *seed, run); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: prove crash|malformed [flags]")
	os.Exit(2)
}

// onStage sets the stage, runs, and prints what came of it.
func onStage(ctx context.Context, seed uint64, run func(context.Context, *stage) (report, error)) error {
	s, err := newStage(ctx, seed)
	if err != nil {
		return err
	}
	defer s.close()
	r, err := run(ctx, s)
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	return r.verdict()
}
