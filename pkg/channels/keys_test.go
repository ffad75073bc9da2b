package channels

import (
	"testing"

	"github.com/tramhq/tram/pkg/events"
)

func TestStatKey(t *testing.T) {
	type point struct {
		provider, account, report, metric string
		bucket                            events.Bucket
		dims                              map[string]string
	}
	base := func() point {
		return point{"momo", "shop", "momo.messages_report", "READ", events.Bucket{StartMS: 1, EndMS: 2, Granularity: "day"}, map[string]string{"a": "1", "b": "2"}}
	}
	key := func(change func(*point)) string {
		p := base()
		change(&p)
		return StatKey(p.provider, p.account, p.report, p.metric, p.bucket, p.dims)
	}
	same := key(func(*point) {})
	if same != "93510a68ac8995f79f2bf94012101bf4" { // a key of another release must stay the same
		t.Errorf("the key of a point has become %s", same)
	}
	for name, change := range map[string]func(*point){
		"the fetch time": func(p *point) { p.bucket.AtMS = 99 },
		"the zone":       func(p *point) { p.bucket.Zone, p.bucket.ZoneSource = "UTC", events.Guessed },
		"the label":      func(p *point) { p.bucket.Label = "1/1" },
	} {
		if key(change) != same {
			t.Errorf("%s changes the key", name)
		}
	}
	seen := map[string]string{same: "nothing"}
	for name, change := range map[string]func(*point){
		"provider": func(p *point) { p.provider = "x" }, "account": func(p *point) { p.account = "x" },
		"report": func(p *point) { p.report = "x" }, "metric": func(p *point) { p.metric = "x" },
		"start": func(p *point) { p.bucket.StartMS = 9 }, "end": func(p *point) { p.bucket.EndMS = 9 },
		"granularity": func(p *point) { p.bucket.Granularity = "hour" },
		"a value":     func(p *point) { p.dims["a"] = "x" }, "no dim": func(p *point) { delete(p.dims, "a") },
		"values swapped":    func(p *point) { p.dims = map[string]string{"a": "2", "b": "1"} },
		"dims run together": func(p *point) { p.dims = map[string]string{"a": "1b2"} },
		"label alone":       func(p *point) { p.bucket = events.Bucket{Label: "1/1", Granularity: "day"} },
		"another label":     func(p *point) { p.bucket = events.Bucket{Label: "2/1", Granularity: "day"} },
	} {
		k := key(change)
		if other, twice := seen[k]; twice {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[k] = name
	}
}

func TestRecordKey(t *testing.T) {
	seen := map[string]bool{}
	for _, parts := range [][4]string{{"p", "a", "k", "i"}, {"pa", "", "k", "i"}, {"p", "ak", "", "i"}, {"p", "a", "ki", ""}} {
		k := RecordKey(parts[0], parts[1], parts[2], parts[3])
		if seen[k] || len(k) != 32 {
			t.Errorf("key %s of %v", k, parts)
		}
		seen[k] = true
	}
}
