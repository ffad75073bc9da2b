package pancake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/events"
)

const (
	shopID       = "wa_c.us@84900000001"
	userSecret   = "sandbox-user-token-0001"
	pageSecret   = "sandbox-page-token-0001"
	sandboxStaff = "3fadfd70-1ead-4a16-a456-1fa007e38e5c"
)

var sandboxNow = time.Date(2026, 11, 21, 5, 30, 0, 0, time.UTC)

// A stage is the provider package before a sandbox of one edition.
type stage struct {
	*sandbox.Server
	t      *testing.T
	client *channels.Client
	page   channels.Account
	shop   channels.Account
	user   channels.Account
}

func newStage(t *testing.T, edition string, settings ...string) *stage {
	account := func(id, token string) sandbox.Account {
		return sandbox.Account{Provider: "pancake", ID: id, Token: token, Edition: edition, PerSecond: -1}
	}
	s := &stage{t: t, Server: sandbox.New(sandbox.Options{
		Now: func() time.Time { return sandboxNow },
		Accounts: []sandbox.Account{
			account(sandbox.PancakeUser, userSecret), account(pageID, pageSecret), account(shopID, "sandbox-shop-token-0001"),
		},
	})}
	base, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if s.client, err = channels.NewClient(channels.ClientConfig{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.page, s.shop = *page(settings...), *page(settings...)
	s.shop.Settings["page_id"] = shopID
	s.user = channels.Account{Settings: map[string]string{}}
	for a, secrets := range map[*channels.Account]map[string]channels.Secret{
		&s.page: {"page_token": pageSecret}, &s.shop: {"page_token": "sandbox-shop-token-0001"}, &s.user: {"user_token": userSecret},
	} {
		a.Provider, a.Name, a.BaseURL, a.Secrets = "pancake", "test", base+"/pancake", secrets
	}
	return s
}

// carryOut makes all calls of a request as the relay does, and returns what
// they yield and the last verdict.
func (s *stage) carryOut(a *channels.Account, r events.Request) (all channels.Harvest, v channels.Verdict) {
	s.t.Helper()
	p := pancake.New()
	contract, err := p.Contract(a)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Provider, r.Account, r.Class, r.ID, r.Source = "pancake", "test", events.Normal, "1", "/test"
	if r.Kind = events.KindReport; r.Command != nil {
		r.Kind = events.KindCommand
	}
	if err := contract.Check(&r); err != nil {
		s.t.Fatal(err)
	}
	for step := (channels.Step{Number: 1}); ; step = (channels.Step{Number: step.Number + 1, Cursor: v.Next}) {
		call, err := p.Prepare(a, &r, step)
		if err != nil {
			s.t.Fatal(err)
		}
		ans := s.client.Do(s.t.Context(), a, call)
		ans.Body = p.(channels.Redactor).Redact(&r, step, ans.Body)
		if strings.Contains(string(ans.Body), "sandbox-") || strings.Contains(string(ans.Body), "eyJ") {
			s.t.Errorf("%s: a token is in the answer: %s", call.Operation, ans.Body)
		}
		if v = p.Judge(a, &r, step, ans); v.Class != channels.OK {
			return all, v
		}
		h, err := p.Parse(a, &r, step, ans)
		if err != nil {
			s.t.Fatal(err)
		}
		all.Stats, all.Records, all.Result = append(all.Stats, h.Stats...), append(all.Records, h.Records...), h.Result
		if v.Next == "" {
			return all, v
		}
		if step.Number > 50 {
			s.t.Fatalf("%s does not end", call.Operation)
		}
	}
}

// got carries out what must go well and counts stats by key and records by kind.
func (s *stage) got(a *channels.Account, r events.Request) (channels.Harvest, int, map[string]int) {
	s.t.Helper()
	h, v := s.carryOut(a, r)
	if v.Class != channels.OK || len(v.Warnings) > 0 {
		s.t.Fatalf("%s %s: %s (%s) %q", v.Class, v.Reason, v.Detail, v.ProviderText, v.Warnings)
	}
	keys := map[string]bool{}
	for _, st := range h.Stats {
		key := channels.StatKey("pancake", a.Name, st.Report, st.Metric, st.Bucket, st.Dims)
		if keys[key] {
			s.t.Errorf("%s %s %+v %v comes twice", st.Report, st.Metric, st.Bucket, st.Dims)
		}
		keys[key] = true
	}
	kinds, records := map[string]int{}, map[string]bool{}
	for _, rec := range h.Records {
		if !records[rec.Key] {
			kinds[rec.Kind]++
		}
		records[rec.Key] = true
	}
	return h, len(keys), kinds
}

// TestSandbox carries out all sixteen operations in both editions, of the
// older one with the settings that name it and without.
func TestSandbox(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edition  string
		settings []string
	}{
		"present":    {},
		"documented": {sandbox.Documented, []string{"conversations_version", "v1", "assign_method", "GET", "new_customers_path", "customers"}},
		"unnamed":    {sandbox.Documented, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, tt.edition, tt.settings...)
			chats := s.testLists()
			s.testCommands(chats)
			s.testStats()
			s.testToken()
		})
	}
}

func (s *stage) testLists() []events.Record {
	t := s.t
	_, _, kinds := s.got(&s.user, report(pancake.Pages, events.Report{}))
	if kinds["page"] != 2 {
		t.Errorf("pages: %v", kinds)
	}
	wide := days("2026-08-01", "2026-11-22")
	chats, _, kinds := s.got(&s.page, report(pancake.Conversations, events.Report{Range: wide}))
	if kinds["conversation"] != 240 || kinds["extra"] != 0 {
		t.Errorf("conversations: %v", kinds)
	}
	_, _, kinds = s.got(&s.shop, report(pancake.Conversations, events.Report{Range: wide, OrderBy: "updated_at"}))
	if kinds["conversation"] != 240 {
		t.Errorf("conversations by update: %v", kinds)
	}
	_, _, kinds = s.got(&s.page, report(pancake.Conversations, events.Report{Range: wide, Filters: map[string]string{"tags": "-99"}}))
	if kinds["conversation"] != 48 {
		t.Errorf("conversations with a tag: %v", kinds)
	}
	_, _, kinds = s.got(&s.page, report(pancake.PageCustomers, events.Report{Range: wide}))
	if kinds["customer"] != 240 {
		t.Errorf("customers: %v", kinds)
	}
	_, _, kinds = s.got(&s.page, report(pancake.PageCustomers, events.Report{Range: wide, Page: events.Paging{Size: 7}}))
	if kinds["customer"] != 240 {
		t.Errorf("customers by seven: %v", kinds)
	}
	total := 0
	for _, c := range chats.Records[:20] {
		_, _, kinds = s.got(&s.page, report(pancake.Messages, events.Report{
			Filters: map[string]string{"conversation_id": c.ID, "customer_id": c.Attrs["customer_id"]}}))
		total += kinds["message"]
	}
	if total < 600 {
		t.Errorf("%d messages in twenty conversations", total)
	}
	return chats.Records
}

func (s *stage) testCommands(chats []events.Record) {
	id := chats[7].ID
	for _, c := range []struct {
		name string
		c    events.Command
		want string
	}{
		{pancake.TagAdd, events.Command{ConversationID: id, TagID: "5"}, `5`},
		{pancake.TagAdd, events.Command{ConversationID: id, TagID: "5"}, `5`},
		{pancake.TagRemove, events.Command{ConversationID: id, TagID: "5"}, `"timestamp_us":`},
		{pancake.Assign, events.Command{ConversationID: id, AssigneeIDs: []string{sandboxStaff}}, sandboxStaff},
		{pancake.MarkRead, events.Command{ConversationID: id}, `"read":true`},
		{pancake.MarkUnread, events.Command{ConversationID: id}, `"read":false`},
	} {
		h, _, _ := s.got(&s.page, command(c.name, c.c))
		if !strings.Contains(h.Result, c.want) {
			s.t.Errorf("%s: %s", c.name, h.Result)
		}
	}
	h, v := s.carryOut(&s.page, command(pancake.TagAdd, events.Command{ConversationID: "no such", TagID: "5"}))
	if v.Class != channels.Permanent || h.Result != "" {
		s.t.Errorf("a conversation that does not exist: %+v", v)
	}
}

func (s *stage) testStats() {
	t := s.t
	year := days("2025-11-01", "2026-11-22")
	week := days("2026-11-14", "2026-11-21")
	for name, tt := range map[string]struct {
		a     *channels.Account
		r     events.Request
		least int
	}{
		"ads":                   {&s.page, report(pancake.AdsCampaigns, events.Report{Range: week}), 48},
		"engagement":            {&s.page, report(pancake.Engagement, events.Report{Range: year}), 386 * 5},
		"engagement by hour":    {&s.page, report(pancake.Engagement, events.Report{Range: days("2026-09-01", "2026-11-21"), Granularity: "hour"}), 70 * 15 * 5},
		"engagement of one":     {&s.page, report(pancake.Engagement, events.Report{Range: week, Filters: map[string]string{"user_ids": sandboxStaff}}), 35},
		"page":                  {&s.page, report(pancake.PageStats, events.Report{Range: days("2026-09-01", "2026-11-21")}), 70 * 15 * 11},
		"tags":                  {&s.page, report(pancake.TagStats, events.Report{Range: week}), 40},
		"staff":                 {&s.page, report(pancake.Staff, events.Report{Range: week}), 100 * 7},
		"staff of two pages":    {&s.user, report(pancake.StaffMulti, events.Report{Range: week, Pages: []string{pageID, shopID}}), 100 * 8},
		"new customers":         {&s.page, report(pancake.NewCustomers, events.Report{Range: week}), 28},
		"new customers by hour": {&s.page, report(pancake.NewCustomers, events.Report{Range: week, Granularity: "hour"}), 100 * 4},
		"new customers by page": {&s.page, report(pancake.NewCustomers, events.Report{Range: week, GroupBy: []string{"page_id"}}), 56},
	} {
		_, n, kinds := s.got(tt.a, tt.r)
		if n < tt.least || kinds["extra"] > 0 {
			t.Errorf("%s: %d points, want at least %d, and %v", name, n, tt.least, kinds)
		}
	}
	s.testSums(week)
}

// testSums holds a week by the hour against the same week by the day: the
// zone, the labels and the ends of the range are right only if they agree.
func (s *stage) testSums(week events.Range) {
	byDay := map[int64]map[string]int{}
	add := func(r events.Request, sign int) {
		h, _, _ := s.got(&s.page, r)
		for _, st := range h.Stats {
			if st.Metric != "inbox" && st.Metric != "total" {
				continue
			}
			day := st.Bucket.StartMS - (st.Bucket.StartMS+7*3_600_000)%86_400_000
			if byDay[day] == nil {
				byDay[day] = map[string]int{}
			}
			n := 0
			for _, c := range *st.Value {
				n = n*10 + int(c-'0')
			}
			byDay[day][st.Metric] += sign * n
		}
	}
	add(report(pancake.Engagement, events.Report{Range: week}), 1)
	add(report(pancake.Engagement, events.Report{Range: week, Granularity: "hour"}), -1)
	if len(byDay) != 7 {
		s.t.Errorf("%d days, want 7", len(byDay))
	}
	for day, left := range byDay {
		if left["inbox"] != 0 || left["total"] != 0 {
			s.t.Errorf("%s by the hour is not what it is by the day: %v", time.UnixMilli(day).UTC(), left)
		}
	}
}

// testToken makes a new token, with which the page's old one dies.
func (s *stage) testToken() {
	t := s.t
	before, _, _ := s.got(&s.user, report(pancake.Pages, events.Report{}))
	h, _, _ := s.got(&s.user, command(pancake.GenerateToken, events.Command{PageID: pageID}))
	after, _, _ := s.got(&s.user, report(pancake.Pages, events.Report{}))
	if old, now := before.Records[0].Attrs["page_token_fingerprint"], after.Records[0].Attrs["page_token_fingerprint"]; old != "" && (old == now || !strings.Contains(h.Result, `"fingerprint":"`+now+`"`)) {
		t.Errorf("fingerprints %s and %s, result %s", old, now, h.Result)
	}
	_, v := s.carryOut(&s.page, report(pancake.Staff, events.Report{Range: days("2026-11-14", "2026-11-21")}))
	if v.Class != channels.Auth || v.ProviderCode != "105" {
		t.Errorf("with the old token: %+v", v)
	}
	s.user.Secrets["user_token"] = "wrong"
	if _, v := s.carryOut(&s.user, report(pancake.Pages, events.Report{})); v.Class != channels.Auth {
		t.Errorf("pages with a wrong token: %+v", v)
	}
	if _, v := s.carryOut(&s.user, command(pancake.GenerateToken, events.Command{PageID: pageID})); v.Class != channels.Auth || v.ProviderCode != "102" {
		t.Errorf("a token with a wrong token: %+v", v)
	}
}

// TestSandbox_edition meets the web page that Pancake has for a path it does
// not know, where a setting names the other edition.
func TestSandbox_edition(t *testing.T) {
	t.Parallel()
	s := newStage(t, sandbox.Documented, "conversations_version", "v2", "assign_method", "POST", "new_customers_path", "page_customers")
	for _, r := range []events.Request{
		report(pancake.Conversations, events.Report{Range: days("2026-11-01", "2026-11-21")}),
		report(pancake.NewCustomers, events.Report{Range: days("2026-11-01", "2026-11-21")}),
		command(pancake.Assign, events.Command{ConversationID: pageID + "_1", AssigneeIDs: []string{sandboxStaff}}),
	} {
		if _, v := s.carryOut(&s.page, r); v.Class != channels.Permanent || v.Reason != "not_found" || !strings.Contains(v.Detail, "setting ") {
			t.Errorf("%+v", v)
		}
	}
}
