package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/deadletter"
)

func deadDropCommand() *cobra.Command {
	var f deadDropFlags
	cmd := &cobra.Command{
		Use:   "drop [number…]",
		Short: "Remove dead letters for good",
		Long: `Remove dead letters for good. The events that ended their requests stay. It asks
before it does so, unless --yes is given; without a terminal to ask on, --yes is
needed.`,
		Example: `  tram dead drop 17
  tram dead drop --group event --older 168h --yes`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.register(cmd)
	f.registerAll(cmd)
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	return cmd
}

var errNobodyToAsk = usage("there is no terminal to ask on: --yes drops the letters without asking")

type deadDropFlags struct {
	deadFlags
	yes bool
}

func (f *deadDropFlags) run(cmd *cobra.Command, args []string) error {
	chosen, err := f.chosen(args)
	if err != nil {
		return err
	}
	if !f.yes && !isTerminal(cmd.InOrStdin()) {
		return errNobodyToAsk
	}
	c, box, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	upTo, err := box.Newest(ctx) // what comes while it asks is not dropped
	if err != nil {
		return err
	}
	n := 0
	if err := box.Each(ctx, &chosen, upTo, func(*deadletter.Letter) error { n++; return nil }); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no dead letter is chosen: `tram dead list` shows them")
	}
	if !f.yes {
		fmt.Fprintf(cmd.ErrOrStderr(), "drop %s for good? [y/N] ", count(n, "dead letter"))
		answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && answer == "" {
			return errNobodyToAsk
		}
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			return errors.New("nothing was dropped")
		}
	}
	return f.drop(cmd, box, &chosen, upTo, n)
}

// dropBatch is how many letters are held in memory while they are dropped.
const dropBatch = 500

func (f *deadDropFlags) drop(cmd *cobra.Command, box *deadletter.Box, chosen *deadletter.Filter, upTo uint64, n int) error {
	ctx := cmd.Context()
	bar := newProgress(cmd.OutOrStdout(), n, f.printJSON)
	defer bar.end()
	var batch []*deadletter.Letter
	var errs []error
	dropped := 0
	flush := func() error {
		kept, err := box.Drop(ctx, batch...)
		if err != nil {
			return fmt.Errorf("%d of %d dropped, then: %w", dropped, n, err)
		}
		dropped += len(batch) - len(kept)
		for range batch {
			bar.step()
		}
		for _, k := range kept {
			errs = append(errs, fmt.Errorf("not dropped, it is being dealt with: %w", k))
		}
		batch = nil
		return nil
	}
	err := box.Each(ctx, chosen, upTo, func(l *deadletter.Letter) error {
		if batch = append(batch, l); len(batch) < dropBatch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	bar.end()
	if f.printJSON {
		err = printLine(cmd.OutOrStdout(), map[string]int{"dropped": dropped, "kept": len(errs)})
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s dropped\n", count(dropped, "letter"))
	}
	return errors.Join(append(errs, err)...)
}
