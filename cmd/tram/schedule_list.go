package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

func scheduleListCommand() *cobra.Command {
	var f scheduleFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show all schedules: when each runs next, and what became of its last run",
		Example: `  tram schedule list
  tram schedule list --json | jq 'select(.state != "active")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.broker.dial(cmd)
			if err != nil {
				return err
			}
			defer c.close()
			book, err := schedule.NewStore(c.js).Book(cmd.Context())
			if err != nil {
				return err
			}
			all, err := c.viewSchedules(cmd.Context(), book.All())
			if err != nil {
				return err
			}
			if !f.printJSON {
				return listSchedules(cmd.OutOrStdout(), all)
			}
			for _, v := range all {
				v.Schedule = hidden(v.Schedule, false)
				if err := printLine(cmd.OutOrStdout(), v); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.register(cmd)
	return cmd
}

// listSchedules prints a table.
func listSchedules(w io.Writer, all []*scheduleView) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no schedules: tram schedule add makes one")
		return err
	}
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows, "NAME\tACCOUNT\tREPORT\tWHEN\tNEXT\tLAST\tSKIPPED")
	var problems []string
	for _, v := range all {
		account, report, when := "?", "?", "?"
		if s := v.Schedule; s != nil {
			account, report, when = s.Provider+"/"+s.Account, s.Report.Report, whenText(s)
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", v.Name, account, report, when, v.next(), v.Last.text(v.zone), v.Skipped)
		if v.Problem != "" {
			problems = append(problems, fmt.Sprintf("%s does not run: %s", v.Name, v.Problem))
		}
	}
	if err := rows.Flush(); err != nil {
		return err
	}
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
	}
	return nil
}

// next is when it runs next, or why it does not.
func (v *scheduleView) next() string {
	switch {
	case v.State != scheduleActive:
		return v.State
	case len(v.NextMS) == 0:
		return "never"
	}
	at := time.UnixMilli(v.NextMS[0])
	if at.Before(time.Now()) {
		return "due since " + clockTime(at.In(v.zone))
	}
	return clockTime(at.In(v.zone))
}

func (l *lastRun) text(zone *time.Location) string {
	if l == nil {
		return "-"
	}
	return fmt.Sprintf("%s %s", clockTime(time.UnixMilli(l.AtMS).In(zone)), strings.TrimSpace(strings.ReplaceAll(l.State, "_", " ")+" "+l.Reason))
}

func whenText(s *schedule.Schedule) string { return cmp.Or(s.Cron, "every "+s.Every) }

// asked is the range of a request in words, in a zone.
func asked(r events.Range, zone *time.Location) string {
	switch {
	case r.FromDate != "":
		return fmt.Sprintf("for %s to before %s", r.FromDate, r.ToDate)
	case r.FromMS != 0:
		return fmt.Sprintf("for %s to before %s", clockTime(time.UnixMilli(r.FromMS).In(zone)), clockTime(time.UnixMilli(r.ToMS).In(zone)))
	case r.Preset != "":
		return "for " + r.Preset
	}
	return ""
}
