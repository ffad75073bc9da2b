package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ledger"
)

// DispatcherMetrics count for a dispatcher; they implement
// [dispatcher.Observer].
type DispatcherMetrics struct {
	registry    *prometheus.Registry
	meters      *meters
	takeOvers   prometheus.Counter
	storeFailed prometheus.Counter
}

func newDispatcherMetrics(r *prometheus.Registry) *DispatcherMetrics {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tram_dispatcher_call_duration_seconds",
		Help:    "How long calls to providers took.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"provider"})
	waited := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tram_dispatcher_wait_seconds",
		Help:    "How long requests had been stored when they were begun for their first call.",
		Buckets: []float64{.005, .025, .1, .5, 1, 5, 15, 60, 300, 1800, 7200, 43200}}, []string{"provider", "class"})
	m := &DispatcherMetrics{
		registry: r, meters: newMeters(duration, waited),
		takeOvers: prometheus.NewCounter(prometheus.CounterOpts{Name: "tram_dispatcher_takeovers_total",
			Help: "Partitions taken over."}),
		storeFailed: prometheus.NewCounter(prometheus.CounterOpts{Name: "tram_dispatcher_store_failures_total",
			Help: "Tries to store a result that failed and are repeated; no new call starts meanwhile."}),
	}
	r.MustRegister(duration, waited, m.meters, m.takeOvers, m.storeFailed)
	return m
}

// Watch adds what can be seen of d when it is looked at.
func (m *DispatcherMetrics) Watch(d Dispatcher) { m.registry.MustRegister(newLanes(d), newFigures(d)) }

// A Dispatcher is what of one can be looked at.
type Dispatcher interface {
	Lanes() []ledger.Lane
	Load() dispatcher.Load
	Figures() dispatcher.Figures
}

// Keep forgets the accounts that are not among those for which keep is true.
func (m *DispatcherMetrics) Keep(keep func(provider, account string) bool) { m.meters.keep(keep) }

func (m *DispatcherMetrics) TookOver()    { m.takeOvers.Inc() }
func (m *DispatcherMetrics) StoreFailed() { m.storeFailed.Inc() }

// Meter implements [dispatcher.Observer].
func (m *DispatcherMetrics) Meter(provider, name string) dispatcher.Meter {
	return m.meters.get(account{provider, name})
}
