package pancake_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/events"
)

type fixture struct {
	report string
	file   string
	points int // of the document's own examples: providers.md §3c
	by     string
}

// read returns a request for the answer, and the answer.
func (f fixture) read(t rapid.TB) (events.Request, []byte) {
	raw, err := os.ReadFile("testdata/" + f.file + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r := events.Report{Range: days("2021-07-27", "2021-08-27"), Pages: []string{"1"}}
	switch f.by {
	case "hour":
		r.Granularity = "hour"
	case "page_id":
		r.GroupBy = []string{"page_id"}
	}
	return report(f.report, r), raw
}

// answers are the reports with an answer as documented, and as in life.
var answers = []fixture{
	{pancake.Conversations, "conversations", 0, ""},
	{pancake.Conversations, "present/conversations", 0, ""},
	{pancake.Messages, "messages", 0, ""},
	{pancake.Messages, "present/messages", 0, ""},
	{pancake.PageCustomers, "present/page_customers", 0, ""},
	{pancake.AdsCampaigns, "statistics_pages_campaigns", 16, ""},
	{pancake.AdsCampaigns, "present/ads", -1, ""},
	{pancake.Engagement, "statistics_customer_engagements.day", 155, ""},
	{pancake.Engagement, "statistics_customer_engagements.by_hour", 10, "hour"},
	{pancake.Engagement, "present/engagement.day", -1, ""},
	{pancake.PageStats, "present/statistics_pages", -1, ""},
	{pancake.TagStats, "present/statistics_tags", -1, ""},
	{pancake.TagStats, "present/statistics_tags.other", -1, ""},
	{pancake.Staff, "statistics_users", 21, ""},
	{pancake.Staff, "present/statistics_users", -1, ""},
	{pancake.StaffMulti, "statistics_user_multi_page", 56, ""},
	{pancake.NewCustomers, "statistics_customers.day", 12, ""},
	{pancake.NewCustomers, "statistics_customers.page_id", 8, "page_id"},
	{pancake.NewCustomers, "statistics_customers.hour", 12, "hour"},
	{pancake.Pages, "present/pages", 0, ""},
}

// TestDocumented holds every answer to its number of points.
func TestDocumented(t *testing.T) {
	t.Parallel()
	for _, tt := range answers {
		t.Run(tt.file, func(t *testing.T) {
			r, raw := tt.read(t)
			if got := check(t, r, raw); tt.points >= 0 && got != tt.points {
				t.Errorf("%d points, want %d", got, tt.points)
			}
		})
	}
}

// TestLossless puts what nobody has documented anywhere into the answers. As
// long as an answer is still taken for one, every leaf of it must be somewhere
// in the harvest, and no two points may have one key.
func TestLossless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		for _, tt := range rapid.SliceOfN(rapid.SampledFrom(answers), 3, 3).Draw(rt, "answers") {
			r, raw := tt.read(rt)
			var answer any
			if err := channels.DecodeJSON(raw, &answer); err != nil {
				rt.Fatal(err)
			}
			for range rapid.IntRange(1, 4).Draw(rt, "fields") {
				plant(rt, answer)
			}
			grown, err := json.Marshal(answer)
			if err != nil {
				rt.Fatal(err)
			}
			check(rt, r, grown)
		}
	})
}

// plant puts a field into one of the answer's objects.
func plant(rt *rapid.T, answer any) {
	var all []map[string]any
	var find func(any)
	find = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			all = append(all, v)
			for _, k := range slices.Sorted(maps.Keys(v)) {
				find(v[k])
			}
		case []any:
			for _, item := range v {
				find(item)
			}
		}
	}
	find(answer)
	object := all[rapid.IntRange(0, len(all)-1).Draw(rt, "object")]
	field := rapid.SampledFrom([]string{"a", "b/c~d", "page_id", "hour", "order_count", "name", "total", "", "~"}).Draw(rt, "field")
	if _, there := object[field]; there {
		return
	}
	object[field] = rapid.SampledFrom([]any{
		nil, true, json.Number("7"), json.Number("1.50"), json.Number("12345678901234567890"), "42", "text", "",
		[]any{json.Number("1"), nil}, map[string]any{"a": json.Number("1")}, []any{},
	}).Draw(rt, "value")
}

// check returns how many points the answer has. An answer that is refused has
// lost nothing: it is kept as it is.
func check(t rapid.TB, r events.Request, raw []byte) int {
	a := page()
	if r.Report.Report == pancake.Pages || r.Report.Report == pancake.StaffMulti {
		a = &channels.Account{}
	}
	ans := &channels.Answer{Status: 200, Body: raw, StartedMS: 1_795_219_200_000}
	step := channels.Step{Number: 1}
	if v := pancake.New().Judge(a, &r, step, ans); v.Class != channels.OK {
		return 0
	}
	h, err := pancake.New().Parse(a, &r, step, ans)
	if err != nil {
		t.Fatalf("OK, but cannot be parsed: %v", err)
	}
	keys := map[string]string{}
	for _, s := range h.Stats {
		key := channels.StatKey("pancake", a.Name, s.Report, s.Metric, s.Bucket, s.Dims)
		if other, twice := keys[key]; twice {
			t.Errorf("%s and %s have one key", other, s.Path)
		}
		keys[key] = s.Path
	}
	walk(raw, "", func(at, leaf string) {
		if !kept(h, at, leaf) {
			t.Errorf("%s %s is lost in %s", at, leaf, raw)
		}
	})
	return len(h.Stats)
}

func walk(raw json.RawMessage, at string, visit func(at, leaf string)) {
	var fields map[string]json.RawMessage
	var items []json.RawMessage
	switch {
	case raw[0] == '{' && json.Unmarshal(raw, &fields) == nil:
		for k, v := range fields {
			walk(v, at+channels.Pointer(k), visit)
		}
	case raw[0] == '[' && json.Unmarshal(raw, &items) == nil:
		for i, v := range items {
			walk(v, at+"/"+strconv.Itoa(i), visit)
		}
	default:
		visit(at, string(raw))
	}
}

// kept reports whether a leaf is a value, in a record, a part of a bucket, a
// dimension, the name of a metric, or in the envelope.
func kept(h *channels.Harvest, at, leaf string) bool {
	parent, field := at[:strings.LastIndex(at, "/")], at[strings.LastIndex(at, "/")+1:]
	field = strings.NewReplacer("~1", "/", "~0", "~").Replace(field)
	text := leaf
	_ = json.Unmarshal([]byte(leaf), &text) // a number or the like stays as it is
	for _, s := range h.Stats {
		beside := strings.HasPrefix(s.Path, parent+"/")
		dim, isDim := s.Dims[field]
		switch {
		case s.Path == at && s.Raw == leaf,
			beside && s.Bucket.Label == text && text != "",
			beside && isDim && dim == text,
			beside && field == "name" && s.Metric == text,
			strings.HasSuffix(parent, "/categories") && s.Bucket.Label == text,
			beside && field == "hour_in_integer" && s.Bucket.Zone == "UTC":
			return true
		}
	}
	for _, r := range h.Records {
		if at == r.Path || strings.HasPrefix(at, r.Path+"/") {
			if strings.Contains(at, "/settings") {
				return !strings.Contains(r.Object, "settings") // on purpose
			}
			return strings.Contains(r.Object, leaf)
		}
	}
	return slices.Contains([]string{"/success", "/total"}, at) || strings.Contains(at, "/activated_page_ids/") ||
		(field == "page_id" || field == "hour") && (text == "" || leaf == "null") // as good as absent
}
