package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// measured is what one run was like.
type measured struct {
	n        int
	wall     time.Duration // from the first call to the last delivery
	total    time.Duration // from the start of the processes
	broker   time.Duration // CPU
	provider time.Duration // CPU
	workers  []worker
	most     int64   // calls under way at once, at the provider
	others   float64 // share of the machine's CPU that was not ours
	repeated int64   // calls for a recipient that had been called
	lost     int64   // sends whose recipient was never called
}

// A worker is a process of a contender.
type worker struct {
	name string
	cpu  time.Duration // since it was started
	peak int64         // memory, bytes
}

// used is how much CPU was used until a moment.
type used struct {
	at                             time.Time
	machine, broker, provider, own time.Duration
}

func (r *rig) used(workers []*process) used {
	u := used{at: time.Now(), machine: machineCPU(), broker: r.nats.cpu(), provider: r.stub.cpu(), own: ownCPU()}
	for _, w := range workers {
		u.own += w.cpu()
	}
	return u
}

// measure is called as soon as a run is over.
func (r *rig) measure(s scenario, began, last time.Time, before used, workers []*process) (*measured, error) {
	after := r.used(workers)
	var calls Calls
	if err := r.ask("/calls", &calls); err != nil {
		return nil, err
	}
	m := &measured{
		n: s.n, wall: last.Sub(time.Unix(0, calls.First)), total: last.Sub(began),
		broker: after.broker - before.broker, provider: after.provider - before.provider,
		most: calls.Most, repeated: calls.Repeated, lost: int64(s.n) - (calls.Calls - calls.Repeated),
	}
	for _, p := range workers {
		m.workers = append(m.workers, worker{p.name, p.cpu(), p.peak()})
	}
	all := after.at.Sub(before.at).Seconds() * float64(runtime.NumCPU())
	ours := after.own - before.own + m.broker + m.provider
	m.others = max(0, (after.machine-before.machine-ours).Seconds()/all)
	return m, nil
}

// rate is in events per second.
func (m *measured) rate() float64 { return float64(m.n) / m.wall.Seconds() }

// perEvent is d in microseconds per event, which is milliseconds per thousand.
func (m *measured) perEvent(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(m.n)
}

func (m *measured) workersText() string {
	var all []string
	for _, w := range m.workers {
		all = append(all, fmt.Sprintf("%s %.1f", w.name, m.perEvent(w.cpu)))
	}
	return strings.Join(all, " ")
}

func (m *measured) peaks() string {
	var all []string
	for _, w := range m.workers {
		all = append(all, fmt.Sprintf("%s %d", w.name, w.peak>>20))
	}
	return strings.Join(all, " ")
}
