package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
)

func deadResolveCommand() *cobra.Command {
	var f resolveFlags
	cmd := &cobra.Command{
		Use:   "resolve --sent|--not-sent|--resend [number…]",
		Short: "Say what became of requests that ended as unknown",
		Long: `Say what became of requests that ended as unknown, because the answer to a call
was lost. Ask the recipient or look at the provider's own list first.

--sent ends them as accepted, with the evidence "operator", and --not-sent as
failed: those who wait for the requests read that as one more event. --resend
publishes them anew, as tram dead redrive does: a message may arrive twice.
Of two different answers the first one holds.`,
		Example: `  tram dead resolve --sent 17 18
  tram dead resolve --not-sent --account caresoft/hotline --newer 1h
  tram dead resolve --resend 19`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.deadFlags.register(cmd)
	f.registerAll(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.sent, "sent", false, "they were carried out")
	fs.BoolVar(&f.notSent, "not-sent", false, "they were not")
	fs.BoolVar(&f.resend, "resend", false, "nobody knows: do it again, perhaps for the second time")
	f.redriveFlags.register(cmd)
	for _, name := range []string{"class", "rate", "expires-in"} {
		fs.Lookup(name).Usage += "; with --resend"
		for _, answer := range []string{"sent", "not-sent"} {
			cmd.MarkFlagsMutuallyExclusive(name, answer)
		}
	}
	cmd.MarkFlagsOneRequired("sent", "not-sent", "resend")
	cmd.MarkFlagsMutuallyExclusive("sent", "not-sent", "resend")
	return cmd
}

type resolveFlags struct {
	redriveFlags
	sent, notSent, resend bool
}

func (f *resolveFlags) run(cmd *cobra.Command, args []string) error {
	chosen, err := f.chosen(args)
	if err != nil {
		return err
	}
	if len(chosen.Groups) > 0 && !slices.Equal(chosen.Groups, []ledger.DeadGroup{ledger.DeadUnknown}) {
		return usage("only letters of the group unknown can be resolved: what became of the others is known")
	}
	chosen.Groups, f.groups = []ledger.DeadGroup{ledger.DeadUnknown}, []string{string(ledger.DeadUnknown)}
	if f.resend {
		f.unknown = true
		return f.redriveFlags.run(cmd, args)
	}
	c, box, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	var letters []*deadletter.Letter
	if err := box.Each(ctx, &chosen, math.MaxUint64, func(l *deadletter.Letter) error {
		letters = append(letters, l)
		return nil
	}); err != nil {
		return err
	}
	if len(letters) == 0 {
		return errors.New("no dead letter of an unknown end is chosen: `tram dead list --group unknown` shows them")
	}
	return f.resolve(cmd, box, letters)
}

// resolve tells of each letter what f says. A letter about which somebody has
// decided otherwise does not keep it from telling of the others.
func (f *resolveFlags) resolve(cmd *cobra.Command, box *deadletter.Box, letters []*deadletter.Letter) error {
	var errs []error
	bar := newProgress(cmd.OutOrStdout(), len(letters), f.printJSON || len(letters) < 100)
	for _, l := range letters {
		err := box.Resolve(cmd.Context(), l, f.sent)
		if decided, ok := errors.AsType[*deadletter.DecidedError](err); ok {
			errs = append(errs, decided)
		} else if err != nil {
			bar.end()
			return fmt.Errorf("%d of %d resolved, then: %w", len(letters)-len(errs), len(letters), err)
		}
		bar.step()
		if f.printJSON {
			why := ""
			if err != nil {
				why = err.Error()
			}
			if err := printLine(cmd.OutOrStdout(), struct {
				listed
				Resolved bool   `json:"resolved"`
				Why      string `json:"why,omitempty"`
			}{list(l), err == nil, why}); err != nil {
				return err
			}
		}
	}
	bar.end()
	if !f.printJSON {
		end := "accepted, or done"
		if f.notSent {
			end = "failed"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s resolved: %s\n", count(len(letters)-len(errs), "letter"), end)
	}
	return errors.Join(errs...)
}
