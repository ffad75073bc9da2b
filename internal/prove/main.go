// Command prove shows what tram promises, on real processes: a broker on disk,
// dispatchers and collectors that are killed, and the sandbox as the judge of
// what was called. It lists its proofs when none is named:
//
//	go run ./internal/prove
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
	"slices"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		usage()
	}
	var err error
	switch name, args := os.Args[1], os.Args[2:]; name {
	case "broker":
		err = serveBroker(args)
	case "node":
		err = serveNode(args)
	default:
		err = prove(ctx, name, args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

// prove carries out the proof called name, and prints its table.
func prove(ctx context.Context, name string, args []string) error {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	seed := flags.Uint64("seed", 1, "of everything random")
	i := slices.IndexFunc(proofs, func(p proof) bool { return p.name == name })
	if i < 0 {
		usage()
	}
	carryOut := proofs[i].plan(flags)
	_ = flags.Parse(args) // exits on an error
	r, err := sharingPrograms(func() (report, error) { return carryOut(ctx, *seed) })
	r.print(os.Stdout)
	return errors.Join(err, r.verdict())
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: prove <proof> [flags], where -h lists the flags of a proof. The proofs:")
	for _, p := range proofs {
		fmt.Fprintf(os.Stderr, "  %-10s %s\n", p.name, p.shows)
	}
	os.Exit(2)
}
