package verify

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

var (
	parse  = parser.NewParser(parser.Options{})
	engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parse})
)

// A sample is one value of a series.
type sample struct {
	ms    int64
	value float64
}

func (s sample) T() int64                    { return s.ms }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

// series are what Prometheus would have scraped, in memory. They implement
// [storage.Queryable] without an index: there are a few dozen of them.
type series struct {
	storage.MockQuerier
	all []*storage.SeriesEntry
}

func (s *series) Querier(_, _ int64) (storage.Querier, error) { return s, nil }

func (s *series) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &selected{SeriesSet: storage.EmptySeriesSet()}
	for _, entry := range s.all {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(entry.Lset.Get(m.Name)) }) {
			found.left = append(found.left, entry)
		}
	}
	return found
}

// selected is a [storage.SeriesSet]; what it embeds has neither errors nor warnings.
type selected struct {
	storage.SeriesSet
	at   storage.Series
	left []*storage.SeriesEntry
}

func (s *selected) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.at, s.left = s.left[0], s.left[1:]
	return true
}

func (s *selected) At() storage.Series { return s.at }

// add adds a series whose values are one step apart, from the beginning of time.
func (s *series) add(of labels.Labels, values []parser.SequenceValue, step time.Duration) {
	var samples []chunks.Sample
	for i, v := range values {
		if !v.Omitted {
			samples = append(samples, sample{int64(i) * step.Milliseconds(), v.Value})
		}
	}
	s.all = append(s.all, storage.NewListSeries(of, samples))
}

// query returns what an expression is at a moment.
func (s *series) query(t *testing.T, expr string, at time.Duration) promql.Vector {
	t.Helper()
	q, err := engine.NewInstantQuery(t.Context(), s, nil, expr, moment(at))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return slices.Clone(v)
}

// judge evaluates rules every step until the given time, as Prometheus does, and
// adds the series ALERTS of those that fire.
func (s *series) judge(t *testing.T, rules []rulefmt.Rule, until, step time.Duration) {
	t.Helper()
	for _, rule := range rules {
		q, err := engine.NewRangeQuery(t.Context(), s, nil, rule.Expr, moment(0), moment(until), step)
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		active, err := q.Exec(t.Context()).Matrix()
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		for _, of := range active {
			b := labels.NewBuilder(of.Metric).Set(model.MetricNameLabel, "ALERTS").Set("alertname", rule.Alert).Set("alertstate", "firing")
			for name, value := range rule.Labels {
				b.Set(name, value)
			}
			if firing := lasting(of.Floats, time.Duration(rule.For), step); len(firing) > 0 {
				s.all = append(s.all, storage.NewListSeries(b.Labels(), firing))
			}
		}
		q.Close()
	}
}

// lasting returns the points that have others before them, without a gap, for as
// long as an alert must last before it fires. A point where it stops says so.
func lasting(points []promql.FPoint, enough, step time.Duration) (firing []chunks.Sample) {
	var since, last int64 = -1, -1
	for _, p := range points {
		if since < 0 || p.T-last > step.Milliseconds() {
			if len(firing) > 0 {
				firing = append(firing, sample{last + step.Milliseconds(), math.Float64frombits(value.StaleNaN)})
			}
			since = p.T
		}
		last = p.T
		if p.T-since >= enough.Milliseconds() {
			firing = append(firing, sample{p.T, 1})
		}
	}
	if len(firing) > 0 {
		firing = append(firing, sample{last + step.Milliseconds(), math.Float64frombits(value.StaleNaN)})
	}
	return firing
}

func moment(since time.Duration) time.Time { return time.Unix(0, 0).Add(since).UTC() }
