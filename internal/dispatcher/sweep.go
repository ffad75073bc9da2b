package dispatcher

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
)

// A sweep follows the feed, and brings all lanes what that has jumped over, or what
// they had no room for: one reading for all of them. When each of thousands of lanes
// reads its own backlog, the broker walks over those of all others each time.
//
// It waits where a lane has no room, unless others hunger meanwhile: then what the
// lane has no room for, it reads itself some day. So it does when a sweep ends
// because it mostly brings what nobody can take: a burst for one account. Requests
// that are urgent wait for no sweep, and of the others a few need not.
type sweep struct {
	in       *intake
	entering []entrant // partitions that have come since; under in.mu

	parts map[int]*partition // that it brings something
	next  uint64             // everything before was brought
	lag   int                // how often in a row there was nothing

	pass           int // that may be brought whether there is room or not
	stalls         int // how often in a row there had to be a pass
	brought, taken int // lately, but for what was there already
	useless        int // requests in a row that nobody took
}

const (
	sweepFrom  = 2   // lanes in which something waits; one reads better alone
	sweepBatch = 512 // requests at once

	// sweepPatience is how long lanes may hunger while the sweep waits for room, and
	// sweepPass how many requests it then brings at first, whether there is room or not.
	sweepPatience = 100 * time.Millisecond
	sweepPass     = 32

	// sweepFar is how far a lane may be behind the others, in sequences, when a sweep
	// begins for all of them. That of a partition that comes goes back so far for each
	// of its lanes, and for so many of them. A sweep also ends when it has brought
	// nothing for so long.
	sweepFar  = 50_000
	sweepBack = 20

	// Of sweepLook requests, a sweep that goes on has brought one in sweepWaste to
	// somebody who had use for it.
	sweepLook  = 512
	sweepWaste = 8

	// hungerFor is how long a lane waits for a sweep until it tries to read beside
	// it, again and again. So many may, each second, and so much: where the backlogs
	// of thousands of lanes lie between each other, the broker takes a millisecond
	// for a request that is found in this way.
	hungerFor   = time.Second
	readsBeside = 20
	besideChunk = 4
)

func newReadsBeside() *rate.Limiter { return rate.NewLimiter(readsBeside, maxReads) }

var (
	errSwept   = errors.New("the sweep has come to where the feed is")
	errWaste   = errors.New("the sweep brings what nobody can take")
	errEntered = errors.New("there are other partitions to sweep for")
)

func (s *sweep) run() {
	in := s.in
	for in.ctx.Err() == nil {
		err := s.read()
		switch {
		case errors.Is(err, errSwept):
			return
		case errors.Is(err, errWaste):
			in.mu.Lock()
			in.forsakeLocked()
			in.mu.Unlock()
			return
		}
		if in.ctx.Err() == nil && !errors.Is(err, errEntered) {
			in.log.Debug("sweep interrupted, going on", "next_seq", s.next, "error", err)
			sleep(in.ctx, lagWait)
		}
	}
}

// read sweeps by one consumer until that fails, somebody enters, or the sweep is
// over. Of what it reads much may belong to other dispatchers: to have the broker
// leave that out would cost the broker more.
func (s *sweep) read() error {
	in := s.in
	filter := s.admit()
	series, err := in.reader.Series(in.ctx, broker.Requests, filter, s.next)
	if err != nil {
		return err
	}
	defer series.Close()
	for {
		if s.entered() {
			return errEntered
		}
		msgs, err := series.Next(in.ctx, sweepBatch)
		if err != nil {
			return err
		}
		if err := s.bring(msgs); err != nil {
			return err
		}
		if len(msgs) == sweepBatch {
			s.lag = 0
			continue
		}
		if s.reachesFeed() {
			return errSwept
		}
		if len(msgs) > 0 {
			s.lag = 0
			continue
		}
		if s.lag++; s.lag == lagTries { // what the feed has seen is gone, or far from this replica
			return errWaste
		}
		sleep(in.ctx, lagWait)
	}
}

// reachesFeed ends the sweep if it has brought all that the lanes were told of.
func (s *sweep) reachesFeed() bool {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(s.entering) > 0 || s.next <= max(in.fed, in.told) {
		return false
	}
	in.sweep = nil
	in.sweptLocked(false)
	return true
}

// bring hands requests to their lanes, partition by partition: what is picked together
// then has its intents stored together.
func (s *sweep) bring(msgs []*broker.Stored) error {
	next := s.next
	var ours []located
	for _, m := range msgs {
		next = m.Seq + 1
		s.useless++
		at, err := locate(m.Subject)
		if err == nil && !isCancel(m.Subject) && s.parts[at.partition] != nil { // the feed tells of cancels
			ours = append(ours, located{at, m})
		}
	}
	slices.SortStableFunc(ours, func(a, b located) int { return cmp.Compare(a.partition, b.partition) })
	for _, m := range ours {
		use, err := s.hand(m)
		if err != nil {
			return err
		}
		switch use {
		case tookIt:
			s.taken++
			s.brought++
			s.useless = 0
		case missedIt:
			s.brought++
		}
	}
	s.next = next
	if s.brought >= sweepLook {
		if s.taken*sweepWaste < s.brought {
			return errWaste
		}
		s.brought, s.taken = 0, 0
	}
	if s.useless >= sweepFar {
		return errWaste
	}
	return s.in.ctx.Err()
}

// A located request is one with where it belongs.
type located struct {
	address
	*broker.Stored
}

// hand waits for room for m, and hands it on.
func (s *sweep) hand(m located) (use, error) {
	p := s.parts[m.partition]
	for p.take.Err() == nil {
		l := p.lane(m.lane)
		if err := s.await(l, m.class, m.Stored); err != nil {
			return hadIt, err
		}
		if use, there := l.sweep(m.class, m.Stored); there {
			return use, nil
		}
	}
	return hadIt, nil
}

// await waits for room for m, or until somebody has hungered for too long. From
// one such time to the next twice as much passes, for lanes that cannot call may
// hold all the room there is.
func (s *sweep) await(l *lane, class int, m *broker.Stored) error {
	space := &s.in.space
	if s.pass > 0 && space.hungry.Load() > 0 {
		s.pass--
		return nil
	}
	s.pass = 0
	if l.awaited(class, m) == nil {
		return nil
	}
	defer space.awaits.Store(nil)
	look := time.NewTicker(sweepPatience)
	defer look.Stop()
	for {
		a := l.awaited(class, m)
		space.awaits.Store(a)
		switch {
		case a == nil || l.awaited(class, m) == nil: // just before it was known to wait
			s.stalls = 0
			return nil
		case s.entered():
			return errEntered
		}
		select {
		case <-space.wake:
		case <-look.C:
			// A crew that has its hands full could do no more for them.
			if space.hungry.Load() > 0 && (a != spaceItself || !s.in.crew.full()) {
				s.pass = sweepPass << min(s.stalls, 6)
				s.stalls++
				return nil
			}
		case <-l.p.take.Done():
			return nil
		case <-s.in.ctx.Done():
			return s.in.ctx.Err()
		}
	}
}
