package pancake_test

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/events"
)

const (
	pageID = "109483769790976"
	chatID = "wa_84900000001@c.us_62000000001@c.us" // T-40
	root   = "/api/public_api/v1/pages/" + pageID
)

// page is the account of a page, with settings beside its id and zone.
func page(settings ...string) *channels.Account {
	a := &channels.Account{Settings: map[string]string{"page_id": pageID, "zone": "Asia/Ho_Chi_Minh"}}
	for i := 0; i < len(settings); i += 2 {
		a.Settings[settings[i]] = settings[i+1]
	}
	return a
}

// present is the account of a page that names its editions.
func present() *channels.Account {
	return page("conversations_version", "v2", "assign_method", "POST", "new_customers_path", "page_customers")
}

// query is a query in the order in which it is sent.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

func days(from, to string) events.Range { return events.Range{FromDate: from, ToDate: to} }

// unix is the second at which a day begins in Vietnam, plus some.
func unix(t testing.TB, day string, plus int64) string {
	t.Helper()
	at, err := time.Parse("2006-01-02 -0700", day+" +0700")
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(at.Unix()+plus, 10)
}

func report(name string, r events.Report) events.Request {
	r.Report = name
	return events.Request{Report: &r}
}

func command(name string, c events.Command) events.Request {
	c.Command = name
	return events.Request{Command: &c}
}

var ok = channels.Verdict{Class: channels.OK}

func next(cursor string) channels.Verdict { return channels.Verdict{Class: channels.OK, Next: cursor} }

// harvest is what comes of an answer; golden may be "" where that is nothing.
func harvest(golden string, stats, records int, left ...string) channelstest.Harvest {
	h := channelstest.Harvest{Stats: stats, Records: records, Left: left}
	if golden != "" {
		h.Golden = "testdata/golden/" + golden + ".golden"
	}
	return h
}

// get is an exchange that reads.
func get(path, query, body string, v channels.Verdict, h channelstest.Harvest) channelstest.Exchange {
	return channelstest.Exchange{
		Want:  channelstest.Wire{Method: "GET", Path: path, Query: query, Header: map[string]string{"Accept": "application/json"}},
		Reply: channelstest.Reply{Body: body}, Verdict: v, Harvest: h,
	}
}

// post is an exchange that changes something.
func post(path, body, reply string, v channels.Verdict, h channelstest.Harvest) channelstest.Exchange {
	return channelstest.Exchange{
		Want:  channelstest.Wire{Path: path, Body: body},
		Reply: channelstest.Reply{Body: reply}, Verdict: v, Harvest: h,
	}
}

func one(name string, r events.Request, ex ...channelstest.Exchange) channelstest.Case {
	return channelstest.Case{Name: name, Request: r, Exchanges: ex}
}

func refused(name, field string, r events.Request) channelstest.Case {
	return channelstest.Case{Name: name, Request: r, Refused: field}
}

// widened is a case whose range is told to be widened.
func widened(name, warning string, r events.Request, ex channelstest.Exchange) channelstest.Case {
	ex.Want.Warnings = []string{warning}
	return one(name, r, ex)
}

func with(a *channels.Account, c channelstest.Case) channelstest.Case {
	c.Account = a
	return c
}

// unnamed is a case of an account that does not name its editions.
func unnamed(name string, r events.Request, ex ...channelstest.Exchange) channelstest.Case {
	return with(page(), one("unnamed: "+name, r, ex...))
}

// status is an exchange that ends with another status than 200.
func status(code int, ex channelstest.Exchange) channelstest.Exchange {
	ex.Reply.Status = code
	return ex
}

// envelope are the leaves that stand in a stat's bucket, metric or dimensions,
// or are about the answer alone.
var envelope = []string{
	"/success", "/total",
	"/data/categories/*", "/data_today/categories/*", "/data/series/*/name",
	"/statistics/*/hour", "/statistics/*/*/hour", "/data/*/hour", "/data/*/hour_in_integer", "/data/*/date", "/data/*/*/date",
	"/data/statistics/*/*/hour", "/data/statistics/*/*/hour_in_integer", "/data/statistics/*/*/page_id",
	"/page_access_token", "/data/page_access_token",
	"/categorized/activated_page_ids/*", "/categorized/activated/*/settings/page_access_token",
}

func TestUser(t *testing.T) {
	t.Parallel()
	channelstest.Run(t, pancake.New(), userSuite(t))
}

func TestPage(t *testing.T) {
	t.Parallel()
	channelstest.Run(t, pancake.New(), pageSuite(t))
}

func FuzzUserAnswers(f *testing.F) { channelstest.Fuzz(f, pancake.New(), userSuite(f)) }

func FuzzPageAnswers(f *testing.F) { channelstest.Fuzz(f, pancake.New(), pageSuite(f)) }

func BenchmarkUser(b *testing.B) { channelstest.Benchmark(b, pancake.New(), userSuite(b)) }

func BenchmarkPage(b *testing.B) { channelstest.Benchmark(b, pancake.New(), pageSuite(b)) }

func userSuite(t testing.TB) channelstest.Suite {
	file := func(name string) string { return channelstest.File(t, "testdata/"+name) }
	generate := command(pancake.GenerateToken, events.Command{PageID: "wa_c.us@84900000001"})
	const generatePath = "/api/v1/pages/wa_c.us@84900000001/generate_page_access_token"
	multi := report(pancake.StaffMulti, events.Report{Range: days("2022-08-05", "2022-08-07"), Pages: []string{"2", "1", "2"}})
	multiQuery := query("date_range", "05/08/2022 00:00:00 - 06/08/2022 23:59:59", "page_ids", "1,2")
	listed := func(name, body string, v channels.Verdict, h channelstest.Harvest) channelstest.Case {
		return one(name, report(pancake.Pages, events.Report{}), get("/api/v1/pages", "", body, v, h))
	}

	return channelstest.Suite{
		Account:  channels.Account{},
		Envelope: envelope,
		Cases: []channelstest.Case{
			listed("pages in life", file("present/pages.json"), ok, harvest("pages", 0, 3)),
			listed("pages as specified", `{"pages":[{"id":"1","platform":"facebook","name":"A","avatar_url":null}],"note":[1]}`, ok, harvest("pages.specified", 0, 2)),
			listed("pages below data", `{"data":{"categorized":{"activated":[{"id":"1"}],"more":2},"x":3}}`, ok, harvest("pages.data", 0, 3)),
			listed("no pages is a refused token", `{"success":true}`,
				channels.Verdict{Class: channels.Auth, Reason: "unauthorized"}, harvest("", 0, 0)),

			one("token", generate, post(generatePath, "", `{"success":true,"page_access_token":"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}`, ok, harvest("token", 0, 0))),
			one("token below data", generate, post(generatePath, "", `{"success":true,"data":{"page_access_token":"another"}}`, ok, harvest("token.data", 0, 0))),
			one("no token in the answer", generate, post(generatePath, "", `{"success":true}`,
				channels.Verdict{Class: channels.Ambiguous, Reason: "unexpected_answer"}, harvest("", 0, 0))),
			one("no right to the page", generate, post(generatePath, "", `{"success":false,"message":"You must be admin","error_code":100}`,
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "100", ProviderText: "You must be admin"}, harvest("", 0, 0))),
			refused("token of no page", "page_id", command(pancake.GenerateToken, events.Command{PageID: ".."})),
			refused("tags of a user", "command", command(pancake.TagAdd, events.Command{ConversationID: "1", TagID: "1"})),

			one("one over pages", multi, get("/api/v1/statistics/user", multiQuery, `{"statistics":{"a":[{"hour":"2022-08-05T01:00:00","average_response_time":0}]},
				"users":{"a":{"hour":"2022-08-05T01:00:00","inbox_count":1,"user_name":"A"}}}`, ok, harvest("staff_multi.one", 2, 1))),
			one("staff over pages", multi, get("/api/v1/statistics/user", multiQuery, file("statistics_user_multi_page.json"), ok,
				harvest("staff_multi", 56, 3))),
			one("nobody over pages", multi, get("/api/v1/statistics/user", multiQuery, `{"statistics":{},"users":[]}`, ok, harvest("", 0, 0))),
			refused("no pages", "pages", report(pancake.StaffMulti, events.Report{Range: days("2022-08-05", "2022-08-07")})),
			refused("two pages in one", "pages", report(pancake.StaffMulti, events.Report{Range: days("2022-08-05", "2022-08-07"), Pages: []string{"1,2"}})),
		},
	}
}

func pageSuite(t testing.TB) channelstest.Suite {
	file := func(name string) string { return channelstest.File(t, "testdata/"+name) }
	nov := days("2026-11-19", "2026-11-21")
	instants := []string{"since", unix(t, "2026-11-19", 0), "until", unix(t, "2026-11-21", -1)}
	november := query("date_range", "19/11/2026 00:00:00 - 20/11/2026 23:59:59")
	stats := func(name, rep, path, q, body string, r events.Report, h channelstest.Harvest) channelstest.Case {
		return one(name, report(rep, r), get(root+"/statistics/"+path, q, body, ok, h))
	}

	chats := func(r events.Report) events.Request { return report(pancake.Conversations, r) }
	chatsQuery := func(more ...string) string {
		return query(append(more, append(instants, "order_by", "inserted_at")...)...)
	}
	const v2 = "/api/public_api/v2/pages/" + pageID + "/conversations"

	talk := report(pancake.Messages, events.Report{Filters: map[string]string{"conversation_id": chatID, "customer_id": "72bea3ea"}})
	const talkPath = root + "/conversations/wa_84900000001@c.us_62000000001@c.us/"
	people := func(r events.Report) events.Request { r.Range = nov; return report(pancake.PageCustomers, r) }

	tag := func(name, id string) events.Request {
		return command(name, events.Command{ConversationID: chatID, TagID: id})
	}
	assign := command(pancake.Assign, events.Command{ConversationID: chatID, AssigneeIDs: []string{"3fadfd70", "6aa49b8e"}})
	assignBody := `{"assignee_ids":["3fadfd70","6aa49b8e"]}`
	october := func(more ...string) string {
		return query(append(more, "order_by", "inserted_at", "since", unix(t, "2026-10-24", 0), "until", unix(t, "2026-11-21", -1))...)
	}
	hours := query("date_range", "12/08/2020 - 12/08/2020", "group_by", "hour")
	year := func(r events.Report) events.Report { r.Range = days("2025-01-01", "2026-01-02"); return r }

	return channelstest.Suite{
		Account:  *present(),
		Envelope: envelope,
		Cases: []channelstest.Case{
			// P3
			one("conversations", chats(events.Report{Range: nov}),
				get(v2, chatsQuery(), file("conversations.json"), next(`{"count":1,"last":"wa_84900000001@c.us_62000000001@c.us","seen":"20e48468"}`), harvest("conversations", 0, 1)),
				get(v2, chatsQuery("last_conversation_id", chatID), file("present/conversations.json"),
					next(`{"count":3,"last":"109483769790976_1095955455516590","seen":"833a507420e48468"}`), harvest("conversations.present", 0, 2)),
				get(v2, chatsQuery("last_conversation_id", "109483769790976_1095955455516590"), `{"conversations":[],"success":true}`, ok, harvest("", 0, 0))),
			one("conversations by everything", chats(events.Report{Range: nov, OrderBy: "updated_at", Filters: map[string]string{
				"tags": "2, -99,1,2", "type": "POST", "post_ids": "1_2", "unread_first": "true"}}),
				get(v2, query(append(instants, "order_by", "updated_at", "tags", "-99,1,2", "type", "POST", "post_ids", "1_2", "unread_first", "true")...),
					`{"conversations":[]}`, ok, harvest("", 0, 0))),
			with(page("conversations_version", "v1"), one("conversations v1", chats(events.Report{Range: nov}),
				get(root+"/conversations", chatsQuery("page_number", "1"), `{"conversations":[{"id":"a"},{"id":"b"},{"id":"a"}],"total":4}`,
					next(`{"page":2,"count":3,"seen":"485aea2d"}`), harvest("conversations.v1", 0, 2, "/conversations/2")),
				get(root+"/conversations", chatsQuery("page_number", "2"), `{"conversations":[{"id":"c"}],"total":4}`, ok, harvest("conversations.v1.2", 0, 1)))),
			with(page("conversations_version", "v1"), refused("types in v1", "filters.type", chats(events.Report{Range: nov, Filters: map[string]string{"type": "INBOX"}}))),
			one("two months of conversations", chats(events.Report{Range: days("2026-10-01", "2026-11-21")}),
				get(v2, query("order_by", "inserted_at", "since", unix(t, "2026-10-24", 0), "until", unix(t, "2026-11-21", -1)), `{"conversations":[]}`, next(`{"part":1}`), harvest("", 0, 0)),
				get(v2, query("order_by", "inserted_at", "since", unix(t, "2026-10-01", 0), "until", unix(t, "2026-10-24", -1)), `{"conversations":[]}`, ok, harvest("", 0, 0))),
			one("the same page again", chats(events.Report{Range: nov}),
				get(v2, chatsQuery(), `{"conversations":[{"id":"a"}]}`, next(`{"count":1,"last":"a","seen":"ffe9aaea"}`), harvest("again", 0, 1)),
				get(v2, chatsQuery("last_conversation_id", "a"), `{"conversations":[{"id":"a"}]}`,
					channels.Verdict{Class: channels.OK, Warnings: []string{"Pancake gave the same page twice: what is behind it, if anything, is missing"}}, harvest("again", 0, 1))),
			one("fractions of seconds", chats(events.Report{Range: events.Range{FromMS: 1_795_100_000_001, ToMS: 1_795_107_600_001}}),
				get(v2, query("order_by", "inserted_at", "since", "1795100000", "until", "1795107600"), `{"conversations":[null,{"name":"x"}]}`,
					ok, harvest("conversations.odd", 0, 2))),
			refused("tags that are none", "filters.tags", chats(events.Report{Range: nov, Filters: map[string]string{"tags": "1,x"}})),
			refused("posts of no post", "filters.post_ids", chats(events.Report{Range: nov, Filters: map[string]string{"post_ids": "1"}})),
			refused("two types", "filters.type", chats(events.Report{Range: nov, Filters: map[string]string{"type": "INBOX,COMMENT"}})),

			// P8
			one("messages", talk,
				get(talkPath+"messages", "customer_id=72bea3ea", file("messages.json"), next(`{"count":1,"seen":"8038336a"}`), harvest("messages", 0, 1)),
				get(talkPath+"messages", "current_count=1&customer_id=72bea3ea", file("present/messages.json"), next(`{"count":3,"seen":"2f6398828038336a"}`), harvest("messages.present", 0, 3)),
				get(talkPath+"messages", "current_count=3&customer_id=72bea3ea", `{"messages":[],"success":true}`, ok, harvest("", 0, 0))),
			refused("messages of no conversation", "filters.conversation_id",
				report(pancake.Messages, events.Report{Filters: map[string]string{"conversation_id": "..", "customer_id": "1"}})),

			// P16
			one("customers", people(events.Report{Page: events.Paging{Size: 2}}),
				get(root+"/page_customers", query(append(instants, "order_by", "inserted_at", "page_number", "1", "page_size", "2")...),
					file("present/page_customers.json"), ok, harvest("page_customers", 0, 2))),
			one("customers without a total", people(events.Report{OrderBy: "updated_at"}),
				get(root+"/page_customers", query(append(instants, "order_by", "updated_at", "page_number", "1", "page_size", "100")...),
					`{"customers":[{"id":"a"}]}`, next(`{"page":2,"count":1,"seen":"ffe9aaea"}`), harvest("page_customers.1", 0, 1)),
				get(root+"/page_customers", query(append(instants, "order_by", "updated_at", "page_number", "2", "page_size", "100")...),
					`{"customers":[]}`, ok, harvest("", 0, 0))),
			refused("pages too large", "page.size", people(events.Report{Page: events.Paging{Size: 101}})),

			// P9
			stats("ads", pancake.AdsCampaigns, "pages_campaigns", query(instants...), file("statistics_pages_campaigns.json"), events.Report{Range: nov}, harvest("ads", 16, 1)),
			stats("ads in life", pancake.AdsCampaigns, "pages_campaigns", query(instants...), file("present/ads.json"), events.Report{Range: nov}, harvest("ads.present", 16, 1)),

			// P10
			stats("engagement of some staff", pancake.Engagement, "customer_engagements", november+"&user_ids=a%2Cb",
				file("present/engagement.day.json"), events.Report{Range: nov, Filters: map[string]string{"user_ids": "b,a"}}, harvest("engagement.present", 14, 1)),
			stats("engagement by day", pancake.Engagement, "customer_engagements", query("date_range", "27/07/2021 00:00:00 - 26/08/2021 23:59:59"),
				file("statistics_customer_engagements.day.json"), events.Report{Range: days("2021-07-27", "2021-08-27")}, harvest("engagement.day", 155, 0)),
			stats("engagement by hour", pancake.Engagement, "customer_engagements", "by_hour=true&"+query("date_range", "26/08/2021 00:00:00 - 26/08/2021 23:59:59"),
				file("statistics_customer_engagements.by_hour.json"), events.Report{Granularity: "hour", Range: days("2021-08-26", "2021-08-27")}, harvest("engagement.hour", 10, 0)),
			one("a year of engagement", report(pancake.Engagement, year(events.Report{})),
				get(root+"/statistics/customer_engagements", query("date_range", "02/01/2025 00:00:00 - 01/01/2026 23:59:59"),
					`{"data":{"categories":["1/1","31/12","30/12"],"series":[{"name":"inbox","data":[1,2,null]}]}}`, next(`{"part":1}`), harvest("engagement.year", 3, 0)),
				get(root+"/statistics/customer_engagements", query("date_range", "01/01/2025 00:00:00 - 01/01/2025 23:59:59"),
					`{"data":{"categories":["1/1"],"series":[{"name":"inbox","data":[4]}]}}`, ok, harvest("engagement.year.2", 1, 0))),
			one("engagement of days that are none", report(pancake.Engagement, events.Report{Range: nov}),
				get(root+"/statistics/customer_engagements", november, `{"data":{"categories":["19/11","21/11","20/11/2026",null,"21/11"],"series":[{"name":"inbox","data":[1,2,3,4,5]}]}}`,
					channels.Verdict{Class: channels.OK, Warnings: []string{"Pancake gave labels that are no days of the range, or the same one: their points have the label alone"}},
					harvest("engagement.labels", 3, 4))),
			widened("parts of days", "the range was widened to whole days in Asia/Ho_Chi_Minh, from 2026-11-19 to before 2026-11-21",
				report(pancake.Engagement, events.Report{Range: events.Range{FromMS: 1_795_100_000_000, ToMS: 1_795_107_600_001}}),
				get(root+"/statistics/customer_engagements", november, `{"data":{"categories":[],"series":[]}}`, ok, harvest("", 0, 0))),
			widened("a day of another zone", "the range was widened to whole days in Asia/Ho_Chi_Minh, from 2026-11-19 to before 2026-11-21",
				report(pancake.Engagement, events.Report{Range: events.Range{FromDate: "2026-11-19", ToDate: "2026-11-20", Zone: "UTC"}}),
				get(root+"/statistics/customer_engagements", november, `{"data":{"categories":[],"series":[]}}`, ok, harvest("", 0, 0))),

			// P11, P12
			stats("page", pancake.PageStats, "pages", query(instants...), file("present/statistics_pages.json"), events.Report{Range: nov}, harvest("page", 22, 0)),
			stats("tags by day", pancake.TagStats, "tags", query(instants...), file("present/statistics_tags.json"), events.Report{Range: nov}, harvest("tags", 5, 1)),
			stats("tags by something", pancake.TagStats, "tags", query(instants...), file("present/statistics_tags.other.json"), events.Report{Range: nov}, harvest("tags.other", 3, 2)),

			// P13
			stats("staff", pancake.Staff, "users", query("date_range", "27/07/2021 00:00:00 - 26/08/2021 23:59:59"),
				file("statistics_users.json"), events.Report{Range: days("2021-07-27", "2021-08-27")}, harvest("staff", 21, 1)),
			stats("staff in life", pancake.Staff, "users", november, file("present/statistics_users.json"), events.Report{Range: nov},
				harvest("staff.present", 17, 3, "/data/statistics/c5a50cce-fb0a-4eb3-892a-74ad182f7c03/0/shift")),
			with(&channels.Account{Settings: map[string]string{"page_id": pageID}},
				stats("staff of an unknown zone", pancake.Staff, "users", november, file("statistics_users.json"), events.Report{Range: nov}, harvest("staff.zone_assumed", 21, 1))),
			with(page("response_time_unit", "ms"),
				stats("staff in milliseconds", pancake.Staff, "users", november, file("statistics_users.json"), events.Report{Range: nov}, harvest("staff.ms", 21, 1))),
			widened("parts of hours", "the range was widened to whole hours in Asia/Ho_Chi_Minh, from 2026-11-19 21:00 to before 2026-11-20 00:00",
				report(pancake.Staff, events.Report{Range: events.Range{FromMS: 1_795_100_000_000, ToMS: 1_795_107_600_000}}),
				get(root+"/statistics/users", query("date_range", "19/11/2026 21:00:00 - 19/11/2026 23:59:59"), `{"data":{"statistics":{},"users":{}}}`, ok, harvest("", 0, 0))),

			// P15
			stats("new customers by day", pancake.NewCustomers, "page_customers", query("date_range", "20/07/2020 - 20/08/2020", "group_by", "day"),
				file("statistics_customers.day.json"), events.Report{Range: days("2020-07-20", "2020-08-21")}, harvest("new_customers.day", 12, 0)),
			stats("new customers by page", pancake.NewCustomers, "page_customers", query("date_range", "20/07/2020 - 20/08/2020", "group_by", "page_id"),
				file("statistics_customers.page_id.json"), events.Report{Range: days("2020-07-20", "2020-08-21"), GroupBy: []string{"page_id"}}, harvest("new_customers.page", 8, 0)),
			with(page("new_customers_path", "customers"),
				stats("new customers by hour", pancake.NewCustomers, "customers", query("date_range", "12/08/2020 - 12/08/2020", "group_by", "hour"),
					file("statistics_customers.hour.json"), events.Report{Range: days("2020-08-12", "2020-08-13"), Granularity: "hour"}, harvest("new_customers.hour", 12, 0))),
			refused("by hour and page", "group_by", report(pancake.NewCustomers, events.Report{Range: nov, Granularity: "hour", GroupBy: []string{"page_id"}})),

			// P4 to P7
			one("tag", tag(pancake.TagAdd, "5"), post(talkPath+"tags", `{"action":"add","tag_id":"5"}`, file("conversation_tags.json"), ok, harvest("tag", 0, 0))),
			one("untag", tag(pancake.TagRemove, "-99"), post(talkPath+"tags", `{"action":"remove","tag_id":"-99"}`, file("conversation_tags.json"), ok, harvest("tag", 0, 0))),
			refused("no tag", "tag_id", tag(pancake.TagAdd, "VIP")),
			one("assign one", assign, post(talkPath+"assign", assignBody, `{"id":"1","success":true,"assignee_ids":["3fadfd70"],"tags":[1,-99],"updated_at":"2023-04-06T04:31:45"}`,
				ok, harvest("assign.one", 0, 1))),
			one("assign", assign, post(talkPath+"assign", assignBody, file("conversation_assign.json"), ok, harvest("assign", 0, 1))),
			one("assign without an id", assign, post(talkPath+"assign", assignBody, `{"success":true,"assignee_ids":["3fadfd70"],"seen":true}`, ok, harvest("assign.present", 0, 1))),
			one("assign and no more", assign, post(talkPath+"assign", assignBody, `{"success":true}`, ok, harvest("assign.nothing", 0, 0))),
			one("assign nothing", assign, post(talkPath+"assign", assignBody, `{"seen":true}`, channels.Verdict{Class: channels.Retry, Reason: "unexpected_answer"}, harvest("", 0, 0))),
			with(page("assign_method", "GET"), one("assign by GET", assign, channelstest.Exchange{
				Want:  channelstest.Wire{Method: "GET", Path: talkPath + "assign", Body: assignBody},
				Reply: channelstest.Reply{Body: file("conversation_assign.json")}, Verdict: ok, Harvest: harvest("assign", 0, 1),
			})),
			one("read", command(pancake.MarkRead, events.Command{ConversationID: chatID}),
				post(talkPath+"read", "", file("conversation_read_unread.json"), ok, harvest("read", 0, 0))),
			one("unread", command(pancake.MarkUnread, events.Command{ConversationID: chatID}),
				post(talkPath+"unread", "", file("conversation_read_unread.json"), ok, harvest("unread", 0, 0))),
			// The older edition, of an account that names none
			unnamed("conversations", chats(events.Report{Range: days("2026-10-01", "2026-11-21")}),
				status(404, get(v2, october(), `{"success":false,"message":"Not Found"}`, next(`{"edition":"v1"}`), harvest("", 0, 0, "/message"))),
				get(root+"/conversations", october("page_number", "1"), `{"conversations":[{"id":"a"},{"id":"b"},{"id":"a"}],"total":4}`,
					next(`{"edition":"v1","page":2,"count":3,"seen":"485aea2d"}`), harvest("conversations.v1", 0, 2, "/conversations/2")),
				get(root+"/conversations", october("page_number", "2"), `{"conversations":[]}`, next(`{"edition":"v1","part":1}`), harvest("", 0, 0)),
				get(root+"/conversations", query("order_by", "inserted_at", "since", unix(t, "2026-10-01", 0), "until", unix(t, "2026-10-24", -1), "page_number", "1"),
					`{"conversations":[]}`, ok, harvest("", 0, 0))),
			unnamed("assignment", assign,
				status(405, post(talkPath+"assign", assignBody, ``, next(`{"edition":"GET"}`), harvest("", 0, 0))),
				channelstest.Exchange{
					Want:  channelstest.Wire{Method: "GET", Path: talkPath + "assign", Body: assignBody},
					Reply: channelstest.Reply{Body: file("conversation_assign.json")}, Verdict: ok, Harvest: harvest("assign", 0, 1),
				}),
			unnamed("new customers", report(pancake.NewCustomers, events.Report{Range: days("2020-08-12", "2020-08-13"), Granularity: "hour"}),
				get(root+"/statistics/page_customers", hours, `<!DOCTYPE html><html></html>`, next(`{"edition":"customers"}`), harvest("", 0, 0)),
				get(root+"/statistics/customers", hours, file("statistics_customers.hour.json"), ok, harvest("new_customers.hour", 12, 0))),
			unnamed("neither edition", assign,
				status(410, post(talkPath+"assign", assignBody, ``, next(`{"edition":"GET"}`), harvest("", 0, 0))),
				status(404, channelstest.Exchange{
					Want:    channelstest.Wire{Method: "GET", Path: talkPath + "assign", Body: assignBody},
					Verdict: channels.Verdict{Class: channels.Permanent, Reason: "not_found"},
				})),
			unnamed("a filter of v2", chats(events.Report{Range: nov, Filters: map[string]string{"type": "INBOX"}}),
				status(404, get(v2, chatsQuery("type", "INBOX"), ``, channels.Verdict{Class: channels.Permanent, Reason: "not_found"}, harvest("", 0, 0)))),
			unnamed("one page only", chats(events.Report{Range: nov, Page: events.Paging{MaxPages: 1}}),
				status(404, get(v2, chatsQuery(), ``, channels.Verdict{Class: channels.Permanent, Reason: "not_found"}, harvest("", 0, 0)))),
			unnamed("a page that is gone later", chats(events.Report{Range: nov}),
				get(v2, chatsQuery(), `{"conversations":[{"id":"a"}]}`, next(`{"count":1,"last":"a","seen":"ffe9aaea"}`), harvest("again", 0, 1)),
				status(404, get(v2, chatsQuery("last_conversation_id", "a"), ``, channels.Verdict{Class: channels.Permanent, Reason: "not_found"}, harvest("", 0, 0)))),

			refused("a path of its own", "conversation_id", command(pancake.MarkRead, events.Command{ConversationID: "."})),
			refused("a page within a page", "page_id", command(pancake.MarkRead, events.Command{ConversationID: chatID, PageID: pageID})),
		},
	}
}

func ExampleNew() {
	c, err := pancake.New().Contract(&channels.Account{Name: "shop"})
	fmt.Println(c.Reports[0].Name, c.Commands[0].Name, err)
	// Output: pancake.pages page_token.generate <nil>
}
