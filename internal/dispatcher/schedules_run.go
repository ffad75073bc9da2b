package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

// A refusedRun says why a schedule must not run until something changes.
type refusedRun struct{ error }

// fire runs e if it is due, or skips it if its last run has not ended.
//
// The run is recorded before its request is published. So of several dispatchers
// that take themselves for the owner one goes on, and whoever meets a run of
// which nobody knows whether it was published looks for it in REQUESTS. Two that
// publish at the same moment publish the same id, which the broker takes once.
func (s *schedules) fire(p *partition, e *scheduled) error {
	ctx, cancel := context.WithTimeout(p.take, scheduleTimeout)
	defer cancel()
	progress := e.Progress
	if e.unknown() {
		seq, err := s.look(ctx, progress.Last)
		switch {
		case err != nil:
			return err
		case seq != 0:
			return s.stored(ctx, e, progress, seq)
		}
		progress.Last, progress.HandledMS = nil, progress.Last.AtMS-1 // it is due as it was before
		return s.store.Record(ctx, e.Entry, progress)
	}
	at := e.Due(e.times, p.clock.passed(s.now()))
	if at.IsZero() {
		return nil
	}
	request, message, err := s.request(e, at)
	if err != nil {
		return refusedRun{err}
	}
	progress.HandledMS = at.UnixMilli()
	open, err := s.unended(ctx, p, progress.Last)
	if err != nil {
		return err
	}
	if open {
		progress.Skipped++
		s.log.Info("schedule skipped: its last run has not ended", "schedule", e.Name, "provider", e.key.provider, "account", e.key.account)
		if err := s.store.Record(ctx, e.Entry, progress); err != nil {
			return err
		}
		s.skipped.Add(1)
		return nil
	}
	lane := broker.LaneFilter(p.n, e.key.provider, e.key.account, request.Class)
	after, err := s.newest(ctx, lane)
	if err != nil {
		return err
	}
	progress.Last = &schedule.Run{
		AtMS: at.UnixMilli(), ID: request.ID, Provider: request.Provider, Account: request.Account, Class: request.Class, After: after,
	}
	if err := s.store.Record(ctx, e.Entry, progress); err != nil {
		return err
	}
	if !p.mayCall() {
		return errLeaseLost
	}
	ack, err := s.d.cfg.JS.PublishMsg(ctx, message, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("publish request of schedule: %w", err)
	}
	return s.stored(ctx, e, progress, ack.Sequence)
}

// request makes the request of e that is due at a time, as its account takes it,
// and what any producer would publish for it.
func (s *schedules) request(e *scheduled, at time.Time) (*events.Request, *nats.Msg, error) {
	k := s.d.known(e.key)
	if k == nil {
		_, detail := s.d.whyUnknown(events.KindReport, e.key)
		return nil, nil, errors.New(detail)
	}
	r, err := e.Schedule.Request(e.Name, at, k.terms.Zone)
	if err == nil {
		err = k.contract().Check(r)
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := events.EncodeRequest(r)
	if err != nil {
		return nil, nil, err
	}
	m.Header.Set(jetstream.ExpectedStreamHeader, broker.Requests)
	return r, m, nil
}

// stored records that the last run of e is in REQUESTS.
func (s *schedules) stored(ctx context.Context, e *scheduled, progress schedule.Progress, seq uint64) error {
	run := *progress.Last
	run.Seq = seq
	progress.Last = &run
	return s.store.Record(ctx, e.Entry, progress)
}

// newest returns the last sequence that matches filter in REQUESTS, or 0.
func (s *schedules) newest(ctx context.Context, filter string) (uint64, error) {
	m, err := s.d.reader.Last(ctx, broker.Requests, filter)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return m.Seq, nil
}

// look returns where the request of a run is in REQUESTS, 0 if it is not there.
func (s *schedules) look(ctx context.Context, run *schedule.Run) (seq uint64, err error) {
	n := broker.Partition(run.Provider, run.Account, s.d.cfg.Partitions)
	lane := broker.LaneFilter(n, run.Provider, run.Account, run.Class)
	err = s.d.reader.Replay(ctx, broker.Requests, lane, run.After+1, func(m *broker.Stored) error {
		if isOf(m, run) {
			seq = m.Seq
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return seq, err
}

var errFound = errors.New("found")

// unknown reports whether nobody knows if the last run of e was published.
func (e *scheduled) unknown() bool { return e.Progress.Last != nil && e.Progress.Last.Seq == 0 }

// settle notes how an attempt to run e has ended.
func (s *schedules) settle(p *partition, e *scheduled, err error) {
	s.plan(e)
	refused, isRefused := errors.AsType[refusedRun](err)
	switch {
	case err == nil:
		e.told = ""
		s.outage.Worked()
	case isRefused: // there is another time
		s.refused.Add(1)
		s.tell(e, refused.error)
		e.next = e.times.Next(p.clock.passed(s.now()))
	case errors.Is(err, errUnread):
		e.retry = s.now().Add(scheduleUnread)
	case errors.Is(err, schedule.ErrChanged) || p.take.Err() != nil: // what it has changed to is on its way
		e.retry = s.now().Add(scheduleRetry)
	default:
		s.outage.Failed(err)
		e.retry = s.now().Add(scheduleRetry)
	}
}

// errUnread says that a request is in the stream, and that it is not known yet
// whether it has ended.
var errUnread = errors.New("the partition has not read so far")

// unended reports whether a run has not ended: whether its request waits in its
// lane or is being worked. Of one that is in a partition of somebody else, or in
// the stream no more, nobody can tell; it counts as ended.
func (s *schedules) unended(ctx context.Context, p *partition, run *schedule.Run) (bool, error) {
	if run == nil || broker.Partition(run.Provider, run.Account, s.d.cfg.Partitions) != p.n {
		return false, nil
	}
	class := slices.Index(events.Classes, run.Class)
	if class < 0 {
		return false, nil
	}
	open, read := p.has(laneKey{provider: run.Provider, account: run.Account}, class, run.Seq)
	if open || read {
		return open, nil
	}
	m, err := s.d.reader.Get(ctx, broker.Requests, run.Seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !isOf(m, run): // the stream was made anew
		return false, nil
	}
	return false, errUnread
}

// isOf reports whether m is the request of a run.
func isOf(m *broker.Stored, run *schedule.Run) bool {
	return slices.Equal(m.Header[events.HeaderID], []string{run.ID})
}

// has reports whether a request has not ended, and whether the partition has read
// so far that it knows.
func (p *partition) has(key laneKey, class int, seq uint64) (open, read bool) {
	read = seq <= p.fed.Load() // before the lane is looked for: it is made first
	p.mu.Lock()
	l := p.lanes[key]
	p.mu.Unlock()
	if l == nil {
		return false, read
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.queues[class]
	return q.holds(seq) && !p.past.ended(seq) || l.open[seq] != nil, read || seq <= q.known()
}

// holds reports whether the request at seq, of the queue's lane and class, is in
// the queue or in the part of the stream that it has yet to read.
func (q *queue) holds(seq uint64) bool {
	return seq > q.head && seq <= q.skipped || slices.ContainsFunc(q.items, func(w parked) bool { return w.seq == seq })
}

// passed returns the time that is over by the broker's clock, for sure, when it
// is t by ours.
func (c clock) passed(t time.Time) time.Time {
	if !c.read.IsZero() {
		t = c.read.Round(0).Add(t.Sub(c.read))
	}
	return t.Add(c.least)
}
