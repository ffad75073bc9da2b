package pancake_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/events"
)

const (
	rowWarning   = "rows that cannot be read"
	shapeWarning = "another shape"
)

// TestOdd reads answers that are good as a whole. What of them cannot be read
// is kept, and the rest is read all the same.
func TestOdd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		report  string
		body    string
		points  string // metrics, with dimensions behind them
		extra   string // paths of the records extra
		warning string // part of it; - is an answer that is not taken
	}{
		"no time":                   {pancake.Staff, staff(`{"inbox_count":1},{"hour":"2026-11-19T08:00:00","inbox_count":2}`), "inbox_count{user_id=u}", "/data/statistics/u/0", rowWarning},
		"a null time":               {pancake.Staff, staff(`{"hour":null,"inbox_count":1},{"hour":"2026-11-19T08:00:00","inbox_count":2}`), "inbox_count{user_id=u}", "/data/statistics/u/0", rowWarning},
		"no row with a time":        {pancake.Staff, staff(`{"inbox_count":1},null`), "", "", "-"},
		"a time with a zone":        {pancake.Staff, staff(`{"hour":"2026-11-19T01:00:00Z","inbox_count":1}`), "inbox_count{user_id=u}", "", ""},
		"an integer of ten digits":  {pancake.Staff, staff(`{"hour":"2026-11-19T08:00:00","hour_in_integer":2026111901,"inbox_count":1}`), "inbox_count{user_id=u}", "/data/statistics/u/0/hour_in_integer", ""},
		"a null integer":            {pancake.Staff, staff(`{"hour":"2026-11-19T08:00:00","hour_in_integer":null,"inbox_count":1}`), "inbox_count{user_id=u}", "", ""},
		"a counter that is empty":   {pancake.Staff, staff(`{"hour":"2026-11-19T08:00:00","inbox_count":"","comment_count":3,"shift":"a"}`), "comment_count{shift=a user_id=u}", "/data/statistics/u/0/inbox_count", ""},
		"null rows":                 {pancake.Staff, `{"data":{"statistics":{"u":null},"users":{"u":{"inbox_count":1}}},"success":true}`, "inbox_count{user_id=u}", "/data/statistics/u", ""},
		"null users":                {pancake.Staff, `{"data":{"statistics":{},"users":null},"success":true}`, "", "", ""},
		"null users and no success": {pancake.Staff, `{"data":{"statistics":{},"users":null}}`, "", "", "-"},
		"no users":                  {pancake.Staff, `{"data":{"statistics":{}},"success":true}`, "", "", "-"},

		"null hours beside days": {pancake.Engagement, `{"statistics":null,"data":{"categories":["20/11"],"series":[{"name":"inbox","data":[1]}]},"success":true}`, "inbox{}", "", ""},
		"null hours":             {pancake.Engagement, `{"statistics":null,"success":true}`, "", "", ""},
		"null days":              {pancake.Engagement, `{"data":null,"success":true}`, "", "", ""},
		"no hours and no days":   {pancake.Engagement, `{"success":true}`, "", "", "-"},
		"null values":            {pancake.Engagement, `{"data":{"categories":["20/11"],"series":[{"name":"inbox","data":null}]},"success":true}`, "", "/data/series/0", ""},
		"too few values":         {pancake.Engagement, `{"data":{"categories":["20/11"],"series":[{"name":"inbox","data":[]},{"name":"total","data":[1]}]},"success":true}`, "total{}", "/data/series/0", rowWarning},

		"null dates":  {pancake.NewCustomers, `{"data":null,"success":true}`, "", "", ""},
		"a null date": {pancake.NewCustomers, `{"data":[{"date":null,"new_customer_count":1},{"date":"2026-11-19","new_customer_count":2}],"success":true}`, "new_customer_count{}", "/data/0", rowWarning},
		"a null page": {pancake.NewCustomers, `{"data":{"1":null,"2":[{"date":"2026-11-19","new_customer_count":2}]},"success":true}`, "new_customer_count{page_id=2}", "/data/1", ""},
		"no dates":    {pancake.NewCustomers, `{"data":7,"success":true}`, "", "", "-"},

		"null conversations": {pancake.Conversations, `{"conversations":null,"success":true,"total":0}`, "", "", ""},
		"one null ad":        {pancake.AdsCampaigns, `[null,{"ad_id":"1","reach":2}]`, "reach{ad_id=1}", "/0", rowWarning},

		"page: nothing":        {pancake.PageStats, `{}`, "", "", shapeWarning},
		"page: no rows":        {pancake.PageStats, `{"success":true,"data":{}}`, "", "", ""},
		"page: null":           {pancake.PageStats, `{"data":null,"more":1}`, "", "/more", ""},
		"page: other names":    {pancake.PageStats, `{"success":true,"statistics":[{"hour":"2026-11-19T08:00:00"}]}`, "", "/statistics", shapeWarning},
		"page: rows by day":    {pancake.PageStats, `{"success":true,"data":[{"day":"2026-11-19","page_inbox_count":1}]}`, "", "/data/0", rowWarning},
		"page: an object":      {pancake.PageStats, `{"success":true,"data":{"page_inbox_count":1}}`, "", "/data", shapeWarning},
		"page: a list":         {pancake.PageStats, `[]`, "", "", "-"},
		"tags: nothing":        {pancake.TagStats, `{"success":true}`, "", "", shapeWarning},
		"tags: no series":      {pancake.TagStats, `{"success":true,"data":{"categories":["20/11"],"series":[]},"data_today":null,"tags":[]}`, "", "/data/categories", ""},
		"tags: none":           {pancake.TagStats, `{"success":true,"data":[],"data_today":{}}`, "", "", ""},
		"tags: series by name": {pancake.TagStats, `{"success":true,"data":{"categories":["20/11"],"series":[{"name":"1","data":[1]}]}}`, "", "/data", shapeWarning},
		"tags: too few values": {pancake.TagStats, `{"success":true,"data":{"categories":["20/11"],"series":{"1":[],"2":[1]}}}`, "tag_count{tag_id=2}", "/data/series/1", rowWarning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report(tt.report, events.Report{Range: days("2026-11-19", "2026-11-21")})
			ans := &channels.Answer{Status: 200, Body: []byte(tt.body)}
			v := pancake.New().Judge(page(), &r, channels.Step{Number: 1}, ans)
			if tt.warning == "-" {
				if v.Class != retry || v.Reason != "unexpected_answer" {
					t.Errorf("%+v", v)
				}
				return
			}
			if warned := strings.Join(v.Warnings, " "); v.Class != channels.OK || !strings.Contains(warned, tt.warning) || tt.warning == "" && warned != "" {
				t.Fatalf("%+v", v)
			}
			h, err := pancake.New().Parse(page(), &r, channels.Step{Number: 1}, ans)
			if err != nil {
				t.Fatal(err)
			}
			var points, extra []string
			for _, s := range h.Stats {
				points = append(points, s.Metric+dims(s.Dims))
			}
			for _, rec := range h.Records {
				if rec.Kind == "extra" {
					extra = append(extra, rec.Path)
				}
			}
			if got := strings.Join(points, " "); got != tt.points {
				t.Errorf("points %s, want %s", got, tt.points)
			}
			if got := strings.Join(extra, " "); got != tt.extra {
				t.Errorf("extra %s, want %s", got, tt.extra)
			}
		})
	}
}

// staff is an answer of P13 with rows of one member.
func staff(rows string) string {
	return `{"data":{"statistics":{"u":[` + rows + `]},"users":{}},"success":true}`
}

func dims(all map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, name+"="+all[name])
	}
	return "{" + strings.Join(pairs, " ") + "}"
}
