package pancake

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A metric is what is known of a field: the zero one is a number of unknown
// meaning.
type metric struct {
	unit  events.Unit
	agg   events.Agg
	alias string
	flag  string // "derived", or "scale_unknown" of money that may be in cents
}

// A row is an object of numbers about one bucket.
type row struct {
	path    string
	fields  map[string]json.RawMessage
	metrics map[string]metric
	other   metric // of numbers that metrics does not have
	bucket  events.Bucket
	dims    map[string]string
	ids     []string // fields that are dimensions
	done    []string // fields that are told otherwise: in the bucket, in dims
	object  bool     // it is a record as well: what is no number stands there
}

// row makes a point of every number, and a dimension of every text.
func (h *harvest) row(r row) {
	dims := maps.Clone(r.dims)
	var numbers []string
	for _, f := range slices.Sorted(maps.Keys(r.fields)) {
		raw := r.fields[f]
		_, known := r.metrics[f]
		_, number := channels.Decimal(raw)
		quoted, id := raw[0] == '"', slices.Contains(r.ids, f)
		switch {
		case slices.Contains(r.done, f), id && (raw[0] == 'n' || text(raw) == "" && quoted):
		case id && text(raw) != "", quoted && !r.object && !known:
			if dims == nil {
				dims = map[string]string{}
			}
			dims[f] = text(raw)
		case number && (known || !quoted):
			numbers = append(numbers, f)
		case !r.object:
			h.extra(r.path+channels.Pointer(f), raw)
		}
	}
	currency := ""
	if r.object {
		currency = text(r.fields["currency"])
	}
	for _, f := range numbers {
		m, known := r.metrics[f]
		if !known {
			m = r.other
		}
		h.point(f, m, r.fields[f], r.bucket, dims, r.path+channels.Pointer(f), currency)
	}
}

// point adds one. It reports false if raw is no number.
func (h *harvest) point(metricName string, m metric, raw json.RawMessage, b events.Bucket, dims map[string]string, path, currency string) bool {
	value, ok := channels.Decimal(raw)
	if !ok {
		return false
	}
	s := events.Stat{
		Report: h.t.what(), Metric: metricName, Alias: m.alias, Value: value, Raw: string(raw),
		Unit: m.unit, UnitSource: events.Declared, Agg: m.agg, Bucket: b, Dims: dims, Path: path,
	}
	switch {
	case m.unit == "":
		s.Unit, s.UnitSource, s.Agg = events.UnitUnknown, events.Guessed, events.AggSnapshot
	case m.unit == events.UnitMoney:
		s.Currency = currency
	case m == responseTime:
		s.Unit, s.UnitSource = h.t.responseUnit()
		if value != nil && strings.Trim(*value, "-0.") == "" {
			s.Flags = append(s.Flags, "not_measured") // 0 is not instant (T-23)
		}
	}
	if m.agg == events.AggSnapshot && m.unit != "" {
		s.Bucket = events.Bucket{AtMS: h.atMS}
	}
	if m.flag != "" {
		s.Flags = append(s.Flags, m.flag)
	}
	if s.UnitSource == events.Guessed {
		s.Flags = append(s.Flags, "unit_assumed")
	}
	if s.Bucket.ZoneSource == events.Guessed {
		s.Flags = append(s.Flags, "zone_assumed")
	}
	h.out.Stats = append(h.out.Stats, s)
	return true
}

// responseUnit is the unit of response times, which no answer tells.
func (t *task) responseUnit() (events.Unit, events.Origin) {
	source := events.Configured
	if t.a.Setting(responseTimeUnit.setting, "") == "" {
		source = events.Guessed
	}
	if responseTimeUnit.of(t.a) == "ms" {
		return events.UnitMillis, source
	}
	return events.UnitSeconds, source
}
