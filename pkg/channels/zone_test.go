package channels

import (
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

func TestSpan(t *testing.T) {
	const hanoi = "Asia/Ho_Chi_Minh"
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for name, tt := range map[string]struct {
		r        events.Range
		from, to time.Time
		fails    bool
	}{
		"nothing":  {r: events.Range{}},
		"instants": {r: events.Range{FromMS: 1000, ToMS: 2000}, from: utc("1970-01-01T00:00:01Z"), to: utc("1970-01-01T00:00:02Z")},
		"dates":    {r: events.Range{FromDate: "2026-11-21", ToDate: "2026-11-22"}, from: utc("2026-11-20T17:00:00Z"), to: utc("2026-11-21T17:00:00Z")},
		"a zone of its own": {r: events.Range{FromDate: "2026-11-21", ToDate: "2026-11-22", Zone: "America/Los_Angeles"},
			from: utc("2026-11-21T08:00:00Z"), to: utc("2026-11-22T08:00:00Z")},
		"a day of 23 hours": {r: events.Range{FromDate: "2026-03-08", ToDate: "2026-03-09", Zone: "America/Los_Angeles"},
			from: utc("2026-03-08T08:00:00Z"), to: utc("2026-03-09T07:00:00Z")},
		"no such zone":  {r: events.Range{FromDate: "2026-11-21", Zone: "Local"}, fails: true},
		"no such date":  {r: events.Range{FromDate: "2026-02-30"}, fails: true},
		"the other way": {r: events.Range{FromMS: 2, ToMS: 1}, fails: true},
		"empty":         {r: events.Range{FromMS: 2, ToMS: 2}, fails: true},
	} {
		from, to, err := Span(tt.r, hanoi)
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v", name, err)
		}
		if !tt.fails && (!from.Equal(tt.from) || !to.Equal(tt.to)) {
			t.Errorf("%s: [%v, %v), want [%v, %v)", name, from, to, tt.from, tt.to)
		}
	}
}
