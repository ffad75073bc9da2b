package sandbox

import (
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"strings"
	"time"
)

// facebookMetrics are those of S2 with the breakdowns of each. Its messsage_type
// is taken for a misprint.
var facebookMetrics = map[string][]string{
	"page_messages_blocked_conversations_unique":  nil,
	"page_messages_engagement":                    {"campaign_id", "engagement_source", "message_type", "messaging_channel", "recurring_notifications_topic"},
	"page_messages_new_conversations_unique":      nil,
	"page_messages_order_count":                   nil,
	"page_messages_paid_order_earnings":           nil,
	"page_messages_read_ratio":                    {"campaign_id", "message_type", "messaging_channel", "recurring_notifications_topic"},
	"page_messages_reported_conversations_unique": nil,
	"page_messages_sent":                          {"campaign_id", "message_type", "messaging_channel", "recurring_notifications_topic"},
	"page_messages_total_messaging_connections":   nil,
	"page_messages_with_business_outcomes":        nil,
	"recurring_notifications_tokens":              {"messaging_channel", "recurring_notifications_frequency", "recurring_notifications_topic"},
}

var facebookDimensions = map[string][]string{
	"campaign_id":                       {"abc123", "spring sale 2"},
	"engagement_source":                 {"primary_cta", "secondary_cta"},
	"message_type":                      {"marketing_message"},
	"messaging_channel":                 {"MESSENGER", "INSTAGRAM"},
	"recurring_notifications_frequency": {"daily", "weekly", "monthly"},
	"recurring_notifications_topic":     {"newproducts", "10percentsale"},
}

// A facebookDay is one of the calendar, counted from 1970-01-01.
type facebookDay int

func facebookDayOf(t time.Time) facebookDay {
	y, m, d := t.Date()
	return facebookDay(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86_400)
}

func (d facebookDay) utc() time.Time { return time.Unix(int64(d)*86_400, 0).UTC() }

func (d facebookDay) begin(zone *time.Location) time.Time {
	y, m, dom := d.utc().Date()
	return time.Date(y, m, dom, 0, 0, 0, 0, zone)
}

// monthBefore returns the same day of the month before.
func (d facebookDay) monthBefore() facebookDay { return facebookDayOf(d.utc().AddDate(0, -1, 0)) }

// facebookPreset returns the days of a preset, of which the document tells no
// more than the name: weeks begin on Monday here.
func facebookPreset(name string, today facebookDay) (since, until facebookDay) {
	t := today.utc()
	first := facebookDayOf(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC))
	switch name {
	case "last_week":
		monday := today - facebookDay((t.Weekday()+6)%7)
		return monday - 7, monday
	case "last_month":
		return first.monthBefore(), first
	}
	quarter := facebookDayOf(time.Date(t.Year(), (t.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC))
	return facebookDayOf(quarter.utc().AddDate(0, -3, 0)), quarter
}

// facebookData makes up numbers. The same seed, page, metric and day always
// have the same ones.
type facebookData struct {
	seed uint64
	zone *time.Location
}

type facebookSeries struct {
	Name        string           `json:"name"`
	Period      string           `json:"period"`
	Values      []map[string]any `json:"values"`
	Title       string           `json:"title"`
	Description string           `json:"description"`
	ID          string           `json:"id"`
}

// series returns one metric's points. Insights are kept for two years, and
// there are none of a day that has not ended.
func (d *facebookData) series(r *request, q facebookQuery, metric string) facebookSeries {
	s := facebookSeries{
		Name: metric, Period: q.period, Values: []map[string]any{},
		Title:       strings.ReplaceAll(metric, "_", " "),
		Description: "The metric " + metric + " by " + q.period,
		ID:          r.vars["page"] + "/insights/" + metric + "/" + q.period,
	}
	today := facebookDayOf(r.at.In(d.zone))
	since, until := max(q.since, facebookDayOf(today.utc().AddDate(-2, 0, 0))), min(q.until, today)
	if since >= until {
		return s
	}
	add := func(from, to facebookDay) {
		end := to.begin(d.zone).UTC()
		for _, dims := range facebookCombinations(q.breakdowns) {
			point := map[string]any{"value": d.value(r.state.ID, metric, fmt.Sprint(dims), from, to)}
			if point["end_time"] = end.Format("2006-01-02T15:04:05-0700"); q.period == "total_over_range" {
				point["end_time"] = strconv.FormatInt(end.Unix(), 10) // as the document has it
			}
			for name, value := range dims {
				point[name] = value
			}
			s.Values = append(s.Values, point)
		}
	}
	if q.period == "total_over_range" {
		add(since, until)
		return s
	}
	for end := since + 1; end <= until; end++ {
		switch q.period {
		case "day":
			add(end-1, end)
		case "week":
			add(end-7, end)
		case "days_28":
			add(end-28, end)
		case "month":
			if end.utc().Day() == 1 {
				add(end.monthBefore(), end)
			}
		}
	}
	return s
}

// facebookCombinations returns the values of each dimension with those of all
// others.
func facebookCombinations(breakdowns []string) []map[string]string {
	all := []map[string]string{{}}
	for _, b := range breakdowns {
		var longer []map[string]string
		for _, dims := range all {
			for _, v := range facebookDimensions[b] {
				with := map[string]string{b: v}
				maps.Copy(with, dims)
				longer = append(longer, with)
			}
		}
		all = longer
	}
	return all
}

// value returns a number of the days [from, to): as text for about half of the
// metrics, as in the document.
func (d *facebookData) value(page, metric, dims string, from, to facebookDay) any {
	sum := 0
	for day := from; day < to; day++ {
		h := fnv.New64a()
		fmt.Fprint(h, d.seed, page, metric, dims, int(day))
		sum += int(h.Sum64() % 50)
	}
	days := int(to - from)
	switch {
	case metric == "page_messages_read_ratio":
		return float64(sum) / float64(50*days)
	case metric == "page_messages_paid_order_earnings":
		return fmt.Sprintf("%d.50", sum)
	case metric == "page_messages_total_messaging_connections", metric == "recurring_notifications_tokens":
		return 1000 + int(to) + sum/days
	case strings.HasSuffix(metric, "_unique"):
		return strconv.Itoa(sum - sum*(days-1)/(5*days)) // who came twice counts once
	}
	return sum
}
