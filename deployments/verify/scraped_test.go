package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// phase is for how long each of the scraped moments goes on.
const phase = 30 * time.Minute

// expect judges what was scraped one after the other. Of the first nothing may
// fire, of the others together all that are named.
func expect(t *testing.T, scraped []map[string]*dto.MetricFamily, names ...string) {
	t.Helper()
	const long = 9 * time.Hour // the last one
	s := &series{}
	values := map[string][]parser.SequenceValue{}
	of := map[string]labels.Labels{}
	minutes := 0
	for i, families := range scraped {
		last := int(phase.Minutes())
		if i == len(scraped)-1 {
			last = int(long.Minutes())
		}
		for key, sample := range samples(families) {
			of[key] = sample.of
			for len(values[key]) < minutes {
				values[key] = append(values[key], parser.SequenceValue{Omitted: true})
			}
			grows := 0.0
			switch {
			case i == 0:
			case sample.counter: // as much again each minute
				grows = sample.value - valueAt(values[key], minutes-1)
			case strings.HasSuffix(sample.of.Get("__name__"), "_request_seconds"): // it gets older
				grows = 60
			}
			for n := range last {
				values[key] = append(values[key], parser.SequenceValue{Value: sample.value + float64(n)*grows})
			}
		}
		minutes += last
	}
	for key, v := range values {
		s.add(of[key], v, time.Minute)
	}
	for _, job := range []string{"tram-dispatcher", "tram-collector"} {
		s.add(labels.FromStrings("__name__", "up", "job", job, "instance", "a"), slices.Repeat([]parser.SequenceValue{{Value: 1}}, minutes), time.Minute)
	}
	fires(t, s, time.Duration(minutes-1)*time.Minute, names...)
	if early := s.query(t, `count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[30m]))`, phase-time.Minute); len(early) > 0 {
		t.Errorf("while nothing was wrong, these fired: %v", early)
	}
}

func valueAt(values []parser.SequenceValue, i int) float64 {
	if i < 0 || i >= len(values) || values[i].Omitted {
		return 0
	}
	return values[i].Value
}

// fires checks that these alerts fire at some moment.
func fires(t *testing.T, s *series, until time.Duration, names ...string) {
	t.Helper()
	s.judge(t, rules(t), until, time.Minute)
	var fired []string
	for _, of := range s.query(t, fmt.Sprintf(`count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[%dm]))`, int(until.Minutes())+1), until) {
		fired = append(fired, of.Metric.Get("alertname"))
	}
	t.Logf("fired: %q", fired)
	for _, name := range names {
		if !slices.Contains(fired, name) {
			t.Errorf("%s does not fire", name)
		}
	}
}

// A scraped is one sample.
type scraped struct {
	of      labels.Labels
	value   float64
	counter bool
}

// samples returns what was scraped as series, by a name of each.
func samples(families map[string]*dto.MetricFamily) map[string]scraped {
	all := map[string]scraped{}
	for name, family := range families {
		for _, m := range family.Metric {
			b := labels.NewScratchBuilder(8)
			b.Add("__name__", name)
			b.Add("job", "tram-dispatcher")
			b.Add("instance", "a")
			for _, l := range m.Label {
				b.Add(l.GetName(), l.GetValue())
			}
			b.Sort()
			one := scraped{of: b.Labels()}
			switch {
			case m.Counter != nil:
				one.value, one.counter = m.Counter.GetValue(), true
			case m.Gauge != nil:
				one.value = m.Gauge.GetValue()
			default:
				continue // histograms have tests of their own
			}
			all[one.of.String()] = one
		}
	}
	return all
}
