package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func deadListCommand() *cobra.Command {
	var f deadListFlags
	cmd := &cobra.Command{
		Use:   "list [number…]",
		Short: "List dead letters, or count them by group and reason",
		Example: `  tram dead list --summary
  tram dead list --group refused --reason quota --newer 24h
  tram dead list --account caresoft/hotline --json | jq -r .request_id`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.summary, "summary", false, "count them by group and reason")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "the newest so many; 0 is all")
	return cmd
}

type deadListFlags struct {
	deadFlags
	summary bool
	limit   int
}

func (f *deadListFlags) run(cmd *cobra.Command, args []string) error {
	chosen, err := f.filter(args)
	if err != nil {
		return err
	}
	if f.limit < 0 {
		return usage("--limit must be 0 or more")
	}
	c, box, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	if f.summary {
		return f.sum(cmd, box, &chosen)
	}
	total := 0
	var newest []listed
	err = box.Each(cmd.Context(), &chosen, math.MaxUint64, func(l *deadletter.Letter) error {
		total++
		if newest = append(newest, list(l)); f.limit > 0 && len(newest) > f.limit {
			newest = slices.Delete(newest, 0, 1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.print(cmd, newest); err != nil {
		return err
	}
	if total > len(newest) {
		fmt.Fprintf(cmd.ErrOrStderr(), "the newest %d of %d: --limit 0 shows all\n", len(newest), total)
	}
	return nil
}

// listed is a letter as `tram dead list` shows it: nothing in it is personal.
type listed struct {
	ID            uint64           `json:"id"`
	AtMS          int64            `json:"at_ms"`
	Group         ledger.DeadGroup `json:"group"`
	Reason        string           `json:"reason"`
	Class         string           `json:"class,omitempty"`
	Provider      string           `json:"provider"`
	Account       string           `json:"account"`
	What          string           `json:"what"` // send, or the name of a report or command
	RequestID     string           `json:"request_id"`
	RequestSource string           `json:"request_source,omitempty"`
	AncestorID    string           `json:"ancestor_id,omitempty"`
	State         events.State     `json:"state,omitempty"`
	Attempts      int              `json:"attempts"`
}

func list(l *deadletter.Letter) listed {
	one := listed{
		ID: l.ID, AtMS: l.AtMS, Group: l.Group, Reason: l.Why.Reason, Class: l.Why.Class,
		Provider: l.Provider, Account: l.Account, What: what(l), RequestID: l.RequestID(),
		State: l.State, Attempts: l.Attempt,
	}
	if l.Event != nil {
		one.RequestSource, one.AncestorID = l.Event.Source, l.Event.AncestorID
	}
	return one
}

func (f *deadListFlags) print(cmd *cobra.Command, all []listed) error {
	w := cmd.OutOrStdout()
	if f.printJSON {
		for _, l := range all {
			if err := printLine(w, l); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NUMBER\tAGE\tGROUP\tREASON\tACCOUNT\tWHAT\tREQUEST")
	for _, l := range all {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s/%s\t%s\t%q\n", l.ID, age(time.UnixMilli(l.AtMS)), l.Group, l.Reason, l.Provider, l.Account, l.What, l.RequestID)
	}
	return t.Flush()
}

// sum counts letters by group and reason, the most frequent first.
func (f *deadListFlags) sum(cmd *cobra.Command, box *deadletter.Box, chosen *deadletter.Filter) error {
	type kind struct {
		Group  ledger.DeadGroup `json:"group"`
		Reason string           `json:"reason"`
	}
	counts := map[kind]int{}
	err := box.Each(cmd.Context(), chosen, math.MaxUint64, func(l *deadletter.Letter) error {
		counts[kind{l.Group, l.Why.Reason}]++
		return nil
	})
	if err != nil {
		return err
	}
	kinds := slices.SortedFunc(maps.Keys(counts), func(a, b kind) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Reason, b.Reason))
	})
	w := cmd.OutOrStdout()
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if !f.printJSON {
		fmt.Fprintln(t, "COUNT\tGROUP\tREASON\tWHAT HAPPENED")
	}
	for _, k := range kinds {
		if f.printJSON {
			err = printLine(w, struct {
				kind
				Count int `json:"count"`
			}{k, counts[k]})
		} else {
			e, _ := deadletter.Explain(k.Reason)
			_, err = fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", counts[k], k.Group, k.Reason, e.What)
		}
		if err != nil {
			return err
		}
	}
	return t.Flush()
}
