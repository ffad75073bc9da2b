package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/replay"
)

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Make events again from what is stored, or send requests again",
		Long: `Make the events of stored results again, without calling a provider: into a
stream of its own, into the live one, or to compare them with what is stored. Or
publish requests again that have ended, which calls providers again.
docs/replay.md says more.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do: %s", strings.Join(subcommands(cmd), ", "))
		},
	}
	cmd.AddCommand(replayEventsCommand(), replayRequestsCommand(), replayListCommand(), replayCleanCommand())
	return cmd
}

// windowFlags choose results.
type windowFlags struct {
	from, to          string
	fromSeq, toSeq    uint64
	provider, account string
}

func (f *windowFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.from, "from", "", "results stored since so long ago, such as 24h, or since a time")
	fs.StringVar(&f.to, "to", "", "results stored before so long ago, or before a time")
	fs.Uint64Var(&f.fromSeq, "from-seq", 0, "results from this sequence of TRAM_RESULTS on")
	fs.Uint64Var(&f.toSeq, "to-seq", 0, "results up to this sequence")
	fs.StringVar(&f.provider, "provider", "", "results of one provider")
	fs.StringVar(&f.account, "account", "", "results of one account: its name, or provider/account")
}

// windowNames are the flags of register.
var windowNames = []string{"from", "to", "from-seq", "to-seq", "provider", "account"}

// choose returns what the flags say, looking times up in the stream.
func (f *windowFlags) choose(ctx context.Context, c *client) (replay.Selection, error) {
	s := replay.Selection{From: f.fromSeq, To: f.toSeq}
	var err error
	if s.Provider, s.Account, err = providerAndAccount(f.provider, f.account); err != nil {
		return s, err
	}
	since, err := past("from", f.from)
	if err != nil {
		return s, err
	}
	until, err := past("to", f.to)
	if err != nil {
		return s, err
	}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return s, usage("--from must be before --to")
	}
	return s, s.Between(ctx, broker.NewReader(c.js), since, until)
}

// goesOn reports whether the flags allow to go on with j: those that choose, of
// which the command has others, say what j knows already.
func goesOn(cmd *cobra.Command, j *replay.Job, others ...string) error {
	if !j.Ended.IsZero() {
		return fmt.Errorf("the replay %s was done at %s: give another name, or remove it with tram replay clean %[1]s", j.Name, j.Ended.Local().Format(time.DateTime))
	}
	for _, other := range slices.Concat(windowNames, others) {
		if cmd.Flags().Changed(other) {
			return usage("--job %s goes on with what was asked for: leave --%s out", j.Name, other)
		}
	}
	return nil
}

// openReplays returns the replays of the broker. The caller closes the client.
func openReplays(cmd *cobra.Command, b *brokerFlag) (*client, *replay.Jobs, error) {
	c, err := b.dial(cmd)
	if err != nil {
		return nil, nil, err
	}
	jobs, err := replay.Open(cmd.Context(), c.js)
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return c, jobs, nil
}

func replayListCommand() *cobra.Command {
	var b brokerFlag
	var printJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List replays and how far they have come",
		Example: `  tram replay list --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, jobs, err := openReplays(cmd, &b)
			if err != nil {
				return err
			}
			defer c.close()
			all, err := jobs.All(cmd.Context())
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			if !printJSON {
				fmt.Fprintln(table, "NAME\tBEGUN\tRESULTS\tDONE\tPUBLISHED\tINTO\tSTATE")
			}
			for _, j := range all {
				if printJSON {
					if err := printLine(cmd.OutOrStdout(), j); err != nil {
						return err
					}
					continue
				}
				state := "unfinished: go on with --job " + j.Name
				if !j.Ended.IsZero() {
					state = "done at " + j.Ended.Local().Format(time.DateTime)
				}
				fmt.Fprintf(table, "%s\t%s ago\t%d to %d\t%d\t%d\t%s\t%s\n", j.Name, age(j.At), j.From, j.To, j.Seen.Results, j.Published, j.Target, state)
			}
			return table.Flush()
		},
	}
	b.register(cmd)
	cmd.Flags().BoolVar(&printJSON, "json", false, "print JSON, one line each")
	return cmd
}

func replayCleanCommand() *cobra.Command {
	var b brokerFlag
	var printJSON bool
	cmd := &cobra.Command{
		Use:   "clean name…",
		Short: "Forget replays, and remove the streams that were made for them",
		Long: `Forget replays, and remove the streams that were made for them. What was
published into the live streams stays. A process that carries one of them out
stops.`,
		Example: `  tram replay clean stats-november`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			c, jobs, err := openReplays(cmd, &b)
			if err != nil {
				return err
			}
			defer c.close()
			var errs []error
			for _, name := range names {
				if err := jobs.Clean(cmd.Context(), name); err != nil {
					errs = append(errs, err)
					continue
				}
				if printJSON {
					errs = append(errs, printLine(cmd.OutOrStdout(), map[string]string{"name": name, "did": "cleaned"}))
					continue
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "cleaned %s\n", name)
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	b.register(cmd)
	cmd.Flags().BoolVar(&printJSON, "json", false, "print JSON, one line each")
	return cmd
}
