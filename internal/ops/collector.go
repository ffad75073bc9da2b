package ops

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
)

// CollectorMetrics count for a collector; they implement [collector.Observer].
type CollectorMetrics struct {
	results     prometheus.Counter
	events      map[string]prometheus.Counter // by kind
	dead        map[string]prometheus.Counter // by group
	storeFailed prometheus.Counter
	age         prometheus.Histogram
	waiting     prometheus.Gauge
}

func newCollectorMetrics(r *prometheus.Registry) *CollectorMetrics {
	m := &CollectorMetrics{
		events: make(map[string]prometheus.Counter), dead: make(map[string]prometheus.Counter),
		results: prometheus.NewCounter(prometheus.CounterOpts{Name: "tram_collector_results_total",
			Help: "Results read, those that came again included."}),
		storeFailed: prometheus.NewCounter(prometheus.CounterOpts{Name: "tram_collector_store_failures_total",
			Help: "Tries to store an event or dead letter that failed and are repeated."}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tram_collector_age_seconds",
			Help:    "How old results were when their events were stored, by the clocks of both processes.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300}}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tram_collector_waiting_results",
			Help: "Results that no collector has read yet, as the broker knew last. All collectors tell the same: take the greatest, not the sum."}),
	}
	byKind := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tram_collector_events_total",
		Help: "Events stored, those that were there already included."}, []string{"kind"})
	for _, kind := range collector.Kinds {
		m.events[string(kind)] = byKind.WithLabelValues(string(kind))
	}
	byGroup := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tram_collector_dead_letters_total",
		Help: "Dead letters stored, those that were there already included."}, []string{"group"})
	for _, group := range ledger.DeadGroups {
		m.dead[string(group)] = byGroup.WithLabelValues(string(group))
	}
	r.MustRegister(m.results, byKind, byGroup, m.storeFailed, m.age, m.waiting)
	return m
}

func (m *CollectorMetrics) Read()            { m.results.Inc() }
func (m *CollectorMetrics) StoreFailed()     { m.storeFailed.Inc() }
func (m *CollectorMetrics) Waiting(n uint64) { m.waiting.Set(float64(n)) }

// Collected implements [collector.Observer].
func (m *CollectorMetrics) Collected(age time.Duration, traceID string) {
	observe(m.age, max(age, 0), traceID)
}

// Stored counts by the second token of the subject, and dead letters by the
// third: tram.<kind>.… or tram.dead.<group>.….
func (m *CollectorMetrics) Stored(subject string) {
	counters := m.events
	rest, dead := strings.CutPrefix(subject, broker.DeadPrefix)
	if dead {
		counters = m.dead
	} else {
		_, rest, _ = strings.Cut(subject, ".")
	}
	token, _, _ := strings.Cut(rest, ".")
	if c := counters[token]; c != nil {
		c.Inc()
	}
}
