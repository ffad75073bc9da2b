package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [provider | provider/account]...",
		Short: "Show how the relay stands: dispatchers, accounts that are held back, what waits",
		Long: `Show how the relay stands: the dispatchers, the accounts that are held back or do
not keep up, what the collectors have not come to, and the dead letters.

An account is paused (by an operator), credential_refused, breaker_open or
breaker_probing (its provider fails), silenced (its provider has told for how
long), working or idle. With --all those that work as they should are shown, too;
accounts that have had no request since their dispatcher took them over are not.`,
		Example: `  tram status
  tram status caresoft momo/shop
  tram status --watch
  tram status --all --json | jq '.lanes[] | select(.waiting > 100)'`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.all, "all", false, "show all accounts")
	fs.BoolVarP(&f.watch, "watch", "w", false, "show it again every 2 seconds, until interrupted")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each time")
	return cmd
}

type statusFlags struct {
	broker                brokerFlag
	all, watch, printJSON bool
}

var watchEvery = 2 * time.Second

func (f *statusFlags) run(cmd *cobra.Command, names []string) error {
	for _, name := range names {
		provider, account, one := strings.Cut(name, "/")
		if !events.ValidName(provider) || one && !events.ValidName(account) {
			return usage("%q must be provider or provider/account", name)
		}
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	if err := f.show(cmd, c, names); err != nil || !f.watch {
		return err
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
		if err := f.show(cmd, c, names); err != nil && cmd.Context().Err() == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v, trying again\n", cmd.CommandPath(), err)
		}
	}
}

// show asks and prints once. What is watched on a terminal takes the place of
// what was there.
func (f *statusFlags) show(cmd *cobra.Command, c *client, names []string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
	defer cancel()
	s, err := c.ask(ctx, ledger.StatusRequest{Accounts: names, All: f.all})
	if err == nil {
		err = c.count(ctx, s)
	}
	if err != nil {
		return err
	}
	p := newPrinter(cmd.OutOrStdout(), f.printJSON)
	if f.printJSON {
		return p.line(s)
	}
	var b bytes.Buffer
	if f.watch && wantsColour(cmd.OutOrStdout()) {
		b.WriteString("\x1b[H\x1b[2J")
	}
	s.table(&b, p, len(names) > 0 || f.all)
	if f.watch {
		b.WriteString("\n")
	}
	_, err = b.WriteTo(cmd.OutOrStdout())
	return err
}

// table prints s for people, in at most 100 columns unless names are very long.
func (s *relayStatus) table(w io.Writer, p *printer, asked bool) {
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Dispatchers) > 0 {
		fmt.Fprintln(rows, "DISPATCHER\tUP\tPARTITIONS\tACCOUNTS\tIN FLIGHT")
	}
	for _, d := range s.Dispatchers {
		fmt.Fprintf(rows, "%s\t%s\t%d\t%d\t%d\n", d.ID, span(time.Since(time.UnixMilli(d.StartedMS))), d.Partitions, d.LaneCount, d.InFlight)
	}
	rows.Flush()
	for _, member := range s.Silent {
		fmt.Fprintf(w, "%s does not answer\n", member)
	}
	switch {
	case len(s.Dispatchers)+len(s.Silent) == 0:
		fmt.Fprintln(w, "no dispatcher runs: requests are kept until one does")
	case s.Unowned > 0:
		fmt.Fprintf(w, "%d partitions have no dispatcher at the moment\n", s.Unowned)
	}
	fmt.Fprintln(w)
	if len(s.Lanes) > 0 {
		s.lanes(w, p)
	} else if asked {
		fmt.Fprintln(w, "no such account has had a request")
	} else {
		fmt.Fprintln(w, "no account is held back")
	}
	fmt.Fprintln(w)
	switch {
	case s.Collector == nil:
		fmt.Fprintln(w, "collectors    none has ever run: results are kept until one does")
	default:
		fmt.Fprintf(w, "collectors    %d results to read, %d being read\n", s.Collector.Unread, s.Collector.Reading)
	}
	dead := "none"
	if len(s.Dead) > 0 {
		var groups []string
		for _, g := range slices.Sorted(maps.Keys(s.Dead)) {
			groups = append(groups, fmt.Sprintf("%d %s", s.Dead[g], g))
		}
		dead = strings.Join(groups, ", ")
	}
	fmt.Fprintf(w, "dead letters  %s\n", dead)
}

// whyWidth leaves room for the other columns within 100.
const whyWidth = 34

func (s *relayStatus) lanes(w io.Writer, p *printer) {
	var plain bytes.Buffer
	rows := tabwriter.NewWriter(&plain, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows, "ACCOUNT\tSTATE\tFOR\tNEXT\tWAITING\tCALLS\tWHY")
	for _, l := range s.Lanes {
		since, next := "-", "-"
		if l.SinceMS != 0 {
			since = span(time.Since(time.UnixMilli(l.SinceMS)))
		}
		if left := time.Until(time.UnixMilli(l.UntilMS)); left > 0 {
			next = span(left)
		}
		fmt.Fprintf(rows, "%s/%s\t%s\t%s\t%s\t%d\t%d/%d\t%s\n", l.Provider, l.Account, l.State, since, next,
			l.Waiting, l.InFlight, l.Concurrency, l.because())
	}
	rows.Flush()
	for line := range strings.Lines(plain.String()) {
		line = strings.TrimRight(line, " \n")
		for _, state := range gravity[:5] { // colour after the columns stand, or they would not
			if before, after, ok := strings.Cut(line, " "+string(state)+" "); ok && p.colour {
				line = before + " " + p.tint(string(state), false, state == events.LaneSilenced || state == events.LaneBreakerProbing) + " " + after
			}
		}
		fmt.Fprintln(w, line)
	}
}

// because says in so many words why the lane stands as it does.
func (l *laneStatus) because() string {
	why := l.Why
	switch {
	case l.State == events.LanePaused && why != "":
		why = "by " + l.By + ": " + why
	case l.State == events.LanePaused:
		why = "by " + l.By
	case why == "":
		why = l.hush()
	}
	if r := []rune(why); len(r) > whyWidth {
		why = string(r[:whyWidth-1]) + "…"
	}
	return why
}

// hush says which classes are quiet until when, by the clock of this machine.
func (l *laneStatus) hush() string {
	var all []string
	for _, class := range events.Classes {
		if ms := l.Quiet[class]; ms != 0 {
			all = append(all, fmt.Sprintf("%s quiet until %s", class, time.UnixMilli(ms).Format("Mon 15:04")))
		}
	}
	return strings.Join(all, ", ")
}
