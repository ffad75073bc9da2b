package main

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// An outcome is what an experiment has shown.
type outcome struct {
	experiment
	runs map[string][]*measured // by label, one for each repetition
}

// tries is how often a run is made when others use the machine meanwhile. The
// one with the least of that counts.
const tries = 3

// conduct runs all rows of e in turn, again and again: what changes on the
// machine meanwhile hits all of them.
func (b *bench) conduct(ctx context.Context, e experiment, repetitions int, noise float64, say func(format string, args ...any)) (*outcome, error) {
	o := &outcome{e, map[string][]*measured{}}
	for i := range repetitions {
		for _, r := range e.rows {
			var best *measured
			for range tries {
				m, err := b.run(ctx, r)
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", e.name, r.label, err)
				}
				if best == nil || m.others < best.others {
					best = m
				}
				if best.others <= noise {
					break
				}
				say("%s %d/%d %s: others had %.0f %% of the machine", e.name, i+1, repetitions, r.label, 100*m.others)
			}
			o.runs[r.label] = append(o.runs[r.label], best)
			say("%s %d/%d %s: %s", e.name, i+1, repetitions, r.label, best)
		}
	}
	return o, nil
}

// run is one run of a row. A call too many or too few is an error: speed
// without that is none.
func (b *bench) run(ctx context.Context, r row) (*measured, error) {
	c, err := b.contenderOf(ctx, r.contender, r.scenario)
	if err != nil {
		return nil, err
	}
	work := b.workOff
	if r.rate > 0 {
		work = b.followUp
	}
	m, err := work(ctx, c, r.scenario)
	if err != nil {
		return nil, err
	}
	if m.repeated+m.lost > 0 {
		return nil, fmt.Errorf("%d calls were repeated and %d never made", m.repeated, m.lost)
	}
	return m, nil
}

// values are what value says of each run of a label, divided by what it says
// of the run of another one in the same repetition unless that is "".
func (o *outcome) values(value func(*measured) float64, of, against string) []float64 {
	var all []float64
	for i, m := range o.runs[of] {
		v := value(m)
		if against != "" {
			v /= value(o.runs[against][i])
		}
		all = append(all, v)
	}
	return all
}

// median of values, of which there is at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// A judgement is whether a goal was reached.
type judgement struct {
	goal
	got     float64
	reached bool
}

// judge says of each goal of all outcomes whether it was reached, the last one
// being what a dispatcher of tram may take in all of them.
func judge(outcomes []*outcome) []judgement {
	const maxMiB = 64
	var all []judgement
	peak := 0.0
	for _, o := range outcomes {
		for _, g := range o.goals {
			all = append(all, g.judge(median(o.values(g.value, g.of, g.against))))
		}
		for _, r := range o.rows {
			if r.contender == "tram" {
				peak = max(peak, median(o.values(dispatcherMiB, r.label, "")))
			}
		}
	}
	if peak > 0 {
		all = append(all, goal{text: "peak memory of a dispatcher of tram in all of these, MiB", atMost: true, bound: maxMiB}.judge(peak))
	}
	return all
}

func (g goal) judge(got float64) judgement {
	got = math.Round(100*got) / 100 // as it is shown
	return judgement{g, got, got >= g.bound && !g.atMost || got <= g.bound && g.atMost}
}

func dispatcherMiB(m *measured) float64 { return float64(m.peak["dispatcher"]) / (1 << 20) }
