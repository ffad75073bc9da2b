package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func (p *poisoning) judge(ctx context.Context, took paces) (report, error) {
	letters, reasons, stacks, innocent := map[uint64]int{}, map[string]int{}, 0, 0
	err := broker.NewReader(p.js).Replay(ctx, broker.Dead, ">", 1, func(m *broker.Stored) error {
		d, err := ledger.DecodeDeadLetter(m.Data)
		if err != nil {
			return err
		}
		letters[d.Seq]++
		reasons[string(d.Group)+" "+d.Why.Reason]++
		if d.Stack != "" {
			stacks++
		}
		if id := d.Request.Header[events.HeaderID]; len(id) == 1 && !strings.HasPrefix(id[0], "bad-") {
			innocent++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var died []error // nothing starts them again
	for _, one := range p.running {
		if err := one.dead(); err != nil {
			died = append(died, err)
		}
	}
	twice := 0
	for _, n := range letters {
		if n > 1 {
			twice++
		}
	}
	var r report
	r.note("good sends, bad requests among half of them", fmt.Sprintf("%d, %d", p.good, p.bad))
	r.add("bad requests with a dead letter", len(letters), strconv.Itoa(p.bad), len(letters) == p.bad)
	r.add("with more than one", twice, "0", twice == 0)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		r.note("  "+reason, reasons[reason])
	}
	r.add("panics whose stack is in the letter", stacks, strconv.Itoa(p.panics()), stacks == p.panics())
	r.add("good sends with a dead letter", innocent, "0", innocent == 0)
	r.add("good sends not called exactly once", p.wrong, "0", p.wrong == 0)
	r.add("processes that died", len(died), "0", len(died) == 0)
	sends, speed := float64(2*p.plan.Turns*p.plan.Good), took.ratio()
	r.note("good sends per second, without poison and with it",
		fmt.Sprintf("%.0f, %.0f", sends/took.clean.Seconds(), sends/took.poisoned.Seconds()))
	if p.plan.Speed > 0 {
		r.add("speed with poison, of that without", percent(speed), percent(p.plan.Speed)+" at least", speed >= p.plan.Speed)
	}
	if p.plan.Turns > 1 {
		r.note("  standard error of that", percent(took.standardError()))
	}
	return r, errors.Join(died...)
}

// paces are how long rounds without poison and with it have taken, two of each at a
// time.
type paces struct {
	clean, poisoned time.Duration
	ratios          []float64 // of each time
}

func (p *paces) add(clean, poisoned time.Duration) {
	p.clean, p.poisoned = p.clean+clean, p.poisoned+poisoned
	p.ratios = append(p.ratios, float64(clean)/float64(poisoned))
}

// ratio is the speed with poison, of that without.
func (p *paces) ratio() float64 { return float64(p.clean) / float64(p.poisoned) }

// standardError tells how far the ratio of another run may be from this one's.
func (p *paces) standardError() float64 {
	n, mean, squares := float64(len(p.ratios)), 0.0, 0.0
	for _, r := range p.ratios {
		mean += r / n
	}
	for _, r := range p.ratios {
		squares += (r - mean) * (r - mean)
	}
	return math.Sqrt(squares / (n - 1) / n)
}
