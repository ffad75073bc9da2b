package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
)

func deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Deal with requests that need a person: look, redrive, resolve, drop",
		Long: `Deal with dead letters: requests that were invalid (group event), that the
provider refused or every attempt of which failed (refused), of which nobody
knows whether they were carried out (unknown), or whose answer could not be told
(answer). Each has a number, the request as it was published, and every attempt.
docs/dead-letters.md says more.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do: %s", strings.Join(subcommands(cmd), ", "))
		},
	}
	cmd.AddCommand(deadListCommand(), deadShowCommand(), deadRedriveCommand(), deadResolveCommand(), deadDropCommand())
	return cmd
}

func subcommands(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return names
}

// deadFlags choose letters.
type deadFlags struct {
	broker brokerFlag

	groups, reasons   []string
	provider, account string
	older, newer      time.Duration
	ids               []string
	requests          []string
	all               bool
	printJSON         bool
}

func (f *deadFlags) register(cmd *cobra.Command) {
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringSliceVar(&f.groups, "group", nil, "event, refused, unknown or answer")
	fs.StringSliceVar(&f.reasons, "reason", nil, "reasons, such as quota; docs/reasons.md has them all")
	fs.StringVar(&f.provider, "provider", "", "letters of one provider")
	fs.StringVar(&f.account, "account", "", "letters of one account: its name, or provider/account")
	fs.DurationVar(&f.older, "older", 0, "letters that are older than this, such as 24h")
	fs.DurationVar(&f.newer, "newer", 0, "letters that are newer than this")
	fs.StringSliceVar(&f.ids, "id", nil, "letters by number, the same as naming them as arguments")
	fs.StringSliceVar(&f.requests, "request", nil, "letters by the ids of their requests")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
}

// registerAll adds the flag without which nothing is done to all letters.
func (f *deadFlags) registerAll(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "all letters, if nothing else chooses some")
}

// chosen is filter for commands that change something: some letters must have
// been chosen.
func (f *deadFlags) chosen(args []string) (deadletter.Filter, error) {
	chosen, err := f.filter(args)
	if err == nil && chosen.Empty() && !f.all {
		err = usage("choose dead letters by their numbers or by flags such as --group and --reason, or all with --all")
	}
	return chosen, err
}

// filter returns what the flags and arguments choose.
func (f *deadFlags) filter(args []string) (deadletter.Filter, error) {
	now := time.Now()
	chosen := deadletter.Filter{Reasons: f.reasons, Requests: f.requests}
	for _, name := range f.groups {
		g := ledger.DeadGroup(name)
		if !slices.Contains(ledger.DeadGroups, g) {
			return chosen, usage("the group %q must be event, refused, unknown or answer", name)
		}
		chosen.Groups = append(chosen.Groups, g)
	}
	for _, text := range slices.Concat(f.ids, args) {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id == 0 {
			return chosen, usage("%q is not the number of a dead letter: `tram dead list` shows them", text)
		}
		chosen.IDs = append(chosen.IDs, id)
	}
	var err error
	if chosen.Provider, chosen.Account, err = providerAndAccount(f.provider, f.account); err != nil {
		return chosen, err
	}
	if f.older < 0 || f.newer < 0 {
		return chosen, usage("--older and --newer are durations such as 24h")
	}
	if f.older > 0 {
		chosen.Before = now.Add(-f.older)
	}
	if f.newer > 0 {
		chosen.After = now.Add(-f.newer)
	}
	return chosen, nil
}

// open returns the dead letters of the broker. The caller closes the client.
func (f *deadFlags) open(cmd *cobra.Command) (*client, *deadletter.Box, error) {
	c, err := f.broker.dial(cmd)
	if err != nil {
		return nil, nil, err
	}
	box, err := deadletter.Open(cmd.Context(), c.js)
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return c, box, nil
}

// what is what a letter's request asked for: a send, the name of a report.
func what(l *deadletter.Letter) string {
	switch {
	case l.Event == nil:
		return "?"
	case l.Event.Report != nil && l.Event.Report.Report != "":
		return l.Event.Report.Report
	case l.Event.Command != nil && l.Event.Command.Command != "":
		return l.Event.Command.Command
	}
	return string(l.Event.Kind)
}
