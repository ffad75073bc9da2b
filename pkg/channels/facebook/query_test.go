package facebook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// queryOf returns the query of a request that must be good.
func queryOf(t *testing.T, r events.Request) *query {
	t.Helper()
	q, err := newQuery(account(), &r)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestWindows(t *testing.T) {
	for _, tt := range []struct {
		granularity, dates string
		want               []string
	}{
		{"day", "2026-01-01 2026-01-02", []string{"2026-01-01 2026-01-02"}},
		{"day", "2026-01-01 2026-04-01", []string{"2026-01-01 2026-04-01"}},
		{"day", "2026-01-01 2026-04-02", []string{"2026-01-01 2026-04-01", "2026-04-01 2026-04-02"}},
		{"week", "2026-01-01 2026-06-30", []string{"2026-01-01 2026-04-01", "2026-04-01 2026-06-30"}},
		{"range", "2026-01-01 2026-07-01", []string{"2026-01-01 2026-04-01", "2026-04-01 2026-06-30", "2026-06-30 2026-07-01"}},
		{"month", "2026-01-01 2026-04-01", []string{"2026-01-01 2026-04-01"}},
		{"month", "2026-01-15 2026-07-15", []string{"2026-01-15 2026-04-01", "2026-04-01 2026-06-01", "2026-06-01 2026-07-15"}},
		{"month", "2024-01-01 2024-04-01", []string{"2024-01-01 2024-03-01", "2024-03-01 2024-04-01"}}, // 91 days
	} {
		q := queryOf(t, report(tt.granularity, tt.dates, sent))
		var got []string
		for _, w := range q.windows {
			got = append(got, w.since.String()+" "+w.until.String())
			if w.days() < 1 || w.days() > 90 {
				t.Errorf("a window of %d days", w.days())
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s %s\n got %v\nwant %v", tt.granularity, tt.dates, got, tt.want)
		}
	}
}

func TestWindowsCoverTheRange(t *testing.T) {
	for _, granularity := range []string{"day", "week", "month", "days_28", "range"} {
		for days := 1; days <= maxDays; days += 7 {
			from := day(20_000 + days)
			q := queryOf(t, report(granularity, fmt.Sprint(from, " ", from+day(days)), sent))
			at := from
			for _, w := range q.windows {
				if w.since != at || w.days() < 1 || w.days() > maxWindow {
					t.Fatalf("%s of %d days: window %v after %v", granularity, days, w, at)
				}
				at = w.until
			}
			if at != from+day(days) {
				t.Fatalf("%s of %d days: ends at %v", granularity, days, at)
			}
		}
	}
}

// TestRangeInAnotherZone asks for days of Vietnam, which begin at 17:00 UTC.
func TestRangeInAnotherZone(t *testing.T) {
	q := queryOf(t, with(report("day", "2026-01-05 2026-01-06", sent), func(r *events.Report) { r.Range.Zone = "Asia/Ho_Chi_Minh" }))
	if w := q.windows[0]; w.since.String() != "2026-01-04" || w.until.String() != "2026-01-06" || len(q.warnings) != 1 {
		t.Errorf("got %v, warnings %q", w, q.warnings)
	}
}

// TestBuckets checks the starts that the calendar gives, across the days on
// which Pacific clocks change.
func TestBuckets(t *testing.T) {
	q := queryOf(t, report("day", "", sent))
	for _, tt := range []struct{ period, end, start string }{
		{"day", "2026-03-08T08:00:00Z", "2026-03-07T08:00:00Z"},
		{"day", "2026-03-09T07:00:00Z", "2026-03-08T08:00:00Z"}, // 23 hours
		{"day", "2026-11-02T08:00:00Z", "2026-11-01T07:00:00Z"}, // 25 hours
		{"week", "2026-03-10T07:00:00Z", "2026-03-03T08:00:00Z"},
		{"week", "2026-11-03T08:00:00Z", "2026-10-27T07:00:00Z"},
		{"days_28", "2026-03-10T07:00:00Z", "2026-02-10T08:00:00Z"},
		{"month", "2026-04-01T07:00:00Z", "2026-03-01T08:00:00Z"},
		{"month", "2026-03-31T07:00:00Z", "2026-02-28T08:00:00Z"},
		{"month", "2024-03-30T07:00:00Z", "2024-02-29T08:00:00Z"},
		{"month", "2026-01-15T08:00:00Z", "2025-12-15T08:00:00Z"},
		{"month", "2026-07-31T07:00:00Z", "2026-06-30T07:00:00Z"},
	} {
		end, err := time.Parse(time.RFC3339, tt.end)
		if err != nil {
			t.Fatal(err)
		}
		b := q.bucket(position{}, tt.period, point{end: end, label: tt.end})
		if got := time.UnixMilli(b.StartMS).UTC().Format(time.RFC3339); got != tt.start || b.EndMS != end.UnixMilli() || b.Label != tt.end {
			t.Errorf("%s until %s: begins %s, want %s (%+v)", tt.period, tt.end, got, tt.start, b)
		}
	}
}

func TestReadTime(t *testing.T) {
	for s, want := range map[string]int64{
		"1665175977": 1665175977, "2018-01-02T08:00:00+0000": 1514880000, "2018-01-02T00:00:00-0800": 1514880000,
		"1665175977.0": 1665175977, "1.665175977E9": 1665175977,
		"2018-01-02T08:00:00Z": 1514880000, "2018-01-02T08:00:00+00:00": 1514880000,
	} {
		if got, err := readTime(s); err != nil || got.Unix() != want {
			t.Errorf("%s: got %v (%v)", s, got, err)
		}
	}
	for _, s := range []string{"", "x", "-1", "null", "1.5", "1665175977000", "2018-01-02", "9999-01-02T08:00:00+0000"} {
		if got, err := readTime(s); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func TestReadCursor(t *testing.T) {
	q := queryOf(t, report("day", "2026-01-01 2026-04-11", sent, orders, newConversations)) // 90 and 10 days
	for _, good := range []string{"", "0.0.-1.", "0.89.-1.", "1.9.2.0,1", "1.0.-1.0,2", "0.0.0."} {
		p, err := q.read(good)
		if err != nil || good != "" && p.String() != good {
			t.Errorf("%q: read as %v (%v)", good, p, err)
		}
	}
	for _, bad := range []string{
		" ", "0", "0.0.0", "0.0.0..", "2.0.-1.", "-1.0.-1.", "0.90.-1.", "1.10.-1.", "0.-1.-1.", "0.0.3.", "0.0.-2.", "0.0.x.", "00.0.-1.", "+0.0.-1.",
		"0.0.-1.3", "0.0.-1.-1", "0.0.-1.1,0", "0.0.-1.1,1", "0.0.-1.0,1,2", "0.0.1.1", "0.0.-1.0,", "0.0.-1.,0", "0.0.-1. 0",
		"99999999999999999999.0.-1.", "0.0.-1.\x00", strings.Repeat("9", 10_000), "\xff",
	} {
		if p, err := q.read(bad); err == nil {
			t.Errorf("%q is read as %v", bad, p)
		}
		_, err := provider{}.Prepare(account(), q.request(), channels.Step{Number: 2, Cursor: bad})
		if events.ReasonOf(err) != events.ReasonInvalid {
			t.Errorf("%q is prepared with %v", bad, err)
		}
	}
	if _, err := queryOf(t, report("day", "", sent)).read("0.1.-1."); err == nil {
		t.Error("days of no window are skipped")
	}
}

// request returns the request of TestReadCursor's query.
func (q *query) request() *events.Request {
	r := report("day", "2026-01-01 2026-04-11", q.metrics...)
	return &r
}

// TestEveryWayThroughDeadMetrics lets Graph refuse each set of four metrics
// over three windows. Whatever is refused, each other metric is asked for in
// each window, and nothing is asked for without end.
func TestEveryWayThroughDeadMetrics(t *testing.T) {
	metrics := []string{"page_a", "page_b", "page_c", "page_d"}
	r := report("day", "2026-01-01 2026-07-01", metrics...)
	for set := range 1 << len(metrics) {
		dead := func(name string) bool { return set&(1<<slices.Index(metrics, name)) != 0 }
		got := map[string]int{} // windows answered, by metric
		var warnings []string
		step := channels.Step{Number: 1}
		var v channels.Verdict
		for {
			call, err := provider{}.Prepare(account(), &r, step)
			if err != nil {
				t.Fatal(err)
			}
			_, list, _ := strings.Cut(call.URL, "metric=")
			list, _, _ = strings.Cut(list, "&")
			asked := strings.Split(list, "%2C")
			ans := &channels.Answer{Status: 200, Body: []byte(`{"data":[]}`)}
			if slices.ContainsFunc(asked, dead) {
				ans = graph(400, 100, "")
			} else {
				for _, name := range asked {
					got[name]++
				}
			}
			v = provider{}.Judge(account(), &r, step, ans)
			warnings = append(warnings, v.Warnings...)
			if v.Next == "" {
				break
			}
			if _, err := (provider{}).Parse(account(), &r, step, ans); err != nil {
				t.Fatal(err)
			}
			if step = (channels.Step{Number: step.Number + 1, Cursor: v.Next}); step.Number > 20 {
				t.Fatalf("dead %04b: no end", set)
			}
		}
		all := set == 1<<len(metrics)-1
		if want := map[bool]channels.Class{false: channels.OK, true: channels.Permanent}[all]; v.Class != want {
			t.Errorf("dead %04b: ends as %s", set, v.Class)
		}
		for _, name := range metrics {
			if want := map[bool]int{false: 3, true: 0}[dead(name)]; got[name] != want {
				t.Errorf("dead %04b: %s was answered in %d windows", set, name, got[name])
			}
			told := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, name) })
			if told != dead(name) && !all {
				t.Errorf("dead %04b: warnings %q", set, warnings)
			}
		}
	}
}
