package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

func scheduleAddCommand() *cobra.Command {
	var f scheduleAddFlags
	cmd := &cobra.Command{
		Use:   "add name --account provider/account --report report (--every duration | --cron expression)",
		Short: "Add a schedule",
		Long: `Add a schedule: ask for a report again and again. The request is checked as it
would be when it is published, and the next times are shown.

--every counts from 1970 in UTC: 15m is on the hour, at 15, 30 and 45 minutes.
--cron has five fields: minute, hour, day of the month, month, day of the week.
It and --range go by the clock of --zone, or else of the account's zone.`,
		Example: `  tram schedule add daily-insights --account facebook/page --report facebook.page_insights \
    --metric page_messages_sent --granularity day --cron "0 6 * * *" --range yesterday
  tram schedule add follow --account momo/shop --report momo.messages_report \
    --filter condition_id=NO_ACTIVITIES_30 --preset DAY_AGO_30 --every 6h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.register(cmd)
	return cmd
}

type scheduleAddFlags struct {
	scheduleFlags
	whatFlags
	account, report string
	class           string
	tags            events.Context
	fields          schedule.Schedule
	replace         bool
}

func (f *scheduleAddFlags) register(cmd *cobra.Command) {
	f.scheduleFlags.register(cmd)
	f.whatFlags.register(cmd)
	fs, s := cmd.Flags(), &f.fields
	fs.StringVar(&f.account, "account", "", "provider/account")
	fs.StringVar(&f.report, "report", "", "name of the report, such as facebook.page_insights")
	fs.StringVar(&s.Every, "every", "", "how often: whole minutes, such as 15m or 6h")
	fs.StringVar(&s.Cron, "cron", "", `when, such as "0 6 * * *" for each day at six`)
	fs.StringVar(&s.Zone, "zone", "", "of --cron and --range, such as Asia/Ho_Chi_Minh (default the account's)")
	fs.StringVar(&s.Range, "range", "", "of the report, seen from when it is due: "+schedule.Ranges)
	fs.StringVar(&f.class, "class", string(events.Bulk), "urgent, normal or bulk")
	fs.StringVar(&s.By, "by", "", "who does it, for others to see (default the user of this machine)")
	fs.BoolVar(&s.Paused, "paused", false, "add it paused")
	fs.StringVar(&f.tags.Tenant, "tenant", "", "comes back in every event")
	fs.StringVar(&f.tags.CorrelationID, "correlation-id", "", "comes back in every event")
	fs.StringToStringVar(&f.tags.Metadata, "metadata", nil, "name=value, comes back in every event")
	fs.BoolVar(&f.replace, "replace", false, "put it in the place of one of that name")
	for _, needed := range []string{"account", "report"} {
		if err := cmd.MarkFlagRequired(needed); err != nil {
			panic(err)
		}
	}
	cmd.MarkFlagsOneRequired("every", "cron")
	cmd.MarkFlagsMutuallyExclusive("every", "cron")
	cmd.MarkFlagsMutuallyExclusive("range", "preset")
}

func (f *scheduleAddFlags) run(cmd *cobra.Command, name string) error {
	s := f.fields
	var ok bool
	if s.Provider, s.Account, ok = strings.Cut(f.account, "/"); !ok {
		return usage("the account %q must be provider/account, such as facebook/page", f.account)
	}
	s.Class, s.By, s.Report = events.Class(f.class), cmp.Or(s.By, whoami()), f.what(f.report)
	s.Report.Context = f.tags
	if err := s.Validate(name); err != nil {
		return err
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	zone, err := taken(ctx, events.NewDirectory(c.js), name, &s)
	if err != nil {
		return err
	}
	store := schedule.NewStore(c.js)
	e, err := store.Get(ctx, name)
	if err != nil {
		return err
	}
	if !e.Gone() && !f.replace {
		return fmt.Errorf("schedule %s: %w", name, schedule.ErrExists)
	}
	did := "added"
	if !e.Gone() {
		did = "replaced"
	}
	if err := store.Write(ctx, e, &s); err != nil {
		return err
	}
	if f.printJSON {
		v, err := c.viewSchedule(ctx, name)
		if err != nil {
			return err
		}
		v.Schedule = hidden(v.Schedule, false)
		return printLine(cmd.OutOrStdout(), v)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "schedule %s %s\n", name, did); err != nil {
		return err
	}
	return tellNext(cmd.OutOrStdout(), name, &s, zone)
}

// taken returns the zone of the account of s, if the account takes what s asks
// for. The error is what a publisher would get.
func taken(ctx context.Context, d *events.Directory, name string, s *schedule.Schedule) (zone string, err error) {
	contract, err := d.Contract(ctx, s.Provider, s.Account)
	if err != nil {
		return "", err
	}
	r, err := s.Request(name, time.Now(), contract.Zone)
	if err == nil {
		err = contract.Check(r)
	}
	return contract.Zone, err
}

// nextRuns is how many of them are shown.
const nextRuns = 3

// next returns the next times of s after a given one.
func next(s *schedule.Schedule, zone string, after time.Time) ([]time.Time, error) {
	times, err := s.Times(zone)
	if err != nil {
		return nil, err
	}
	var all []time.Time
	for range nextRuns {
		if after = times.Next(after); after.IsZero() {
			break
		}
		all = append(all, after)
	}
	return all, nil
}

// tellNext prints when s is due next, and for what.
func tellNext(w io.Writer, name string, s *schedule.Schedule, zone string) error {
	if s.Paused {
		_, err := fmt.Fprintf(w, "paused: tram schedule resume %s lets it run\n", name)
		return err
	}
	all, err := next(s, zone, time.Now())
	if err != nil {
		return err
	}
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, at := range all {
		r, err := s.Request(name, at, zone)
		if err != nil {
			return err
		}
		head := ""
		if i == 0 {
			head = "next"
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\n", head, clockTime(at), asked(r.Report.Range, at.Location()))
	}
	return rows.Flush()
}
