package ops

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// DispatcherMetrics count for a dispatcher; they implement
// [dispatcher.Observer].
type DispatcherMetrics struct {
	registry    *prometheus.Registry
	calls       *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	spent       *prometheus.CounterVec
	waited      *prometheus.HistogramVec
	results     *prometheus.CounterVec
	takeOvers   prometheus.Counter
	storeFailed prometheus.Counter

	mu     sync.Mutex
	meters map[account]*meter
}

type account struct{ provider, name string }

func newDispatcherMetrics(r *prometheus.Registry) *DispatcherMetrics {
	m := &DispatcherMetrics{
		registry: r, meters: make(map[account]*meter),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tram_dispatcher_calls_total",
			Help: "Calls to providers, by what their answer was judged as."}, []string{"provider", "account", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tram_dispatcher_call_duration_seconds",
			Help:    "How long calls to providers took.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"provider"}),
		spent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tram_dispatcher_call_seconds_total",
			Help: "How long calls to providers took, all together: divided by their number, how long one takes of an account."}, []string{"provider", "account"}),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tram_dispatcher_wait_seconds",
			Help:    "How long requests had been stored when they were begun for their first call.",
			Buckets: []float64{.005, .025, .1, .5, 1, 5, 15, 60, 300, 1800, 7200, 43200}}, []string{"provider", "class"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tram_dispatcher_results_total",
			Help: "Results stored, by the state of their request: ended; deferred, to be tried again; continued with its next step. " +
				"Provider and account are empty for requests to accounts that are not configured."},
			[]string{"provider", "account", "state"}),
		takeOvers: prometheus.NewCounter(prometheus.CounterOpts{Name: "tram_dispatcher_takeovers_total",
			Help: "Partitions taken over."}),
		storeFailed: prometheus.NewCounter(prometheus.CounterOpts{Name: "tram_dispatcher_store_failures_total",
			Help: "Tries to store a result that failed and are repeated; no new call starts meanwhile."}),
	}
	r.MustRegister(m.calls, m.duration, m.spent, m.waited, m.results, m.takeOvers, m.storeFailed)
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
func (m *DispatcherMetrics) Keep(keep func(provider, account string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for a := range m.meters {
		if a.provider == "" || keep(a.provider, a.name) {
			continue
		}
		gone := prometheus.Labels{"provider": a.provider, "account": a.name}
		m.calls.DeletePartialMatch(gone)
		m.spent.DeletePartialMatch(gone)
		m.results.DeletePartialMatch(gone)
		delete(m.meters, a)
	}
}

func (m *DispatcherMetrics) TookOver()    { m.takeOvers.Inc() }
func (m *DispatcherMetrics) StoreFailed() { m.storeFailed.Inc() }

// Meter implements [dispatcher.Observer].
func (m *DispatcherMetrics) Meter(provider, name string) dispatcher.Meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := account{provider, name}
	if m.meters[a] == nil {
		labels := prometheus.Labels{"provider": provider, "account": name}
		m.meters[a] = &meter{
			calls:    children{vec: m.calls.MustCurryWith(labels), by: make(map[string]prometheus.Counter)},
			results:  children{vec: m.results.MustCurryWith(labels), by: make(map[string]prometheus.Counter)},
			duration: m.duration.WithLabelValues(provider),
			of:       m, account: a,
		}
	}
	return m.meters[a]
}

// A meter counts for one account; it implements [dispatcher.Meter].
type meter struct {
	calls, results children
	duration       prometheus.Observer

	of      *DispatcherMetrics
	account account
	called  sync.Once
	spent   prometheus.Counter // since the first call
}

func (m *meter) Called(c dispatcher.Called) {
	m.calls.of(string(c.Answer)).Inc()
	m.called.Do(func() { m.spent = m.of.spent.WithLabelValues(m.account.provider, m.account.name) })
	m.spent.Add(c.Took.Seconds())
	observe(m.duration, c.Took, c.TraceID)
	if c.Class != "" {
		observe(m.of.waited.WithLabelValues(m.account.provider, string(c.Class)), c.Waited, c.TraceID)
	}
}

func (m *meter) Stored(state events.State) {
	if state == "" {
		state = "continued"
	}
	m.results.of(string(state)).Inc()
}

// children are the counters of one account by their last label. Each is made
// when it is first needed: thousands of accounts with a dozen counters that
// stay zero would be most of what is scraped.
type children struct {
	vec *prometheus.CounterVec
	mu  sync.Mutex
	by  map[string]prometheus.Counter
}

func (c *children) of(label string) prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	child := c.by[label]
	if child == nil {
		child = c.vec.WithLabelValues(label)
		c.by[label] = child
	}
	return child
}
