package ops

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/pkg/events"
)

// meters are what is counted for each account. They are plain numbers, of which
// series are made when somebody looks: a counter of Prometheus with its labels
// takes half a kilobyte, which thousands of accounts would have several of.
type meters struct {
	duration *prometheus.HistogramVec // by provider
	waited   *prometheus.HistogramVec // by provider and class

	calls, spent, results *prometheus.Desc

	mu sync.Mutex
	of map[account]*meter
}

type account struct{ provider, name string }

func newMeters(duration, waited *prometheus.HistogramVec) *meters {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"provider", "account"}, labels...), nil)
	}
	return &meters{
		duration: duration, waited: waited, of: make(map[account]*meter),
		calls: desc("tram_dispatcher_calls_total", "Calls to providers, by what their answer was judged as.", "class"),
		spent: desc("tram_dispatcher_call_seconds_total",
			"How long calls to providers took, all together: divided by their number, how long one takes of an account."),
		results: desc("tram_dispatcher_results_total", "Results stored, by the state of their request: ended; deferred, to be tried again; continued with its next step. "+
			"Provider and account are empty for requests to accounts that are not configured.", "state"),
	}
}

// get returns the meter of an account, every time the same.
func (m *meters) get(a account) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[a] == nil {
		m.of[a] = &meter{account: a, all: m, duration: m.duration.WithLabelValues(a.provider), made: time.Now()}
	}
	return m.of[a]
}

// keep forgets the accounts that are not among those for which keep is true.
func (m *meters) keep(keep func(provider, account string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.of, func(a account, _ *meter) bool { return a.provider != "" && !keep(a.provider, a.name) })
}

// Describe implements [prometheus.Collector].
func (m *meters) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.calls, m.spent, m.results} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *meters) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.of))
	m.mu.Unlock()
	for _, one := range all {
		one.collect(to)
	}
}

// A meter counts for one account; it implements [dispatcher.Meter].
type meter struct {
	account
	all      *meters
	duration prometheus.Observer // of the provider
	made     time.Time

	mu      sync.Mutex
	calls   tally // by what the answer was judged as
	results tally // by state
	spent   time.Duration
}

func (m *meter) Called(c dispatcher.Called) {
	m.mu.Lock()
	m.calls.add(string(c.Answer))
	m.spent += c.Took
	m.mu.Unlock()
	observe(m.duration, c.Took, c.TraceID)
	if c.Class != "" {
		observe(m.all.waited.WithLabelValues(m.provider, string(c.Class)), c.Waited, c.TraceID)
	}
}

func (m *meter) Stored(state events.State) {
	if state == "" {
		state = "continued"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results.add(string(state))
}

// collect makes the series of an account. What was never counted has none:
// thousands of accounts with a dozen counters that stay zero would be most of
// what is scraped.
func (m *meter) collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	calls, results, spent := slices.Clone(m.calls), slices.Clone(m.results), m.spent
	m.mu.Unlock()
	of, since := labelsOf(m.provider, m.name), timestamppb.New(m.made)
	for _, c := range calls {
		to <- &series{m.all.calls, of.with(label("class", c.word)), float64(c.n), since}
	}
	if len(calls) > 0 {
		to <- &series{m.all.spent, of, spent.Seconds(), since}
	}
	for _, c := range results {
		to <- &series{m.all.results, of.with(label("state", c.word)), float64(c.n), since}
	}
}

// A tally counts by word, of which there are a few.
type tally []count

type count struct {
	word string
	n    uint64
}

func (t *tally) add(word string) {
	for i := range *t {
		if (*t)[i].word == word {
			(*t)[i].n++
			return
		}
	}
	*t = append(*t, count{word, 1})
}
