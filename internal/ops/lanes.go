package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tramhq/tram/pkg/events"
)

// lanes shows how the accounts of a dispatcher stand at the moment in which
// somebody looks. Nothing is kept, so what is gone is not shown.
type lanes struct {
	d Dispatcher

	partitions, inFlight, inFlightMax, runnable            *prometheus.Desc
	state, calls, concurrency, open, queued, behind, usage *prometheus.Desc
	oldest                                                 *prometheus.Desc
}

func newLanes(d Dispatcher) *lanes {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	of := func(name, help string, more ...string) *prometheus.Desc {
		return desc(name, help, append([]string{"provider", "account"}, more...)...)
	}
	return &lanes{
		d:           d,
		partitions:  desc("tram_dispatcher_partitions", "Partitions that this dispatcher works."),
		inFlight:    desc("tram_dispatcher_in_flight", "Requests being executed."),
		inFlightMax: desc("tram_dispatcher_in_flight_limit", "Requests that may be executed at once, dispatcher.max_in_flight."),
		runnable: desc("tram_dispatcher_runnable_requests", "Requests whose account may be called now: "+
			"they wait for this dispatcher, not for a limit, a provider or an operator."),
		state: of("tram_lane_state", "1 for the state an account is in: idle, working, paused, credential_refused, "+
			"breaker_open, breaker_probing, silenced. Its other states are not there.", "state"),
		calls:       of("tram_lane_in_flight", "Calls of the account under way or about to start."),
		concurrency: of("tram_lane_concurrency", "Calls at once that the account's provider is good for at the moment."),
		open:        of("tram_lane_open_requests", "Requests begun and not ended: being executed, or waiting for another try."),
		queued:      of("tram_lane_queued_requests", "Requests read and not begun.", "class"),
		behind:      of("tram_lane_behind", "1 while more requests wait in the stream than were read.", "class"),
		usage:       of("tram_lane_usage_ratio", "Share of what the provider allows that is used, as the provider told last."),
		oldest:      of("tram_lane_oldest_request_seconds", "Age of the oldest request read and not begun. Not there where none is, or in quiet hours.", "class"),
	}
}

// Describe implements [prometheus.Collector].
func (l *lanes) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		l.partitions, l.inFlight, l.inFlightMax, l.runnable,
		l.state, l.calls, l.concurrency, l.open, l.queued, l.behind, l.usage, l.oldest,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector]. An account that another dispatcher
// had a moment ago may be shown by both.
func (l *lanes) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, of labelSet, value float64) { to <- &series{desc: d, labels: of, value: value} }
	load := l.d.Load()
	gauge(l.partitions, nil, float64(load.Partitions))
	gauge(l.inFlight, nil, float64(load.InFlight))
	gauge(l.inFlightMax, nil, float64(load.MaxInFlight))
	var classes []*dto.LabelPair
	for _, class := range events.Classes {
		classes = append(classes, label("class", string(class)))
	}
	now, runnable := time.Now(), 0
	for _, s := range l.d.Lanes() {
		runnable += s.Runnable
		of := labelsOf(s.Provider, s.Account)
		gauge(l.state, of.with(label("state", string(s.State))), 1)
		gauge(l.calls, of, float64(s.InFlight))
		gauge(l.concurrency, of, float64(s.Concurrency))
		gauge(l.open, of, float64(s.Open))
		for i, class := range classes {
			of := of.with(class)
			gauge(l.queued, of, float64(s.Queued[i]))
			gauge(l.behind, of, truth(s.Behind[i]))
			if s.OldestMS[i] > 0 {
				gauge(l.oldest, of, max(now.Sub(time.UnixMilli(s.OldestMS[i])).Seconds(), 0))
			}
		}
		if s.UsagePercent > 0 {
			gauge(l.usage, of, s.UsagePercent/100)
		}
	}
	gauge(l.runnable, nil, float64(runnable))
}
