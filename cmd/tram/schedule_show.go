package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

func scheduleShowCommand() *cobra.Command {
	var f scheduleFlags
	var reveal bool
	cmd := &cobra.Command{
		Use:   "show name...",
		Short: "Show all of a schedule: what it asks for, its next times, its last run",
		Long: `Show all of a schedule: what it asks for, its next times, its last run. Who a
report is about and the values of its filters are hidden unless --reveal is
given.`,
		Example: `  tram schedule show daily-insights`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			c, err := f.broker.dial(cmd)
			if err != nil {
				return err
			}
			defer c.close()
			for _, name := range names {
				v, err := c.viewSchedule(cmd.Context(), name)
				if err != nil {
					return err
				}
				v.Schedule = hidden(v.Schedule, reveal)
				if f.printJSON {
					err = printLine(cmd.OutOrStdout(), v)
				} else {
					err = v.print(cmd.OutOrStdout())
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show who a report is about and the values of its filters: maybe personal data")
	return cmd
}

// hidden returns s without what may be personal, unless it is to be revealed.
func hidden(s *schedule.Schedule, reveal bool) *schedule.Schedule {
	if s == nil || reveal {
		return s
	}
	const mask = "[hidden]"
	h := *s
	if h.Report.Recipient.Value != "" {
		h.Report.Recipient.Value = mask
	}
	h.Report.Filters = maps.Clone(h.Report.Filters)
	for name := range h.Report.Filters {
		h.Report.Filters[name] = mask
	}
	return &h
}

// print prints all about one schedule.
func (v *scheduleView) print(w io.Writer) error {
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(rows, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(rows, "schedule %s: %s\n", v.Name, v.State)
	if v.Problem != "" {
		line("problem", "%s", v.Problem)
	}
	if s := v.Schedule; s != nil {
		line("report", "%s of %s/%s, class %s", s.Report.Report, s.Provider, s.Account, cmp.Or(s.Class, events.Bulk))
		line("when", "%s in %s", whenText(s), v.zone)
		if s.Range != "" {
			line("range", "%s", s.Range)
		}
		line("written by", "%s", cmp.Or(s.By, "nobody who has said so"))
	}
	for i, ms := range v.NextMS {
		at := time.UnixMilli(ms).In(v.zone)
		r, err := v.Schedule.Request(v.Name, at, v.zone.String())
		if err != nil {
			return err
		}
		line([]string{"next", "", ""}[i], "%s  %s", clockTime(at), asked(r.Report.Range, v.zone))
	}
	line("last run", "%s", v.Last.text(v.zone))
	if l := v.Last; l != nil {
		line("", "request %s, number %d, stats %d, records %d", l.RequestID, l.Seq, l.Stats, l.Records)
	}
	line("skipped", "%s, because the run before had not ended", count(v.Skipped, "time"))
	if err := rows.Flush(); err != nil || v.Schedule == nil {
		return err
	}
	body, err := json.MarshalIndent(v.Schedule.Report, "  ", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "asks for:\n  %s\n", body)
	}
	return err
}
