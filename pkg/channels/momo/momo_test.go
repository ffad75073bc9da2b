package momo_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/channels/momo"
	"github.com/tramhq/tram/pkg/events"
)

var account = channels.Account{
	BaseURL:  "https://test-business.momo.vn/api",
	Settings: map[string]string{"business_page_id": "130035", "zone": "Asia/Ho_Chi_Minh"},
}

const path = "/api/v1/business-pages/130035/chat/messages/report"

// body is the call's body for a page.
func body(preset string, limit int, target int64) string {
	return fmt.Sprintf(`{"oa_id":"130035","report_time_range":%q,"limit":%d,"target_created_at":%d,"filter":{"filter_type":"CONDITION","condition_id":"FOLLOW_NO_PAYMENT"}}`,
		preset, limit, target)
}

// row is a message with one counter; its ids are made of id.
func row(id string, at int64) string {
	return fmt.Sprintf(`{"campaign_id":"c%s","segment_id":"s%[1]s","create_at":%d,"reports":{"SENT":1}}`, id, at)
}

// nameless is a row of what the document names.
func nameless(title string, at int64) string {
	return fmt.Sprintf(`{"template_data":"{\"chatMessage\":{\"title\":\"%s\"}}","create_at":%d,"reports":{"SENT":1}}`, title, at)
}

func page(rows ...string) channelstest.Reply {
	return channelstest.Reply{Body: `{"json":{"oa_id":"130035","data":[` + strings.Join(rows, ",") + `]},"success":true}`}
}

// report is a request with the page size 2, for its cases to need pages.
func report(r events.Range) events.Request {
	return events.Request{Report: &events.Report{
		Report: momo.MessagesReport, Range: r, Filters: map[string]string{"condition_id": "FOLLOW_NO_PAYMENT"}, Page: events.Paging{Size: 2},
	}}
}

// exchange is one page: asked for before target, with so many rows published.
func exchange(preset string, target int64, reply channelstest.Reply, next, golden string, published int, left ...string) channelstest.Exchange {
	ex := channelstest.Exchange{
		Want:    channelstest.Wire{Path: path, Body: body(preset, 2, target)},
		Reply:   reply,
		Verdict: channels.Verdict{Class: channels.OK, Next: next},
		Harvest: channelstest.Harvest{Stats: published, Records: published, Left: left},
	}
	if published > 0 {
		ex.Harvest.Golden = "testdata/" + golden + ".golden"
	}
	return ex
}

// larger is ex with a page that is asked for with another limit.
func larger(limit int, target int64, ex channelstest.Exchange) channelstest.Exchange {
	ex.Want.Body = body("ALL", limit, target)
	return ex
}

// warned is ex with the warning.
func warned(warning string, ex channelstest.Exchange) channelstest.Exchange {
	ex.Verdict.Warnings = []string{warning}
	return ex
}

func TestProvider(t *testing.T) { channelstest.Run(t, momo.New(), suite(t)) }

func FuzzAnswers(f *testing.F) { channelstest.Fuzz(f, momo.New(), suite(f)) }

func BenchmarkProvider(b *testing.B) { channelstest.Benchmark(b, momo.New(), suite(b)) }

func suite(t testing.TB) channelstest.Suite {
	file := func(name string) string { return channelstest.File(t, "testdata/"+name) }
	all := events.Range{Preset: "ALL"}
	day := func(n int) time.Time { return time.UnixMilli(channelstest.NowMS).AddDate(0, 0, n) }
	refused := func(name, field string, change func(*events.Report)) channelstest.Case {
		r := report(events.Range{Preset: "DAY_AGO_30"})
		change(r.Report)
		return channelstest.Case{Name: name, Request: r, Refused: field}
	}
	answered := func(name string, reply channelstest.Reply, v channels.Verdict) channelstest.Case {
		return channelstest.Case{Name: name, Request: report(all), Exchanges: []channelstest.Exchange{{
			Want: channelstest.Wire{Path: path, Body: body("ALL", 2, 0)}, Reply: reply, Verdict: v,
		}}}
	}
	preset := func(want string, daysAgo int) channelstest.Case {
		from := day(-daysAgo)
		to := from.AddDate(0, 0, 1)
		return channelstest.Case{
			Name:    fmt.Sprintf("range from %d days ago is %s", daysAgo, want),
			Request: report(events.Range{FromMS: from.UnixMilli(), ToMS: to.UnixMilli()}),
			Exchanges: []channelstest.Exchange{
				exchange(want, to.UnixMilli(), page(), "", "", 0),
			},
		}
	}
	documented := report(events.Range{Preset: "DAY_AGO_60"})
	documented.Report.Page.Size = 90
	defaults := report(all)
	defaults.Report.Page.Size = 0
	defaults.Report.Filters["filter_type"] = "CONDITION"

	return channelstest.Suite{
		Account:  account,
		Envelope: []string{"/success", "/json/oa_id", "/json/range", "/json/date_time_unit", "/json/filter_type"},
		Cases: []channelstest.Case{
			{Name: "documented", Request: documented, Exchanges: []channelstest.Exchange{
				{
					Want:  channelstest.Wire{Path: path, Body: file("messages_report.request.json"), Header: map[string]string{"Content-Type": "application/json"}},
					Reply: channelstest.Reply{Body: file("messages_report.json")},
					// A page of one is no proof that there are no more.
					Verdict: channels.Verdict{Class: channels.OK, Next: `{"target":1701059874845,"oldest":1701059874844,"seen":["1701059872524/1327"]}`},
					Harvest: channelstest.Harvest{Stats: 7, Records: 1, Golden: "testdata/messages_report.golden"},
				},
				{
					Want:    channelstest.Wire{Path: path, Body: body("DAY_AGO_60", 90, 1701059874845)},
					Reply:   channelstest.Reply{Body: file("messages_report.json")},
					Verdict: channels.Verdict{Class: channels.OK},
					Harvest: channelstest.Harvest{Left: []string{"/json/data/0"}},
				},
			}},
			{Name: "defaults", Request: defaults, Exchanges: []channelstest.Exchange{{
				Want: channelstest.Wire{Path: path, Body: body("ALL", 20, 0)}, Reply: page(), Verdict: channels.Verdict{Class: channels.OK},
			}}},

			{Name: "data null", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, channelstest.Reply{Body: `{"success":true,"json":{"data":null}}`}, "", "", 0, "/json/data"),
			}},

			// A server that returns what is older than the target, as documented.
			{Name: "pages", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(row("5", 5000), row("4", 4000)), `{"target":4001,"oldest":4000,"seen":["c4/s4"]}`, "pages.1", 2),
				exchange("ALL", 4001, page(row("4", 4000), row("3", 3000)), `{"target":3001,"oldest":3000,"seen":["c3/s3"]}`, "pages.2", 1, "/json/data/0"),
				exchange("ALL", 3001, page(row("3", 3000)), "", "", 0, "/json/data/0"),
			}},
			{Name: "three of one time", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(row("a", 4000), row("b", 4000)), `{"target":4001,"oldest":4000,"seen":["ca/sa","cb/sb"]}`, "ties.1", 2),
				exchange("ALL", 4001, page(row("c", 4000), row("b", 4000)), `{"target":4001,"oldest":4000,"seen":["ca/sa","cb/sb","cc/sc"]}`, "ties.2", 1, "/json/data/1"),
				// A page full of what was seen: a larger one has what is behind it.
				exchange("ALL", 4001, page(row("a", 4000), row("b", 4000)), `{"target":4001,"limit":4,"oldest":4000,"seen":["ca/sa","cb/sb","cc/sc"]}`, "", 0, "/json/data"),
				larger(4, 4001, exchange("ALL", 4001, page(row("a", 4000), row("b", 4000), row("c", 4000), row("d", 3000)),
					`{"target":3001,"oldest":3000,"seen":["cd/sd"]}`, "ties.4", 1, "/json/data/0", "/json/data/1", "/json/data/2")),
				exchange("ALL", 3001, page(), "", "", 0),
			}},
			// A server that returns what is not newer than the target.
			{Name: "inclusive", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(row("a", 4000), row("b", 4000)), `{"target":4001,"oldest":4000,"seen":["ca/sa","cb/sb"]}`, "ties.1", 2),
				exchange("ALL", 4001, page(row("a", 4000), row("b", 4000)), `{"target":4001,"limit":4,"oldest":4000,"seen":["ca/sa","cb/sb"]}`, "", 0, "/json/data"),
				larger(4, 4001, exchange("ALL", 4001, page(row("a", 4000), row("b", 4000)), "", "", 0, "/json/data")),
			}},
			{Name: "newer ones appear meanwhile", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(row("a", 4000)), `{"target":4001,"oldest":4000,"seen":["ca/sa"]}`, "newer.1", 1),
				exchange("ALL", 4001, page(row("a", 4000), row("n", 4001)), `{"target":4001,"limit":4,"oldest":4000,"seen":["ca/sa"],"above":["cn/sn"]}`, "newer.2", 1, "/json/data/0"),
				larger(4, 4001, exchange("ALL", 4001, page(row("a", 4000), row("n", 4001)), "", "", 0, "/json/data")),
			}},
			{Name: "range", Request: report(events.Range{FromDate: "2026-11-10", ToDate: "2026-11-12"}), Exchanges: []channelstest.Exchange{
				// 2026-11-10T00:00+07:00 is 1794243600000, and 48 hours later is the end.
				exchange("DAY_AGO_30", 1794416400000, page(row("late", 1794416400000), row("in", 1794416399999)),
					`{"target":1794416400000,"oldest":1794416399999,"seen":["cin/sin"],"above":["clate/slate"]}`, "range.1", 1, "/json/data/0"),
				exchange("DAY_AGO_30", 1794416400000, page(row("first", 1794243600000), row("early", 1794243599999)), "", "range.2", 1, "/json/data/1"),
			}},
			preset("DAY_AGO_30", 23), preset("DAY_AGO_60", 24), preset("DAY_AGO_60", 53), preset("DAY_AGO_90", 54),
			preset("DAY_AGO_90", 83), preset("ALL", 84), preset("ALL", 365),

			{Name: "numbers as they stand", Request: report(all), Exchanges: []channelstest.Exchange{
				{
					Want: channelstest.Wire{Path: path, Body: body("ALL", 2, 0)},
					Reply: page(`{"campaign_id":9007199254740993,"segment_id":"1","segment_size":null,"create_at":"4000","template_data":"{not JSON",
					"reports":{"SENT":12345678901234567890,"READ":"7","RATE":1.50,"HUGE":25e2,"NONE":null,"WORD":"n/a","a/b~":1}}`),
					Verdict: channels.Verdict{Class: channels.OK, Next: `{"target":4001,"oldest":4000,"seen":["9007199254740993/1"]}`},
					Harvest: channelstest.Harvest{Stats: 7, Records: 1, Golden: "testdata/numbers.golden"},
				},
				exchange("ALL", 4001, page(), "", "", 0),
			}},
			{Name: "times as other languages write them", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(`{"campaign_id":"c1","segment_id":"s1","create_at":4.0E3,"reports":{"SENT":1}}`,
					`{"campaign_id":"c2","segment_id":"s2","create_at":3000.0,"reports":{"SENT":1}}`), `{"target":3001,"oldest":3000,"seen":["c2/s2"]}`, "times", 2),
				exchange("ALL", 3001, page(), "", "", 0),
			}},
			{Name: "rows that cannot be read", Request: report(all), Exchanges: []channelstest.Exchange{
				warned("messages that cannot be read were left out: 2, the first is json.data[0]: a message has no create_at in unix milliseconds",
					exchange("ALL", 0, page("null", row("5", 5000), row("4", 4000), `{"create_at":3500,"reports":[]}`),
						`{"target":4001,"oldest":4000,"seen":["c4/s4"]}`, "unreadable", 2, "/json/data/0", "/json/data/3")),
				// They fill a page: what is behind it comes with a larger one.
				warned("messages that cannot be read were left out: 1, the first is json.data[1]: a message has no create_at in unix milliseconds",
					exchange("ALL", 4001, page(row("4", 4000), `{"create_at":"today"}`),
						`{"target":4001,"limit":4,"oldest":4000,"seen":["c4/s4"]}`, "", 0, "/json/data")),
				larger(4, 4001, warned("messages that cannot be read were left out: 1, the first is json.data[1]: a message has no create_at in unix milliseconds",
					exchange("ALL", 4001, page(row("4", 4000), `{"create_at":"today"}`, row("3", 3000)),
						`{"target":3001,"oldest":3000,"seen":["c3/s3"]}`, "unreadable.3", 1, "/json/data/0", "/json/data/1"))),
				exchange("ALL", 3001, page(row("3", 3000)), "", "", 0, "/json/data/0"),
			}},
			{Name: "rows without ids", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(`{"create_at":4000,"reports":{"SENT":1}}`, `{"create_at":3000,"reports":{"SENT":2}}`),
					`{"target":3001,"oldest":3000,"seen":["/"]}`, "noids", 2),
				exchange("ALL", 3001, page(), "", "", 0),
			}},
			// What the document names, and no more: the message tells them apart.
			{Name: "rows without ids of one time", Request: report(all), Exchanges: []channelstest.Exchange{
				exchange("ALL", 0, page(nameless("Hi", 4000), nameless("Hello", 4000)), `{"target":4001,"oldest":4000,"seen":["//e26d4b372764","//89698e588dd2"]}`, "nameless.1", 2),
				exchange("ALL", 4001, page(nameless("Hello", 4000), nameless("Hey", 4000)),
					`{"target":4001,"oldest":4000,"seen":["//e26d4b372764","//89698e588dd2","//c858277fcce2"]}`, "nameless.2", 1, "/json/data/0"),
				exchange("ALL", 4001, page(), "", "", 0),
			}},

			refused("no condition", "filters.condition_id", func(r *events.Report) { delete(r.Filters, "condition_id") }),
			refused("unknown condition", "filters.condition_id", func(r *events.Report) { r.Filters["condition_id"] = "ALL" }),
			refused("unknown filter type", "filters.filter_type", func(r *events.Report) { r.Filters["filter_type"] = "SEGMENT" }),
			refused("unknown preset", "range.preset", func(r *events.Report) { r.Range.Preset = "DAY_AGO_7" }),
			refused("no range", "range", func(r *events.Report) { r.Range = events.Range{} }),
			refused("range over a year ago", "range", func(r *events.Report) {
				r.Range = events.Range{FromMS: day(-366).UnixMilli(), ToMS: day(-1).UnixMilli()}
			}),
			refused("metrics", "metrics", func(r *events.Report) { r.Metrics = []string{"SENT"} }),
			refused("unknown report", "report", func(r *events.Report) { r.Report = "momo.orders_report" }),

			answered("no", channelstest.Reply{Body: `{"success":false,"resultCode":1004,"message":"Không có quyền"}`},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "1004", ProviderText: "Không có quyền"}),
			answered("no with a 400", channelstest.Reply{Status: 400, Body: `{"success":false,"description":"bad"}`},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderText: "bad"}),
			answered("token expired", channelstest.Reply{Status: 401, Body: `{"success":false,"message":"expired"}`},
				channels.Verdict{Class: channels.Auth, Reason: "unauthorized", ProviderText: "expired"}),
			answered("too many", channelstest.Reply{Status: 429},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 30_000, Untold: true}),
			answered("too many, and a short rest is told", channelstest.Reply{Status: 429, Header: map[string]string{"Retry-After": "2"}},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 2000}),
			answered("no rows", channelstest.Reply{Body: `{"success":true}`},
				channels.Verdict{Class: channels.Retry, Reason: "unexpected_answer"}),
			answered("no data", channelstest.Reply{Body: `{"success":true,"json":{"oa_id":"130035"}}`},
				channels.Verdict{Class: channels.Retry, Reason: "unexpected_answer"}),
			answered("data that is no list", channelstest.Reply{Body: `{"success":true,"json":{"data":{}}}`},
				channels.Verdict{Class: channels.Retry, Reason: "unexpected_answer"}),
			answered("rows of which none can be read", page(`{"campaign_id":"1","segment_id":"1","create_at":null}`, "null"),
				channels.Verdict{Class: channels.Retry, Reason: "unexpected_answer"}),
			answered("a server error", channelstest.Reply{Status: 502, Body: "<html>Bad gateway</html>"},
				channels.Verdict{Class: channels.Retry, Reason: "server_error", ProviderFault: true}),
		},
	}
}
