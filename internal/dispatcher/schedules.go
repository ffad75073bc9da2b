package dispatcher

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/schedule"
)

// schedules makes the requests of the schedules whose accounts this dispatcher
// owns. All of it is done by one goroutine, and what takes the broker's time by
// a few more that it waits for.
type schedules struct {
	d       *Dispatcher
	log     *slog.Logger
	store   *schedule.Store
	outage  *broker.Outage
	now     func() time.Time // a test steps it
	changed chan struct{}    // partitions or accounts have

	book schedule.Book
	all  map[string]*scheduled // by name

	skipped, refused atomic.Uint64 // runs that were left out, see Figures
}

// scheduled is one schedule as this dispatcher works it.
type scheduled struct {
	*schedule.Entry
	key   laneKey
	n     int             // its partition
	times *schedule.Times // nil: nothing is due, ever
	next  time.Time       // when it is due, by the broker's clock; zero: never
	retry time.Time       // nothing is tried before
	told  string          // the problem that is in the log already
}

const (
	scheduleRetry   = 2 * time.Second // after something has failed
	scheduleUnread  = 100 * time.Millisecond
	scheduleTimeout = 30 * time.Second // of all that one run asks of the broker
	schedulesAtOnce = 16
	scheduleLook    = time.Minute // how long nothing is looked at, at most: clocks drift
)

func newSchedules(d *Dispatcher) *schedules {
	return &schedules{
		d: d, log: d.log, store: schedule.NewStore(d.cfg.JS), now: time.Now,
		outage:  broker.NewOutage(d.log, "requests of schedules cannot be published"),
		changed: make(chan struct{}, 1), all: make(map[string]*scheduled),
	}
}

// kick says that there are other partitions or accounts than before.
func (s *schedules) kick() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run works until ctx is done.
func (s *schedules) run(ctx context.Context) {
	type message struct {
		*broker.Stored
		pending uint64
	}
	heard := make(chan message)
	feed := broker.NewFeed(s.d.cfg.JS, broker.SchedulesStream, broker.SchedulesPrefix+">", 1, func(m *broker.Stored, pending uint64) {
		select {
		case heard <- message{m, pending}:
		case <-ctx.Done():
		}
	})
	feed.Log = s.log
	var feeding sync.WaitGroup
	defer feeding.Wait()
	feeding.Go(func() { feed.Run(ctx) }) //nolint:errcheck // ends with ctx only
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-heard:
			if s.hear(m.Stored); m.pending > 0 {
				continue
			}
		case <-s.changed:
			for _, e := range s.all {
				s.plan(e)
			}
		case <-timer.C:
		}
		timer.Reset(s.turn())
	}
}

// hear takes in what the bucket says.
func (s *schedules) hear(m *broker.Stored) {
	entry := s.book.Take(m)
	if entry == nil {
		return
	}
	e := s.all[entry.Name]
	if e == nil {
		e = &scheduled{Entry: entry}
		s.all[entry.Name] = e
	}
	s.plan(e)
	if e.Fault != nil {
		s.tell(e, e.Fault)
	}
}

// plan finds out when e is due next.
func (s *schedules) plan(e *scheduled) {
	e.times, e.next, e.retry = nil, time.Time{}, time.Time{}
	if e.Schedule == nil {
		return
	}
	e.key = laneKey{provider: e.Schedule.Provider, account: e.Schedule.Account}
	e.n = broker.Partition(e.key.provider, e.key.account, s.d.cfg.Partitions)
	zone := ""
	if k := s.d.known(e.key); k != nil {
		zone = k.terms.Zone
	}
	times, err := e.Schedule.Times(zone)
	if err != nil {
		s.tell(e, err)
		return
	}
	e.times = times
	if !e.Schedule.Paused {
		e.next = e.Next(times)
	}
}

// tell puts into the log why e does not run, once.
func (s *schedules) tell(e *scheduled, why error) {
	if e.told == why.Error() {
		return
	}
	e.told = why.Error()
	s.log.Warn("schedule does not run", "schedule", e.Name, "provider", e.key.provider, "account", e.key.account, "error", why)
}

// turn runs what is due, and returns for how long nothing else is.
func (s *schedules) turn() time.Duration {
	now := s.now()
	wait := scheduleLook
	var running errgroup.Group
	running.SetLimit(schedulesAtOnce)
	for _, e := range s.all {
		p := s.owned(e)
		if p == nil {
			continue
		}
		left := e.left(p.clock, now)
		if left <= 0 && !p.mayCall() {
			left = scheduleRetry
		}
		if left > 0 {
			wait = min(wait, left)
			continue
		}
		wait = 0
		running.Go(func() error {
			s.settle(p, e, s.fire(p, e))
			return nil
		})
	}
	running.Wait() //nolint:errcheck // there are none
	return wait
}

// owned returns the partition of e's account if it is open here.
func (s *schedules) owned(e *scheduled) *partition {
	if e.times == nil {
		return nil
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.d.opened[e.n]
}

// left returns how long nothing is to be done about e.
func (e *scheduled) left(c clock, now time.Time) time.Duration {
	due := forever
	switch {
	case e.unknown():
		due = 0
	case !e.next.IsZero():
		due = c.local(e.next.UnixMilli()).Sub(now)
	}
	return max(due, e.retry.Sub(now))
}
