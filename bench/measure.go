package main

import (
	"runtime"
	"slices"
	"time"
)

// measured is what one run was like.
type measured struct {
	n          int
	wall       time.Duration            // from the first call to the last delivery
	cpu        map[string]time.Duration // by what the processes are called
	peak       map[string]int64         // memory, bytes; the most of one process
	most       int64                    // calls under way at once, at the provider
	others     float64                  // share of the machine's CPU that was not ours
	repeated   int64                    // calls for a recipient that had been called
	lost       int64                    // sends whose recipient was never called
	toCall     []time.Duration          // from publishing, sorted; paced runs only
	toDelivery []time.Duration          // the same
}

// used is how much CPU was used until a moment.
type used struct {
	at      time.Time
	machine time.Duration
	own     time.Duration // of this process
	by      map[string]time.Duration
}

func (r *rig) used() used {
	u := used{at: time.Now(), machine: machineCPU(), own: ownCPU(), by: map[string]time.Duration{}}
	for _, p := range r.processes() {
		u.by[p.name] += p.cpu()
	}
	return u
}

// measure is called as soon as a run is over. What was used before counts for
// nothing.
func (r *rig) measure(before used, last time.Time) (*measured, error) {
	after := r.used()
	var calls Calls
	if err := r.ask("/calls", &calls); err != nil {
		return nil, err
	}
	m := &measured{
		n: r.n, wall: last.Sub(time.Unix(0, calls.First)), cpu: map[string]time.Duration{}, peak: map[string]int64{},
		most: calls.Most, repeated: calls.Repeated, lost: int64(r.warmUp()+r.n) - (calls.Calls - calls.Repeated),
	}
	ours := after.own - before.own
	for name, cpu := range after.by {
		m.cpu[name] = cpu - before.by[name]
		ours += m.cpu[name]
	}
	for _, p := range r.workers {
		m.peak[p.name] = max(m.peak[p.name], p.peak())
	}
	machine := after.at.Sub(before.at).Seconds() * float64(runtime.NumCPU())
	m.others = max(0, (after.machine-before.machine-ours).Seconds()/machine)
	return m, nil
}

// rate is in events per second.
func (m *measured) rate() float64 { return float64(m.n) / m.wall.Seconds() }

// cost is the CPU time of the named processes, or of all if none is named, in
// microseconds per event, which is milliseconds per thousand.
func (m *measured) cost(names ...string) (us float64) {
	for name, cpu := range m.cpu {
		if len(names) == 0 || slices.Contains(names, name) {
			us += float64(cpu.Microseconds()) / float64(m.n)
		}
	}
	return us
}

// percentile returns the p-th of a hundred of sorted durations, in
// milliseconds.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := (len(sorted)*p + 99) / 100
	return sorted[max(0, i-1)].Seconds() * 1000
}
