package ops

import (
	"github.com/prometheus/client_golang/prometheus"
)

// parts shows what of readiness is in the way.
type parts struct {
	ready func() Readiness
	desc  *prometheus.Desc
}

func newParts(ready func() Readiness) *parts {
	return &parts{ready, prometheus.NewDesc("tram_ready_part",
		"1 for each part of readiness that is as it should be, else 0: broker, dispatcher, collector, process.", []string{"part"}, nil)}
}

// Describe implements [prometheus.Collector].
func (p *parts) Describe(to chan<- *prometheus.Desc) { to <- p.desc }

// Collect implements [prometheus.Collector].
func (p *parts) Collect(to chan<- prometheus.Metric) {
	for part, said := range p.ready().Parts {
		to <- prometheus.MustNewConstMetric(p.desc, prometheus.GaugeValue, truth(said == text(nil)), part)
	}
}

// streams shows the broker's streams as they were when readiness looked last.
type streams struct{ bytes, limit, messages *prometheus.GaugeVec }

func newStreams(r *prometheus.Registry) streams {
	gauge := func(name, help string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name,
			Help: help + " All processes tell the same: take the greatest, not the sum."}, []string{"stream"})
		r.MustRegister(v)
		return v
	}
	return streams{
		bytes:    gauge("tram_stream_bytes", "Size of a stream at the broker."),
		limit:    gauge("tram_stream_limit_bytes", "Size at which a stream refuses what comes; one without a limit is not here."),
		messages: gauge("tram_stream_messages", "Messages in a stream."),
	}
}

// Stream tells how a stream stands; a limit of 0 or less is none.
func (m *Metrics) Stream(name string, messages, bytes uint64, limit int64) {
	m.streams.messages.WithLabelValues(name).Set(float64(messages))
	m.streams.bytes.WithLabelValues(name).Set(float64(bytes))
	if limit <= 0 {
		m.streams.limit.DeleteLabelValues(name)
		return
	}
	m.streams.limit.WithLabelValues(name).Set(float64(limit))
}
