package dispatcher

import "time"

// Figures are what there is to see of a dispatcher beside its load and its lanes.
type Figures struct {
	Partitions int             // that there are, those of other dispatchers included
	Outages    map[string]bool // what is tried again until it works: whether the newest try has failed

	// ClockAhead is how far this host's clock is ahead of the broker's. It is
	// known once there is a partition.
	ClockAhead time.Duration
	ClockKnown bool

	// Runs of schedules that were left out since the start: because the run
	// before had not ended, or because its request cannot be made.
	SchedulesSkipped, SchedulesRefused uint64
}

// Figures returns what there is to see of the dispatcher now.
func (d *Dispatcher) Figures() Figures {
	f := Figures{
		Partitions: d.cfg.Partitions,
		Outages: map[string]bool{
			"results": d.results.outage.Lasts(), "intents": d.intending.Lasts(),
			"lane_events": d.telling.Lasts(), "schedules": d.schedules.outage.Lasts(),
		},
		SchedulesSkipped: d.schedules.skipped.Load(), SchedulesRefused: d.schedules.refused.Load(),
	}
	var newest clock
	for _, p := range d.partitions() {
		if p.clock.read.After(newest.read) {
			newest = p.clock
		}
	}
	if f.ClockKnown = !newest.read.IsZero(); f.ClockKnown {
		f.ClockAhead = newest.ahead(time.Now())
	}
	return f
}

// ahead returns how far our clock is ahead of the broker's when it is now: as
// far as it was when the clock was read, and as it has been set since.
func (c clock) ahead(now time.Time) time.Duration {
	set := now.Round(0).Sub(c.read.Round(0)) - now.Sub(c.read)
	return set - (c.least+c.most)/2
}

// runnableLocked returns how many more calls the lane would start now if the
// dispatcher got round to it. What waits for its limit, its breaker, its provider
// or an operator is not among them: another dispatcher could do no more for it.
func (l *lane) runnableLocked(now time.Time) int {
	known := l.acct.state()
	if known.Group != "" && len(l.places) == 0 {
		return 0
	}
	var waiting int
	for c := range l.queues {
		waiting += len(l.ready[c])
		if _, still := l.stillLocked(c, now); still || l.begun[c] >= maxOpen {
			continue
		}
		waiting += len(l.queues[c].items)
		if l.queues[c].behind() {
			waiting++ // at least
		}
	}
	if waiting == 0 {
		return 0
	}
	return min(waiting, l.acct.room(now, l.picked, l.calling, l.busy))
}

// room returns how many more calls may start now, with the arguments of gate.
func (a *account) room(now time.Time, picked, calling, busy int) int {
	a.mu.Lock()
	stopped, room := a.stoppedLocked() || a.trial && busy > 0, a.calls.limit()-calling
	a.mu.Unlock()
	if stopped || !a.breaker.lets(now, busy) || a.limiter.Delay(now, picked+1) > 0 {
		return 0
	}
	return max(room, 0)
}
