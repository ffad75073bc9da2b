package facebook

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Dimensions of our own, beside those that the answer names.
const (
	dimValueKey = "value_key" // of a value that is an object: the keys to the number, as a JSON pointer without its first /
	dimPage     = "page_id"   // of a page that is not the account's own
	dimPreset   = "preset"    // of a total over one: presets of other lengths end at the same time
)

// Parse makes a point of each number, and a record of each metric that comes
// with a title or more. An answer that refused the list of metrics, and so led
// to asking for them singly, holds nothing.
func (provider) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	h := new(channels.Harvest)
	if readError(ans.Body) != nil {
		return h, nil
	}
	q, err := newQuery(a, r)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	at, err := q.read(s.Cursor)
	if err != nil {
		return nil, fmt.Errorf("read cursor: it %w", err)
	}
	in, err := readInsights(ans.Body, q.period)
	if err != nil {
		return nil, fmt.Errorf("read insights: %w", err)
	}
	for i := range in.series {
		path := channels.Pointer("data", strconv.Itoa(i))
		if record, ok := in.series[i].record(a, path); ok {
			h.Records = append(h.Records, record)
		}
		q.harvest(h, at, &in.series[i], path, ans.StartedMS)
	}
	return h, nil
}

// harvest adds the points of s.
func (q *query) harvest(h *channels.Harvest, at position, s *series, path string, fetchedMS int64) {
	m, _ := metricOf(s.name)
	for i, p := range s.points {
		bucket := q.bucket(at, s.period, p)
		if bucket.StartMS == 0 && bucket.EndMS == 0 {
			bucket.AtMS = fetchedMS
		}
		for _, l := range p.leaves {
			dims := maps.Clone(p.dims)
			within := channels.Pointer(l.keys...)
			if within != "" {
				dims[dimValueKey] = strings.TrimPrefix(within, "/")
			}
			if q.foreign {
				dims[dimPage] = q.page
			}
			if s.period == total && q.preset != "" {
				dims[dimPreset] = q.preset
			}
			h.Stats = append(h.Stats, events.Stat{
				Report: PageInsights, Metric: s.name, Alias: m.alias,
				Value: l.value, Raw: l.raw,
				Unit: m.unit, UnitSource: m.unitSource, Agg: m.agg,
				Bucket: bucket, Dims: dims, Flags: q.flags(m),
				Path: path + channels.Pointer("values", strconv.Itoa(i), "value") + within,
			})
		}
	}
}

func (q *query) flags(m metric) []string {
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"in_development", m.inDevelopment},
		{"approximate", m.approximate},
		{"zone_assumed", q.zoneSource == events.Guessed},
		{"unit_assumed", m.unitSource == events.Guessed},
	} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// bucket returns the time that a point covers. It ends at end_time, and begins
// a period before by the calendar of the insight zone, in which days have 23
// to 25 hours. A total covers what was asked for.
func (q *query) bucket(at position, period string, p point) events.Bucket {
	b := events.Bucket{
		Granularity: granularityOf(period),
		Zone:        q.zone.String(), ZoneSource: q.zoneSource,
		Label: p.label,
	}
	if period == total {
		if w, ok := q.windowAt(at); ok {
			b.StartMS, b.EndMS = w.since.begin(q.zone).UnixMilli(), w.until.begin(q.zone).UnixMilli()
			return b
		}
	}
	if p.end.IsZero() {
		return b
	}
	b.EndMS = p.end.UnixMilli()
	end := p.end.In(q.zone)
	switch period {
	case "day":
		b.StartMS = end.AddDate(0, 0, -1).UnixMilli()
	case "week":
		b.StartMS = end.AddDate(0, 0, -7).UnixMilli()
	case "days_28":
		b.StartMS = end.AddDate(0, 0, -28).UnixMilli()
	case "month":
		b.StartMS = monthBefore(end).UnixMilli()
	}
	return b
}

// monthBefore returns the same day and time of the month before, or its last
// day where it is shorter.
func monthBefore(t time.Time) time.Time {
	b := t.AddDate(0, -1, 0)
	if b.Day() != t.Day() { // the 31st of a shorter month is a day of the next one
		b = b.AddDate(0, 0, -b.Day())
	}
	return b
}

// record returns what the answer says of the metric itself, and whether it
// says more than its name.
func (s *series) record(a *channels.Account, path string) (events.Record, bool) {
	attrs := map[string]string{"name": s.name, "period": s.period}
	for _, key := range []string{"title", "description"} {
		if v := text(s.object[key]); v != "" {
			attrs[key] = v
		}
	}
	more := len(s.object) - 1 // all but the name
	if _, ok := s.object["period"]; ok {
		more--
	}
	if more == 0 {
		return events.Record{}, false
	}
	id := text(s.object["id"])
	if id == "" {
		id = s.name + "/" + s.period
	}
	object, err := json.Marshal(s.object)
	if err != nil { // what was read as JSON can be written
		return events.Record{}, false
	}
	return events.Record{
		Key:    channels.RecordKey(name, a.Name, "metric", id),
		Report: PageInsights, Kind: "metric", ID: id,
		Attrs: attrs, Object: string(object), Path: path,
	}, true
}
