package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	pancakeBase  = "/pancake/public_api/v1/pages/109483769790976"
	pancakeToken = "sandbox-pancake-page-token"
	pancakeAdmin = "sandbox-pancake-user-token"
)

var pancakeNow = time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC)

// pancakeStart starts a sandbox whose Pancake accounts are of one edition and
// are let call as often as they like.
func pancakeStart(t *testing.T, edition string) *fixture {
	accounts := DefaultAccounts()
	for i := range accounts {
		accounts[i].Edition, accounts[i].PerSecond = edition, -1
	}
	return start(t, Options{Accounts: accounts, Now: func() time.Time { return pancakeNow }})
}

// pancake calls with the page's token; the pairs are the query.
func (f *fixture) pancake(method, path, body string, pairs ...string) reply {
	q := url.Values{"page_access_token": {pancakeToken}}
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	kind := ""
	if body != "" {
		kind = "application/json"
	}
	return f.do(method, pancakeBase+path+"?"+q.Encode(), "", kind, body)
}

// firstChat returns the path of a conversation and its customer.
func (f *fixture) firstChat() (path, customer string) {
	until := fmt.Sprint(pancakeNow.Unix())
	r := f.pancake("GET", "/conversations", "", "since", fmt.Sprint(pancakeNow.Add(-5*24*time.Hour).Unix()), "until", until, "page_number", "1")
	var a struct {
		Conversations []struct {
			ID       string
			Customer string `json:"customer_id"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &a); err != nil || len(a.Conversations) == 0 {
		f.t.Fatalf("no conversations: %v in %s", err, r.body)
	}
	return "/conversations/" + url.PathEscape(a.Conversations[0].ID), a.Conversations[0].Customer
}

// TestPancakeRefusals holds each call to what the document demands of it.
func TestPancakeRefusals(t *testing.T) {
	t.Parallel()
	f := pancakeStart(t, "")
	chat, customer := f.firstChat()
	times := "27/07/2026 00:00:00 - 26/08/2026 23:59:59"
	since, until := fmt.Sprint(pancakeNow.Add(-24*time.Hour).Unix()), fmt.Sprint(pancakeNow.Unix())
	old := fmt.Sprint(pancakeNow.Add(-32 * 24 * time.Hour).Unix())
	for _, tt := range []struct {
		name, method, path, body, want string
		query                          []string
	}{
		{"no since", "GET", "/conversations", "", "since must be", []string{"until", until, "page_number", "1"}},
		{"no page", "GET", "/conversations", "", "page_number must be", []string{"since", since, "until", until}},
		{"page 0", "GET", "/conversations", "", "page_number must be", []string{"since", since, "until", until, "page_number", "0"}},
		{"more than a month", "GET", "/conversations", "", "longer than a month", []string{"since", old, "until", until, "page_number", "1"}},
		{"until before since", "GET", "/conversations", "", "the earlier one first", []string{"since", until, "until", since, "page_number", "1"}},
		{"milliseconds", "GET", "/statistics/pages", "", "unix seconds", []string{"since", since, "until", until + "000"}},
		{"order", "GET", "/conversations", "", "order_by must be", []string{"since", since, "until", until, "page_number", "1", "order_by", "name"}},
		{"tags", "GET", "/conversations", "", "tags must be", []string{"since", since, "until", until, "page_number", "1", "tags", "VIP"}},
		{"unknown parameter", "GET", "/statistics/pages", "", "parameter x is unknown", []string{"since", since, "until", until, "x", "1"}},
		{"given twice", "GET", "/statistics/pages", "", "parameter since is unknown or given twice", []string{"since", since, "since", since, "until", until}},
		{"no customer", "GET", chat + "/messages", "", "customer_id is not", nil},
		{"no such conversation", "GET", "/conversations/1/messages", "", "conversation not found", []string{"customer_id", customer}},
		{"count", "GET", chat + "/messages", "", "current_count must be", []string{"customer_id", customer, "current_count", "-1"}},
		{"page size", "GET", "/page_customers", "", "page_size must be", []string{"since", since, "until", until, "page_number", "1", "page_size", "101"}},
		{"date range without times", "GET", "/statistics/users", "", "date_range must be like 27/07/2021 00:00:00", []string{"date_range", "27/07/2026 - 26/08/2026"}},
		{"date range with times", "GET", "/statistics/page_customers", "", "date_range must be like 27/07/2021 -", []string{"date_range", times}},
		{"date range backwards", "GET", "/statistics/users", "", "date_range must be", []string{"date_range", "27/08/2026 00:00:00 - 26/07/2026 23:59:59"}},
		{"by hour", "GET", "/statistics/customer_engagements", "", "by_hour must be", []string{"date_range", times, "by_hour", "1"}},
		{"group", "GET", "/statistics/page_customers", "", "group_by must be", []string{"date_range", "27/07/2026 - 26/08/2026", "group_by", "week"}},
		{"action", "POST", chat + "/tags", `{"action":"set","tag_id":"1"}`, "action must be", nil},
		{"tag as a number", "POST", chat + "/tags", `{"action":"add","tag_id":1}`, "tag_id must be a string", nil},
		{"no such tag", "POST", chat + "/tags", `{"action":"add","tag_id":"77"}`, "tag_id is not", nil},
		{"body in the query", "POST", chat + "/tags", "", "Content-Type must be", []string{"action", "add", "tag_id", "1"}},
		{"nobody", "POST", chat + "/assign", `{"assignee_ids":[]}`, "assignee_ids must be a list", nil},
		{"a stranger", "POST", chat + "/assign", `{"assignee_ids":["x"]}`, "not of the staff", nil},
		{"a body to read", "POST", chat + "/read", `{}`, "there is no body", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := f.pancake(tt.method, tt.path, tt.body, tt.query...)
			if r.status != 200 || !strings.Contains(r.body, `"success":false`) || !strings.Contains(r.body, tt.want) {
				t.Errorf("%d %s, want %s", r.status, r.body, tt.want)
			}
		})
	}
}

// TestPancakePaths meets the web page wherever there is no path, and 405 for a
// wrong method.
func TestPancakePaths(t *testing.T) {
	t.Parallel()
	present, documented := pancakeStart(t, ""), pancakeStart(t, Documented)
	chat, _ := present.firstChat()
	assign := `{"assignee_ids":["3fadfd70-1ead-4a16-a456-1fa007e38e5c"]}`
	dates := []string{"date_range", "01/11/2026 - 02/11/2026"}
	for _, tt := range []struct {
		f            *fixture
		method, path string
		body         string
		query        []string
		found        bool
	}{
		{present, "GET", "/nothing", "", nil, false},
		{present, "POST", chat + "/assign", assign, nil, true},
		{present, "GET", chat + "/assign", assign, nil, false},
		{documented, "POST", chat + "/assign", assign, nil, false},
		{documented, "GET", chat + "/assign", assign, nil, true},
		{present, "GET", "/statistics/page_customers", "", dates, true},
		{present, "GET", "/statistics/customers", "", dates, false},
		{documented, "GET", "/statistics/page_customers", "", dates, false},
		{documented, "GET", "/statistics/customers", "", dates, true},
	} {
		r := tt.f.pancake(tt.method, tt.path, tt.body, tt.query...)
		if html := strings.HasPrefix(r.body, "<!DOCTYPE html>"); r.status != 200 || html == tt.found {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, r.status, r.body)
		}
	}
	if r := present.pancake("GET", chat+"/tags", ""); r.status != http.StatusMethodNotAllowed {
		t.Errorf("a wrong method: %d %s", r.status, r.body)
	}
}

// TestPancakeTokens has one token for each page and one for the user, and lets
// a page's old one die.
func TestPancakeTokens(t *testing.T) {
	t.Parallel()
	f := pancakeStart(t, "")
	staff := "/statistics/users?date_range=" + url.QueryEscape("01/11/2026 00:00:00 - 01/11/2026 23:59:59")
	get := func(token string) reply {
		return f.do("GET", pancakeBase+staff+"&page_access_token="+token, "", "", "")
	}
	f.want(get(pancakeToken), 200, `"success":true`, Accepted)
	for _, wrong := range []string{"", "x", pancakeAdmin, "sandbox-pancake-shop-token"} {
		f.want(get(wrong), 200, `"error_code":102`, Refused)
	}
	f.want(f.do("GET", "/pancake/public_api/v1/pages/1"+staff+"&page_access_token="+pancakeToken, "", "", ""), 200, "Page not found", Refused)
	f.want(f.do("GET", "/pancake/v1/pages?access_token="+pancakeToken, "", "", ""), 200, `"success":false`, Refused)

	generate := "/pancake/v1/pages/109483769790976/generate_page_access_token?access_token="
	f.want(f.do("POST", generate+pancakeToken, "", "", ""), 200, `"error_code":102`, Refused)
	if _, err := f.AddFault(Fault{Operation: "pancake.page_token.generate", Status: 500, Count: 1}); err != nil {
		t.Fatal(err)
	}
	f.want(f.do("POST", generate+pancakeAdmin, "", "", ""), 500, "", Lost)
	f.want(get(pancakeToken), 200, `"success":true`, Accepted)

	// The answer is lost and the token is new all the same.
	if _, err := f.AddFault(Fault{Operation: "pancake.page_token.generate", How: Reset, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if r := f.do("POST", generate+pancakeAdmin, "", "", ""); r.err == nil {
		t.Fatalf("the connection should be reset, got %d", r.status)
	}
	f.want(get(pancakeToken), 200, `"error_code":105`, Refused)

	pages := f.do("GET", "/pancake/v1/pages?access_token="+pancakeAdmin, "", "", "")
	var a struct {
		Categorized struct {
			Activated []struct {
				ID       string
				Settings struct {
					Token string `json:"page_access_token"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(pages.body), &a); err != nil || len(a.Categorized.Activated) != 2 {
		t.Fatalf("pages: %v in %s", err, pages.body)
	}
	f.want(get(a.Categorized.Activated[0].Settings.Token), 200, `"success":true`, Accepted)
}

// TestPancakeState keeps what commands do, and not what a fault undid.
func TestPancakeState(t *testing.T) {
	t.Parallel()
	f := pancakeStart(t, "")
	chat, _ := f.firstChat()
	tag := func(action, id string) reply {
		return f.pancake("POST", chat+"/tags", fmt.Sprintf(`{"action":%q,"tag_id":%q}`, action, id))
	}
	f.want(tag("add", "5"), 200, `"data":[0,5]`, Accepted)
	f.want(tag("add", "5"), 200, `"data":[0,5]`, Accepted)
	f.want(tag("remove", "0"), 200, `"data":[5]`, Accepted)
	if _, err := f.AddFault(Fault{Operation: "pancake.conversation.tag", Status: 500, Count: 1}); err != nil {
		t.Fatal(err)
	}
	f.want(tag("add", "-99"), 500, "", Lost)
	f.want(tag("remove", "1"), 200, `"data":[5],"success":true,"timestamp":1795237200000000`, Accepted)
}

// TestPancakeLimit is five calls a second for each page by itself.
func TestPancakeLimit(t *testing.T) {
	t.Parallel()
	c := &clock{now: pancakeNow}
	f := start(t, Options{Now: c.Now})
	call := func() reply {
		return f.pancake("GET", "/statistics/pages", "", "since", "1795100000", "until", "1795103600")
	}
	for range 5 {
		f.want(call(), 200, `"success":true`, Accepted)
	}
	f.want(call(), 429, `"error_code":429`, Refused)
	shop := "/pancake/public_api/v1/pages/wa_c.us@84900000001/statistics/pages?since=1795100000&until=1795103600&page_access_token=sandbox-pancake-shop-token"
	f.want(f.do("GET", shop, "", "", ""), 200, `"success":true`, Accepted)
	c.Add(time.Second)
	f.want(call(), 200, `"success":true`, Accepted)
}

// TestPancakeSame gives the same answer to the same question.
func TestPancakeSame(t *testing.T) {
	t.Parallel()
	read := func(seed uint64) string {
		f := start(t, Options{Seed: seed, Now: func() time.Time { return pancakeNow }})
		return f.pancake("GET", "/statistics/pages", "", "since", "1795000000", "until", "1795103600").body
	}
	if a, b := read(1), read(1); a != b || a == read(2) {
		t.Errorf("the seed does not decide: %s", a)
	}
}
