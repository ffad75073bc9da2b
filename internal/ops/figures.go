package ops

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// figures shows what there is to see of a dispatcher beside its lanes, at the
// moment in which somebody looks.
type figures struct {
	d Dispatcher

	all, outage, clock, missed *prometheus.Desc
}

func newFigures(d Dispatcher) *figures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &figures{
		d:   d,
		all: desc("tram_partitions", "Partitions that there are, streams.partitions: all dispatchers together have them all."),
		outage: desc("tram_dispatcher_outage", "1 while something does not work and is tried again until it does: "+
			"results or intents cannot be stored, states of lanes cannot be told, schedules cannot publish.", "what"),
		clock: desc("tram_dispatcher_clock_ahead_seconds", "How far this host's clock is ahead of the broker's."),
		missed: desc("tram_dispatcher_schedule_misses_total", "Runs of schedules that were left out: unended, the run before had not ended; "+
			"refused, the request cannot be made.", "why"),
	}
}

// Describe implements [prometheus.Collector].
func (f *figures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.all, f.outage, f.clock, f.missed} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (f *figures) Collect(to chan<- prometheus.Metric) {
	now := f.d.Figures()
	to <- prometheus.MustNewConstMetric(f.all, prometheus.GaugeValue, float64(now.Partitions))
	for _, what := range slices.Sorted(maps.Keys(now.Outages)) {
		to <- prometheus.MustNewConstMetric(f.outage, prometheus.GaugeValue, truth(now.Outages[what]), what)
	}
	if now.ClockKnown {
		to <- prometheus.MustNewConstMetric(f.clock, prometheus.GaugeValue, now.ClockAhead.Seconds())
	}
	to <- prometheus.MustNewConstMetric(f.missed, prometheus.CounterValue, float64(now.SchedulesSkipped), "unended")
	to <- prometheus.MustNewConstMetric(f.missed, prometheus.CounterValue, float64(now.SchedulesRefused), "refused")
}
