package sandbox

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	facebookToken = "sandbox-facebook-token"
	facebookPage  = "/facebook/v25.0/104500000000001/insights"
	facebookSent  = "page_messages_sent"
	facebookNew   = "page_messages_new_conversations_unique"
)

// facebookNow is an hour after midnight in California, on the day after its
// clocks went forward.
var facebookNow = time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC)

func startFacebook(t *testing.T, accounts ...Account) *fixture {
	return start(t, Options{Accounts: accounts, Now: func() time.Time { return facebookNow }})
}

func (f *fixture) insights(query string) reply {
	f.t.Helper()
	return f.do("GET", facebookPage+"?"+query+"&access_token="+facebookToken, "", "", "")
}

type facebookReply struct {
	Data []struct {
		Name, Period string
		Values       []map[string]any
		ID           string
	}
	Paging struct{ Previous, Next string }
}

func (f *fixture) goodInsights(query string) facebookReply {
	f.t.Helper()
	r := f.insights(query)
	f.want(r, 200, `"data":[`, Accepted)
	var a facebookReply
	if err := json.Unmarshal([]byte(r.body), &a); err != nil {
		f.t.Fatal(err)
	}
	return a
}

func TestFacebookDays(t *testing.T) {
	f := startFacebook(t)
	a := f.goodInsights("metric=" + facebookSent + "," + facebookNew + "&period=day&since=2026-03-07&until=2026-03-10")
	if len(a.Data) != 2 || a.Data[0].ID != "104500000000001/insights/page_messages_sent/day" {
		t.Fatalf("got %+v", a)
	}
	sent, fresh := a.Data[0].Values, a.Data[1].Values
	if len(sent) != 2 || sent[0]["end_time"] != "2026-03-08T08:00:00+0000" || sent[1]["end_time"] != "2026-03-09T07:00:00+0000" {
		t.Errorf("days that have ended: %v", sent)
	}
	if _, number := sent[0]["value"].(float64); !number {
		t.Errorf("value %v is no number", sent[0]["value"])
	}
	if _, text := fresh[0]["value"].(string); !text {
		t.Errorf("value %v is no text", fresh[0]["value"])
	}
	again := f.goodInsights("metric=" + facebookSent + "&since=1772870400&until=1772956800") // 2026-03-07, as unix seconds
	if len(again.Data) != 1 || again.Data[0].Period != "day" || again.Data[0].Values[0]["value"] != sent[0]["value"] {
		t.Errorf("asked again: %+v, before %v", again, sent[0])
	}
	next, err := url.Parse(a.Paging.Next)
	if err != nil || next.Query().Get("access_token") != facebookToken || next.Query().Get("since") != "1773126000" || next.Query().Get("until") != "1773385200" {
		t.Errorf("next link %s", a.Paging.Next)
	}
}

func TestFacebookPeriods(t *testing.T) {
	f := startFacebook(t)
	for query, want := range map[string]struct {
		points int
		last   string
	}{
		"period=week&since=2026-02-01&until=2026-03-01":             {28, "2026-03-01T08:00:00+0000"},
		"period=days_28&since=2026-02-27&until=2026-03-01":          {2, "2026-03-01T08:00:00+0000"},
		"period=month&since=2025-12-15&until=2026-03-08":            {3, "2026-03-01T08:00:00+0000"},
		"period=total_over_range&since=2026-01-01&until=2026-02-01": {1, "1769932800"},
		"period=total_over_range&date_preset=last_week":             {1, "1773039600"}, // until this Monday
		"period=total_over_range&date_preset=last_month":            {1, "1772352000"},
		"period=total_over_range&date_preset=last_quarter":          {1, "1767254400"},
		"":                                  {2, "2026-03-09T07:00:00+0000"},
		"since=2024-03-08&until=2024-03-10": {1, "2024-03-10T08:00:00+0000"}, // kept for two years
	} {
		a := f.goodInsights("metric=" + facebookSent + "&" + query)
		if len(a.Data) != 1 || len(a.Data[0].Values) != want.points || a.Data[0].Values[want.points-1]["end_time"] != want.last {
			t.Errorf("%s: got %+v", query, a.Data)
		}
	}
	for _, query := range []string{"since=2026-03-09&until=2026-03-12", "since=2020-01-01&until=2020-01-02", "period=month&since=2026-02-02&until=2026-02-27"} {
		if a := f.goodInsights("metric=" + facebookSent + "&" + query); len(a.Data) != 0 {
			t.Errorf("%s: got %+v", query, a.Data)
		}
	}
}

func TestFacebookBreakdowns(t *testing.T) {
	f := startFacebook(t)
	a := f.goodInsights("metric=recurring_notifications_tokens&period=total_over_range&since=2026-01-01&until=2026-02-01" +
		"&breakdown=recurring_notifications_topic,recurring_notifications_frequency")
	seen := map[string]bool{}
	for _, v := range a.Data[0].Values {
		topic, _ := v["recurring_notifications_topic"].(string)
		frequency, _ := v["recurring_notifications_frequency"].(string)
		seen[topic+"/"+frequency] = true
	}
	if len(seen) != 6 || !seen["10percentsale/weekly"] {
		t.Errorf("got %v", a.Data[0].Values)
	}
}

func TestFacebookRefusals(t *testing.T) {
	f := startFacebook(t)
	good := "metric=" + facebookSent
	f.want(f.do("GET", facebookPage+"?"+good, facebookToken, "", ""), 200, `"data":[`, Accepted)
	f.want(f.do("GET", facebookPage+"/?"+good, facebookToken, "", ""), 200, `"data":[`, Accepted)
	f.want(f.do("GET", facebookPage+"?"+good, "", "", ""), 400, `"code":190`, Refused)
	f.want(f.do("GET", facebookPage+"?"+good+"&access_token=x", "x", "", ""), 400, `"code":190`, Refused)
	f.want(f.do("POST", facebookPage+"?"+good, facebookToken, "", ""), 400, `"code":100`, Refused)
	f.want(f.do("GET", "/facebook/v25.0/1/insights?"+good, facebookToken, "", ""), 400, `"error_subcode":33`, Refused)
	f.want(f.do("GET", "/facebook/v25.0/104500000000001/posts", facebookToken, "", ""), 400, `"code":2500`, Refused)
	f.want(f.do("GET", "/facebook/v99.0/104500000000001/insights?"+good, facebookToken, "", ""), 400, `"code":2500`, Refused)
	for query, refusal := range map[string]string{
		"period=day":                                "The parameter metric is required",
		"metric=":                                   "(#100) The value must be a valid insights metric",
		"metric=page_messages_sent,page_fans":       "must be a valid insights metric",
		good + "&breakdown=messsage_type":           "Breakdown messsage_type is not valid",
		good + "&breakdown=engagement_source":       "Breakdown engagement_source is not valid",
		good + "&breakdown=":                        "Breakdown  is not valid",
		good + "&period=hour":                       "Param period must be one of",
		good + "&date_preset=yesterday":             "Param date_preset must be one of",
		good + "&date_preset=last_week&since=1":     "cannot be used with",
		good + "&since=2026-01-01":                  "must be given together",
		good + "&since=2026-01-01&until=01/02/26":   "Param until must be a date",
		good + "&since=today&until=2026-01-01":      "Param since must be a date",
		good + "&since=2026-01-01&until=2026-01-01": "Param until must be later",
		good + "&since=2026-01-01&until=2026-04-02": "more than 90 days",
		good + "&limit=5":                           "Unknown parameter limit",
		good + "&metric=page_messages_sent":         "Parameter metric is given twice",
	} {
		f.want(f.insights(query), 400, refusal, Refused)
	}
	for _, c := range f.Calls(Filter{}) {
		if strings.Contains(c.Reason, facebookToken) {
			t.Errorf("the journal has the token: %+v", c)
		}
	}
}

func TestFacebookDeadMetric(t *testing.T) {
	f := startFacebook(t, Account{Provider: "facebook", ID: "104500000000001", Token: facebookToken, DeadMetrics: []string{facebookNew}})
	f.want(f.insights("metric="+facebookSent+","+facebookNew), 400, "must be a valid insights metric", Refused)
	f.want(f.insights("metric="+facebookNew), 400, "must be a valid insights metric", Refused)
	f.want(f.insights("metric="+facebookSent), 200, facebookSent, Accepted)
}

func TestFacebookUsage(t *testing.T) {
	f := startFacebook(t, Account{Provider: "facebook", ID: "104500000000001", Token: facebookToken, PerHour: 4})
	for _, percent := range []string{"25", "50", "75", "100"} {
		r := f.insights("metric=" + facebookSent)
		f.want(r, 200, facebookSent, Accepted)
		if h := r.header.Get("X-Business-Use-Case-Usage"); !strings.Contains(h, `"call_count":`+percent+`,`) {
			t.Errorf("usage %s, want %s", h, percent)
		}
	}
	for _, want := range []struct{ code, header, value string }{
		{`"code":80001`, "X-Business-Use-Case-Usage", `"estimated_time_to_regain_access":1`},
		{`"code":32`, "X-Page-Usage", `"call_count":100`},
		{`"code":4`, "X-App-Usage", `"call_count":100`},
		{`"code":80001`, "X-Business-Use-Case-Usage", `"call_count":100`},
	} {
		r := f.insights("metric=" + facebookSent)
		f.want(r, 400, want.code, Refused)
		if h := r.header.Get(want.header); !strings.Contains(h, want.value) {
			t.Errorf("%s is %s", want.header, h)
		}
	}
}
