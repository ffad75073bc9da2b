package facebook

import (
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/events"
)

const (
	newConversations = "page_messages_new_conversations_unique"
	blocked          = "page_messages_blocked_conversations_unique"
	sent             = "page_messages_sent"
	orders           = "page_messages_order_count"
	tokens           = "recurring_notifications_tokens"

	path = "/v25.0/104500000000001/insights"
)

// account is the one of the suite's cases, with settings replaced in pairs.
func account(settings ...string) *channels.Account {
	a := &channels.Account{Provider: name, Name: "page", Settings: map[string]string{settingPage: "104500000000001"}}
	for i := 0; i < len(settings); i += 2 {
		a.Settings[settings[i]] = settings[i+1]
	}
	return a
}

// report asks for metrics by granularity in a range of dates "from to", of a
// preset "last_week", or of none "".
func report(granularity, dates string, metrics ...string) events.Request {
	r := events.Report{Report: PageInsights, Granularity: granularity, Metrics: metrics}
	if from, to, ok := strings.Cut(dates, " "); ok {
		r.Range.FromDate, r.Range.ToDate = from, to
	} else {
		r.Range.Preset = dates
	}
	return events.Request{Report: &r}
}

// with changes the report of r.
func with(r events.Request, change func(*events.Report)) events.Request {
	change(r.Report)
	return r
}

func get(path, query string) channelstest.Wire {
	return channelstest.Wire{Method: "GET", Path: path, Query: query, Header: map[string]string{"Accept": "application/json"}}
}

func refused(status int, body string) channelstest.Reply {
	return channelstest.Reply{Status: status, Body: body}
}

var (
	ok           = channels.Verdict{Class: channels.OK}
	empty        = channelstest.Reply{Body: `{"data":[]}`}
	invalidReply = refused(400, `{"error":{"message":"(#100) The value must be a valid insights metric","type":"OAuthException","code":100,"fbtrace_id":"AAA"}}`)
)

// invalid is the verdict about invalidReply.
func invalid(v channels.Verdict) channels.Verdict {
	v.ProviderCode, v.ProviderText = "100", "(#100) The value must be a valid insights metric"
	return v
}

func next(cursor string) channels.Verdict {
	return channels.Verdict{Class: channels.OK, Next: cursor}
}

func TestFacebook(t *testing.T) { channelstest.Run(t, New(), suite(t)) }

func BenchmarkProvider(b *testing.B) { channelstest.Benchmark(b, New(), suite(b)) }

func suite(t testing.TB) channelstest.Suite {
	file := func(name string) channelstest.Reply {
		return channelstest.Reply{Body: channelstest.File(t, "testdata/"+name)}
	}
	left := func(metric string) string {
		return "metric " + metric + " was left out, Facebook refuses it: (#100) The value must be a valid insights metric"
	}
	cases := []channelstest.Case{
		{
			Name:    "two metrics by day, in the days that Graph chooses",
			Request: report("day", "", newConversations, blocked, newConversations),
			Exchanges: []channelstest.Exchange{{
				Want:    get(path, "metric="+newConversations+"%2C"+blocked+"&period=day"),
				Reply:   file("day.json"),
				Verdict: ok,
				Harvest: channelstest.Harvest{Stats: 2, Golden: "testdata/day.golden"},
			}},
		},
		{
			Name:    "a total over a range",
			Request: report("range", "2022-09-07 2022-10-07", newConversations),
			Exchanges: []channelstest.Exchange{{
				Want:    get(path, "metric="+newConversations+"&period=total_over_range&since=2022-09-07&until=2022-10-07"),
				Reply:   file("total_over_range.json"),
				Verdict: ok,
				Harvest: channelstest.Harvest{Stats: 1, Golden: "testdata/total_over_range.golden"},
			}},
		},
		{
			Name: "a total split by two dimensions, of a preset",
			Request: with(report("range", "last_month", tokens), func(r *events.Report) {
				r.GroupBy = []string{"recurring_notifications_topic", "recurring_notifications_frequency"}
			}),
			Exchanges: []channelstest.Exchange{{
				Want: get(path, "breakdown=recurring_notifications_topic%2Crecurring_notifications_frequency&date_preset=last_month&metric="+
					tokens+"&period=total_over_range"),
				Reply:   file("breakdown.json"),
				Verdict: ok,
				Harvest: channelstest.Harvest{Stats: 5, Golden: "testdata/breakdown.golden"},
			}},
		},
		{
			Name:    "an answer as Graph gives it, of another page, with the token in the header",
			Account: account(settingAuth, authHeader, settingVersion, "v26.0", settingZone, "America/Los_Angeles"),
			Request: with(report("day", "2026-03-07 2026-03-11", newConversations), func(r *events.Report) { r.Pages = []string{"a/b c"} }),
			Exchanges: []channelstest.Exchange{{
				Want: get("/v26.0/a%2Fb%20c/insights", "metric="+newConversations+"&period=day&since=2026-03-07&until=2026-03-11"),
				Reply: channelstest.Reply{Body: channelstest.File(t, "testdata/live.json"), Header: map[string]string{
					"X-App-Usage":               `{"call_count":28,"total_cputime":25,"total_time":91.5}`,
					"X-Business-Use-Case-Usage": `{"104500000000001":[{"type":"pages","call_count":3,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}]}`,
				}},
				Verdict: channels.Verdict{Class: channels.OK, Usage: 91.5},
				Harvest: channelstest.Harvest{Stats: 13, Records: 2, Golden: "testdata/live.golden"},
			}},
		},
		{
			Name:    "values that cannot be read, and no period",
			Request: report("day", "", newConversations),
			Exchanges: []channelstest.Exchange{{
				Want:  get(path, "metric="+newConversations+"&period=day"),
				Reply: file("odd.json"),
				Verdict: channels.Verdict{Class: channels.OK, Warnings: []string{
					"values that cannot be read were left out: 4, the first is data[0].values[0]: a value is no number"}},
				Harvest: channelstest.Harvest{Stats: 3, Golden: "testdata/odd.golden", Left: []string{
					"/data/0/values/0", "/data/0/values/1", "/data/0/values/3", "/data/0/values/4/value/VN"}},
			}},
		},
		{
			Name:    "91 days in two calls",
			Request: report("range", "2026-01-01 2026-04-02", sent),
			Exchanges: []channelstest.Exchange{
				{Want: get(path, "metric="+sent+"&period=total_over_range&since=2026-01-01&until=2026-04-01"), Reply: empty, Verdict: next("1.0.-1.")},
				{Want: get(path, "metric="+sent+"&period=total_over_range&since=2026-04-01&until=2026-04-02"), Reply: empty, Verdict: ok},
			},
		},
		{
			Name:    "less than was asked for, and a link to the rest",
			Request: report("day", "2026-01-01 2026-01-31", sent),
			Exchanges: []channelstest.Exchange{
				{
					Want: get(path, "metric="+sent+"&period=day&since=2026-01-01&until=2026-01-31"),
					Reply: channelstest.Reply{Body: `{"data":[],"paging":{
						"next":"https://graph.facebook.com/v25.0/1/insights?access_token=EAABx&since=1769155200&until=1771747200"}}`}, // 2026-01-23
					Verdict: next("0.22.-1."),
				},
				{
					Want: get(path, "metric="+sent+"&period=day&since=2026-01-23&until=2026-01-31"),
					Reply: channelstest.Reply{Body: `{"data":[],"paging":{
						"next":"https://graph.facebook.com/v25.0/1/insights?access_token=EAABx&since=2026-01-31&until=2026-02-08"}}`},
					Verdict: ok,
				},
			},
		},
		{
			Name:    "one of three metrics is dead, found in the first of two windows",
			Request: report("day", "2026-01-01 2026-05-01", newConversations, sent, orders),
			Exchanges: []channelstest.Exchange{
				{Want: get(path, "metric="+newConversations+"%2C"+sent+"%2C"+orders+"&period=day&since=2026-01-01&until=2026-04-01"),
					Reply: invalidReply, Verdict: invalid(next("0.0.0."))},
				{Want: get(path, "metric="+newConversations+"&period=day&since=2026-01-01&until=2026-04-01"),
					Reply: empty, Verdict: next("0.0.1.")},
				{Want: get(path, "metric="+sent+"&period=day&since=2026-01-01&until=2026-04-01"),
					Reply: invalidReply, Verdict: invalid(channels.Verdict{Class: channels.OK, Next: "0.0.2.1", Warnings: []string{left(sent)}})},
				{Want: get(path, "metric="+orders+"&period=day&since=2026-01-01&until=2026-04-01"),
					Reply: empty, Verdict: next("1.0.-1.1")},
				{Want: get(path, "metric="+newConversations+"%2C"+orders+"&period=day&since=2026-04-01&until=2026-05-01"),
					Reply: empty, Verdict: ok},
			},
		},
		{
			Name:    "the last metric is dead",
			Request: report("day", "", sent, orders),
			Exchanges: []channelstest.Exchange{
				{Want: get(path, "metric="+sent+"%2C"+orders+"&period=day"), Reply: invalidReply, Verdict: invalid(next("0.0.0."))},
				{Want: get(path, "metric="+sent+"&period=day"), Reply: empty, Verdict: next("0.0.1.")},
				{Want: get(path, "metric="+orders+"&period=day"), Reply: invalidReply,
					Verdict: invalid(channels.Verdict{Class: channels.OK, Warnings: []string{left(orders)}})},
			},
		},
		{
			Name:    "both metrics are dead",
			Request: report("day", "", sent, orders),
			Exchanges: []channelstest.Exchange{
				{Want: get(path, "metric="+sent+"%2C"+orders+"&period=day"), Reply: invalidReply, Verdict: invalid(next("0.0.0."))},
				{Want: get(path, "metric="+sent+"&period=day"), Reply: invalidReply,
					Verdict: invalid(channels.Verdict{Class: channels.OK, Next: "0.0.1.0", Warnings: []string{left(sent)}})},
				{Want: get(path, "metric="+orders+"&period=day"), Reply: invalidReply,
					Verdict: invalid(channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonRequestRefused})},
			},
		},
		{
			Name: "instants become whole days of the insight zone",
			Request: with(report("day", "", sent), func(r *events.Report) {
				r.Range.FromMS, r.Range.ToMS = 1_772_870_400_000-1, 1_772_956_800_000 // 2026-03-06T23:59:59.999-08:00 to 2026-03-08
			}),
			Exchanges: []channelstest.Exchange{{
				Want: func() channelstest.Wire {
					w := get(path, "metric="+sent+"&period=day&since=2026-03-06&until=2026-03-08")
					w.Warnings = []string{"the range was widened to whole days in America/Los_Angeles, from 2026-03-06 to before 2026-03-08"}
					return w
				}(),
				Reply: empty, Verdict: ok,
			}},
		},
		{
			Name:    "a metric that no document names",
			Request: with(report("day", "last_week", "page_impressions"), func(r *events.Report) { r.GroupBy = []string{"campaign_id"} }),
			Exchanges: []channelstest.Exchange{{
				Want:  get(path, "breakdown=campaign_id&date_preset=last_week&metric=page_impressions&period=day"),
				Reply: empty, Verdict: ok,
			}},
		},
	}
	for name, c := range map[string]struct {
		field string
		r     events.Request
	}{
		"no metric":                   {"metrics", report("day", "")},
		"no granularity":              {"granularity", report("", "", sent)},
		"hours":                       {"granularity", report("hour", "", sent)},
		"a metric that is no name":    {"metrics", report("day", "", "page_messages_sent,page_fans")},
		"too many metrics":            {"metrics", report("day", "", manyMetrics()...)},
		"a dimension that is none":    {"group_by", with(report("day", "", sent), func(r *events.Report) { r.GroupBy = []string{"messsage_type"} })},
		"a dimension of another":      {"group_by", with(report("day", "", sent), func(r *events.Report) { r.GroupBy = []string{"engagement_source"} })},
		"a dimension of none":         {"group_by", with(report("day", "", newConversations), func(r *events.Report) { r.GroupBy = []string{"campaign_id"} })},
		"two pages":                   {"pages", with(report("day", "", sent), func(r *events.Report) { r.Pages = []string{"1", "2"} })},
		"a page that is no part":      {"pages[0]", with(report("day", "", sent), func(r *events.Report) { r.Pages = []string{".."} })},
		"a preset that is no name":    {"range.preset", report("day", "last&week", sent)},
		"a total of nothing":          {"range", report("range", "", sent)},
		"a unique total over 91 days": {"range", report("range", "2026-01-01 2026-04-02", sent, newConversations)},
		"an unknown total":            {"range", report("range", "2026-01-01 2026-04-02", "page_fans")},
		"three years":                 {"range", report("day", "2023-01-01 2026-01-01", sent)},
		"a bound on pages":            {"page.max_pages", with(report("day", "", sent), func(r *events.Report) { r.Page.MaxPages = 1 })},
	} {
		cases = append(cases, channelstest.Case{Name: name, Request: c.r, Refused: c.field})
	}
	return channelstest.Suite{
		Account: *account(),
		Cases:   cases,
		Envelope: []string{
			"/data/*/name", "/data/*/period", // metric, granularity
			"/data/*/values/*/end_time",                                                                            // end and label of the bucket
			"/data/*/values/*/recurring_notifications_topic", "/data/*/values/*/recurring_notifications_frequency", // dims
			"/data/*/values/*/message_type", "/data/*/values/*/campaign_id",
			"/paging/previous", "/paging/next",
			"/error/message", "/error/type", "/error/code", "/error/fbtrace_id", // of a metric that is left out
		},
	}
}

func manyMetrics() []string {
	var m []string
	for i := range maxMetrics + 1 {
		m = append(m, "page_metric_"+strings.Repeat("x", i))
	}
	return m
}
