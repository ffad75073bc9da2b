package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report provider/account report",
		Short: "Publish a report request: fetch statistics or records",
		Long: `Publish a report request: fetch statistics or records, with all their pages.

Prints a receipt once the broker has stored the request; with --wait also every
stat and record, and the outcome, which is the end.`,
		Example: `  tram report facebook/page facebook.page_insights --metric page_messages_sent --granularity day --days 7 --wait
  tram report momo/shop momo.messages_report --preset DAY_AGO_30 --filter condition_id=NO_ACTIVITIES_30 --wait
  tram report caresoft/hotline caresoft.zalo_user_status --phone 0900000001 --wait --json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request(events.KindReport, args[0])
			if err != nil {
				return err
			}
			if r.Report, err = f.report(cmd, r, args[1:]); err != nil {
				return err
			}
			return f.publish(cmd, r)
		},
	}
	f.register(cmd)
	return cmd
}

type reportFlags struct {
	requestFlags
	whatFlags
	from, to instant
	days     int
}

// whatFlags say what a report is to have, whatever its time is.
type whatFlags struct {
	recipient recipientFlags
	fields    events.Report
}

func (f *whatFlags) register(cmd *cobra.Command) {
	f.recipient.register(cmd)
	fs, r := cmd.Flags(), &f.fields
	fs.StringSliceVar(&r.Pages, "page", nil, "id of a page at the provider (default the account's own)")
	fs.StringVar(&r.Range.Preset, "preset", "", "a range that the provider has a name for, such as DAY_AGO_30")
	fs.StringVar(&r.Granularity, "granularity", "", "hour, day, week, month, days_28 or range")
	fs.StringSliceVar(&r.GroupBy, "group-by", nil, "dimensions to group by")
	fs.StringSliceVar(&r.Metrics, "metric", nil, "metrics, by the provider's names")
	fs.StringToStringVar(&r.Filters, "filter", nil, "name=value")
	fs.StringVar(&r.Sender.ID, "sender", "", "at CareSoft the Zalo OA id (default the account's)")
	fs.StringVar(&r.OrderBy, "order-by", "", "order of what is fetched")
	fs.IntVar(&r.Page.Size, "page-size", 0, "rows of one call (default the provider's)")
	fs.IntVar(&r.Page.MaxPages, "max-pages", 0, "stop after so many calls (default never)")
}

// what is the report called name, as the flags say.
func (f *whatFlags) what(name string) events.Report {
	r := f.fields
	r.Report = name
	r.Recipient = f.recipient.recipient()
	return r
}

func (f *reportFlags) register(cmd *cobra.Command) {
	f.requestFlags.register(cmd)
	f.whatFlags.register(cmd)
	fs, r := cmd.Flags(), &f.fields
	fs.Var(&f.from, "from", "start of the range: a time or a duration from now, such as -24h")
	fs.Var(&f.to, "to", "end of the range, itself not in it")
	fs.StringVar(&r.Range.FromDate, "from-date", "", "start of the range: a date such as 2026-11-01")
	fs.StringVar(&r.Range.ToDate, "to-date", "", "end of the range, itself not in it")
	fs.IntVar(&f.days, "days", 0, "range: so many whole days before today, in --zone or the account's zone")
	fs.StringVar(&r.Range.Zone, "zone", "", "of the dates, such as Asia/Ho_Chi_Minh (default the account's)")
	for _, end := range []string{"from", "to", "from-date", "to-date"} {
		cmd.MarkFlagsMutuallyExclusive("days", end)
	}
}

func (f *reportFlags) report(cmd *cobra.Command, of *events.Request, name []string) (*events.Report, error) {
	body := new(events.Report)
	if given, err := f.readBody(cmd, body); given {
		if err == nil && len(name) > 0 {
			err = usage("the report is named in the body: leave the argument %q out", name[0])
		}
		return body, err
	}
	if len(name) == 0 {
		return nil, usage("the name of the report is missing, such as momo.messages_report")
	}
	r := f.what(name[0])
	r.Range.FromMS, r.Range.ToMS = f.from.ms(), f.to.ms()
	if cmd.Flags().Changed("days") {
		if f.days < 1 {
			return nil, usage("--days must be 1 or more")
		}
		now, err := f.now(cmd, of)
		if err != nil {
			return nil, err
		}
		r.Range.FromDate, r.Range.ToDate = daysBefore(now, f.days)
	}
	r.Timing, r.Context = f.timing(), f.context()
	return &r, nil
}

// now returns what time it is where the days of the range begin: in --zone, or
// else in the account's zone, as its contract tells. Without one it is this
// machine's; what is wrong with account or zone, publishing tells.
func (f *reportFlags) now(cmd *cobra.Command, of *events.Request) (time.Time, error) {
	now, zone := time.Now(), f.fields.Range.Zone
	if zone == "" {
		c, err := f.broker.dial(cmd)
		if err != nil {
			return now, err
		}
		defer c.close()
		if contract, err := events.NewDirectory(c.js).Contract(cmd.Context(), of.Provider, of.Account); err == nil {
			zone = contract.Zone
		}
	}
	if z, err := channels.Zone(zone); err == nil {
		now = now.In(z)
	}
	return now, nil
}

// daysBefore returns the first of the n days before that of now, and the day
// of now, which is no longer one of them.
func daysBefore(now time.Time, n int) (from, to string) {
	return now.AddDate(0, 0, -n).Format(time.DateOnly), now.Format(time.DateOnly)
}
