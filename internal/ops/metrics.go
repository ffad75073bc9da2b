package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/telemetry"
)

// Metrics are the metrics of one process, on a registry of their own. The
// labels provider and account are names of the configuration, never what an
// event says; class, state, kind and group are words of tram's own. So the
// number of series is bounded by the configuration.
type Metrics struct {
	registry *prometheus.Registry
	refused  prometheus.Gauge
	streams  streams
}

func newMetrics(version string, ready func() Readiness) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		refused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tram_config_refused",
			Help: "1 while the configuration in the files is not valid, so that an older one holds."}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "tram_build_info",
		Help: "Always 1, with the version of the process.", ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		info, m.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tram_ready",
			Help: "1 while the process can do its work, as /readyz says."},
			func() float64 { return truth(ready().Ready) }),
		newParts(ready),
	)
	m.streams = newStreams(m.registry)
	return m
}

// ConfigRefused tells whether the configuration in the files is not valid.
func (m *Metrics) ConfigRefused(refused bool) { m.refused.Set(truth(refused)) }

// Dispatcher adds the metrics of the dispatcher in this process, and returns
// what counts for them. Its own figures are there once it is given to Watch.
func (m *Metrics) Dispatcher() *DispatcherMetrics { return newDispatcherMetrics(m.registry) }

// Collector adds the metrics of the collector in this process, and returns
// what counts for them.
func (m *Metrics) Collector() *CollectorMetrics { return newCollectorMetrics(m.registry) }

// observe counts d and, where it is of a sampled trace, shows that as an
// example of what is as long: the way from a histogram to a single request.
func observe(o prometheus.Observer, d time.Duration, traceID string) {
	if with, ok := o.(prometheus.ExemplarObserver); ok && traceID != "" {
		with.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": traceID})
		return
	}
	o.Observe(d.Seconds())
}

// Spans adds the metric of the spans that this process makes, and returns what
// counts for it.
func (m *Metrics) Spans() telemetry.Count {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tram_telemetry_spans_total",
		Help: "Spans that ended: exported to the endpoint; failed, it did not take them; dropped, it is too slow or away."}, []string{"end"})
	for _, end := range []string{telemetry.Exported, telemetry.Failed, telemetry.Dropped} {
		spans.WithLabelValues(end)
	}
	m.registry.MustRegister(spans)
	return func(end string, n int) { spans.WithLabelValues(end).Add(float64(n)) }
}

func truth(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

var (
	_ dispatcher.Observer = (*DispatcherMetrics)(nil)
	_ collector.Observer  = (*CollectorMetrics)(nil)
)
