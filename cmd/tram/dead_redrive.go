package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/pkg/events"
)

func deadRedriveCommand() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive [number…]",
		Short: "Publish the requests of dead letters anew",
		Long: `Publish the requests of dead letters anew, at a rate of their own. Each gets a
new id, and the old one as its ancestor: events about it have ancestor_id. Its
time to expire is kept if it is ahead, and lifted if it has passed. A letter is
removed when its new request is stored.

Letters that are made meanwhile are not redriven. What would be refused again is
left alone, and so are sends of which nobody knows whether they were carried out:
see tram dead resolve.

An interrupted redrive goes on with --resume, whenever that is, and publishes
nothing twice.`,
		Example: `  tram dead redrive --reason quota --newer 24h --dry-run
  tram dead redrive --reason quota --newer 24h --rate 500
  tram dead redrive --resume`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.deadFlags.register(cmd)
	f.registerAll(cmd)
	f.register(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "only say what would be published, to how many")
	fs.StringVar(&f.resume, "resume", "", "go on with an interrupted redrive, by its name; without one, with the only one")
	fs.Lookup("resume").NoOptDefVal = theOnlyOne
	return cmd
}

// theOnlyOne is --resume without a name.
const theOnlyOne = "?"

type redriveFlags struct {
	deadFlags
	class     string
	rate      float64
	expiresIn time.Duration
	dryRun    bool
	resume    string
	unknown   bool // letters of unknown ends, too
}

// register adds what a redrive can be told, whichever command starts it.
func (f *redriveFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.class, "class", string(events.Bulk), "of the new requests: urgent, normal or bulk")
	fs.Float64Var(&f.rate, "rate", 50, "of the new requests, per second")
	fs.DurationVar(&f.expiresIn, "expires-in", 0, "the new requests expire after this, such as 2h (default as they would have, or never if that has passed)")
}

func (f *redriveFlags) run(cmd *cobra.Command, args []string) error {
	job, err := f.job(cmd, args)
	if err != nil {
		return err
	}
	c, box, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	goLast()
	// With one processor fewer threads wake each other, which is most of the work.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ctx := cmd.Context()
	if f.resume != "" {
		if job, err = f.unfinished(ctx, box); err != nil {
			return err
		}
		left, err := box.Left(ctx, job)
		if err != nil {
			return err
		}
		return f.carryOut(cmd, box, job, left, "goes on")
	}
	if !f.dryRun {
		others, err := box.Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range others {
			fmt.Fprintf(cmd.ErrOrStderr(), "unfinished: redrive %s of %s, see --resume\n", j.ID, j.At.Local().Format(time.DateTime))
		}
	}
	plan, err := box.Plan(ctx, job)
	if err != nil {
		return err
	}
	f.tellPlan(cmd, plan)
	switch {
	case f.dryRun:
		return nil
	case plan.Requests == 0 && plan.Letters > 0:
		return errors.New("none of the letters can be redriven")
	case plan.Requests == 0:
		return nil
	}
	job.Letters = plan.Letters
	if err := box.NewJob(ctx, job); err != nil {
		return err
	}
	return f.carryOut(cmd, box, job, job.Letters, "begins")
}

// job is what the flags ask for.
func (f *redriveFlags) job(cmd *cobra.Command, args []string) (*deadletter.Job, error) {
	if f.resume != "" {
		for _, other := range []string{"group", "reason", "provider", "account", "older", "newer", "id", "request", "all", "class", "rate", "expires-in", "dry-run"} {
			if cmd.Flags().Changed(other) {
				return nil, usage("--resume goes on with what was asked for: leave --%s out", other)
			}
		}
		if len(args) > 1 || len(args) == 1 && f.resume != theOnlyOne {
			return nil, usage("--resume goes on with what was asked for: leave the numbers out")
		}
		if len(args) == 1 { // --resume name, which reads as a flag and an argument
			f.resume = args[0]
		}
		return nil, nil
	}
	chosen, err := f.chosen(args)
	if err != nil {
		return nil, err
	}
	class := events.Class(f.class)
	switch {
	case !class.Valid():
		return nil, usage("the class %q must be urgent, normal or bulk", f.class)
	case !(f.rate > 0 && f.rate <= 10_000):
		return nil, usage("--rate must be above 0 and at most 10000")
	case f.expiresIn < 0 || cmd.Flags().Changed("expires-in") && f.expiresIn < time.Second:
		return nil, usage("--expires-in must be a second or more: what has expired would end as expired again")
	}
	return &deadletter.Job{Filter: chosen, Class: class, Rate: f.rate, ExpiresIn: f.expiresIn, Unknown: f.unknown}, nil
}

// unfinished is the job that --resume means.
func (f *redriveFlags) unfinished(ctx context.Context, box *deadletter.Box) (*deadletter.Job, error) {
	if f.resume != theOnlyOne {
		return box.Job(ctx, f.resume)
	}
	all, err := box.Jobs(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, errors.New("there is no unfinished redrive")
	case len(all) > 1:
		var names []string
		for _, j := range all {
			names = append(names, j.ID)
		}
		return nil, usage("several redrives are unfinished, name one: --resume %s", strings.Join(names, ", "))
	}
	return all[0], nil
}

// tellPlan says what is about to happen.
func (f *redriveFlags) tellPlan(cmd *cobra.Command, p *deadletter.Plan) {
	out := cmd.ErrOrStderr()
	if f.dryRun {
		out = cmd.OutOrStdout()
	}
	if f.dryRun && f.printJSON {
		_ = printLine(out, struct { // the terminal is gone, or takes it
			Letters    int            `json:"letters"`
			Requests   int            `json:"requests"`
			Recipients int            `json:"recipients"`
			Accounts   int            `json:"accounts"`
			Lifted     int            `json:"expired"`
			Refused    map[string]int `json:"refused"`
		}{p.Letters, p.Requests, p.Recipients, p.Accounts, p.Lifted, p.Refused})
		return
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(p.Kinds)) {
		kinds = append(kinds, count(p.Kinds[k], string(k)))
	}
	fmt.Fprintf(out, "%s of %s to publish: %s to %s, for %s\n", count(p.Requests, "request"), count(p.Letters, "letter"),
		cmp.Or(strings.Join(kinds, ", "), "nothing"), count(p.Recipients, "recipient"), count(p.Accounts, "account"))
	switch {
	case p.Lifted == 0:
	case f.expiresIn > 0:
		fmt.Fprintf(out, "%d of them had expired by now, and have %v from their publication on\n", p.Lifted, f.expiresIn)
	default:
		fmt.Fprintf(out, "%d of them had expired by now: they will not expire again, unless --expires-in says when\n", p.Lifted)
	}
	for _, why := range slices.Sorted(maps.Keys(p.Refused)) {
		fmt.Fprintf(out, "%s left alone: %s\n", count(p.Refused[why], "letter"), why)
	}
}

// carryOut redrives, and tells how it goes: about how many letters, and whether
// it begins or goes on.
func (f *redriveFlags) carryOut(cmd *cobra.Command, box *deadletter.Box, job *deadletter.Job, letters int, does string) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "redrive %s %s; should it be interrupted: tram dead redrive --resume %[1]s\n", job.ID, does)
	counts := map[string]int{}
	bar := newProgress(cmd.OutOrStdout(), letters, f.printJSON)
	err := box.Redrive(cmd.Context(), job, func(told deadletter.Told) {
		counts[told.As]++
		bar.step()
		if f.printJSON {
			_ = printLine(cmd.OutOrStdout(), struct { // the redrive goes on without a reader
				listed
				As    string `json:"as"`
				NewID string `json:"new_request_id,omitempty"`
				Why   string `json:"why,omitempty"`
			}{list(told.Letter), told.As, told.NewID, told.Why})
		}
	})
	bar.end()
	parts := []string{fmt.Sprintf("%d redriven", counts[deadletter.AsRedriven])}
	for _, other := range []struct{ as, words string }{
		{deadletter.AsGone, "had been redriven before"}, {deadletter.AsDecided, "decided about otherwise"}, {deadletter.AsRefused, "left alone"},
	} {
		if n := counts[other.as]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, other.words))
		}
	}
	summary := strings.Join(parts, ", ")
	if err != nil {
		return fmt.Errorf("%s, then: %w: go on with tram dead redrive --resume %s", summary, err, job.ID)
	}
	if f.printJSON {
		fmt.Fprintln(cmd.ErrOrStderr(), summary)
		return nil
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), summary)
	return err
}
