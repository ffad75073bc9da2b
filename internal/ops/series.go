package ops

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A series is one number at the moment of a scrape. It is in place of what
// [prometheus.MustNewConstMetric] makes, which has labels of its own: all series
// of a scrape are in memory at once, and of thousands of accounts their labels
// are most of that. So the series of an account share theirs.
type series struct {
	desc   *prometheus.Desc
	labels labelSet
	value  float64
	since  *timestamppb.Timestamp // when a counter began; nil: a gauge
}

// Desc implements [prometheus.Metric].
func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s *series) Write(to *dto.Metric) error {
	to.Label = s.labels
	if s.since != nil {
		to.Counter = &dto.Counter{Value: &s.value, CreatedTimestamp: s.since}
	} else {
		to.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// A labelSet is the labels of a series, by name. It never changes.
type labelSet []*dto.LabelPair

func labelsOf(provider, account string) labelSet {
	return labelSet{label("account", account), label("provider", provider)}
}

// with returns l and one more.
func (l labelSet) with(more *dto.LabelPair) labelSet {
	i, _ := slices.BinarySearchFunc(l, more.GetName(), func(p *dto.LabelPair, name string) int { return strings.Compare(p.GetName(), name) })
	return slices.Insert(slices.Clip(l), i, more)
}

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
