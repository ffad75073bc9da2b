package facebook

import (
	"strings"

	"github.com/tramhq/tram/pkg/events"
)

// breakdowns are the dimensions of the breakdown parameter (S2, parameters).
var breakdowns = []string{
	"campaign_id", "engagement_source", "message_type", "messaging_channel",
	"recurring_notifications_entry_point", "recurring_notifications_frequency", "recurring_notifications_topic",
}

// A metric is what the document says of one, and what providers.md §3c makes
// of it.
type metric struct {
	agg           events.Agg
	unit          events.Unit
	unitSource    events.Origin
	alias         string   // the name that providers share for it
	breakdowns    []string // that it can be split by
	inDevelopment bool
	approximate   bool
}

// metrics are the eleven of S2, "Available metrics". The endpoint has others,
// and they come and go: those are passed on and taken as they are.
//
// page_messages_sent has message_type misprinted as messsage_type there (T-11).
var metrics = map[string]metric{
	"page_messages_blocked_conversations_unique": {agg: events.AggUnique},
	"page_messages_engagement": {agg: events.AggSum, inDevelopment: true, alias: "messages.clicked",
		breakdowns: []string{"campaign_id", "engagement_source", "message_type", "messaging_channel", "recurring_notifications_topic"}},
	"page_messages_new_conversations_unique": {agg: events.AggUnique, alias: "conversations.new"},
	"page_messages_order_count":              {agg: events.AggSum, inDevelopment: true},
	"page_messages_paid_order_earnings": {agg: events.AggSum, inDevelopment: true, approximate: true,
		unit: events.UnitMoney}, // of a currency that nothing names
	"page_messages_read_ratio": {agg: events.AggRatio, unit: events.UnitRatio, inDevelopment: true, alias: "messages.read",
		breakdowns: []string{"campaign_id", "message_type", "messaging_channel", "recurring_notifications_topic"}},
	"page_messages_reported_conversations_unique": {agg: events.AggUnique},
	"page_messages_sent": {agg: events.AggSum, inDevelopment: true, alias: "messages.sent",
		breakdowns: []string{"campaign_id", "message_type", "messaging_channel", "recurring_notifications_topic"}},
	"page_messages_total_messaging_connections": {agg: events.AggSnapshot},
	"page_messages_with_business_outcomes":      {agg: events.AggSum, inDevelopment: true},
	"recurring_notifications_tokens": {agg: events.AggSnapshot, inDevelopment: true,
		breakdowns: []string{"messaging_channel", "recurring_notifications_frequency", "recurring_notifications_topic"}},
}

// metricOf returns what is known of a metric. What is not must never be added
// up, so it counts as unique where its name says so and as a snapshot else.
func metricOf(name string) (m metric, known bool) {
	m, known = metrics[name]
	switch {
	case known:
		m.unitSource = events.Declared
		if m.unit == "" {
			m.unit = events.UnitCount
		}
	case strings.HasSuffix(name, "_unique"):
		m = metric{agg: events.AggUnique, unit: events.UnitCount, unitSource: events.Guessed}
	default:
		m = metric{agg: events.AggSnapshot, unit: events.UnitUnknown, unitSource: events.Guessed}
	}
	return m, known
}

// periods are Graph's by our granularity. The document gives them once, for
// the parameter and not for each metric.
var periods = []struct{ granularity, period string }{
	{"day", "day"}, {"week", "week"}, {"month", "month"}, {"days_28", "days_28"}, {"range", total},
}

// total is the period of one value for the whole range.
const total = "total_over_range"

func granularities() []string {
	var g []string
	for _, p := range periods {
		g = append(g, p.granularity)
	}
	return g
}

// periodOf returns Graph's word for a granularity, "" if it has none.
func periodOf(granularity string) string {
	for _, p := range periods {
		if p.granularity == granularity {
			return p.period
		}
	}
	return ""
}

// granularityOf returns our word for a period, or the period where we have none.
func granularityOf(period string) string {
	for _, p := range periods {
		if p.period == period {
			return p.granularity
		}
	}
	return period
}
