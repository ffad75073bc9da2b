package dispatcher

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
)

// A sweep follows the feed, and brings all lanes what that has jumped over, or what
// they had no room for: one reading for the partition. When each of thousands of lanes reads its own
// backlog, the broker walks over those of all others each time.
//
// It waits where a lane has no room, unless others hunger meanwhile: then what the
// lane has no room for, it reads itself some day. So it does when a sweep ends
// because it mostly brings what nobody can take: a burst for one account. Requests
// that are urgent wait for no sweep, and of the others a few need not.
type sweep struct {
	p    *partition
	next uint64 // everything before was brought
	lag  int    // how often in a row there was nothing

	pass           int // that may be brought whether there is room or not
	stalls         int // how often in a row there had to be a pass
	brought, taken int // lately, but for what was there already
}

const (
	sweepFrom  = 2  // lanes in which something waits; one reads better alone
	sweepBatch = 32 // requests at once

	// sweepPatience is how long lanes may hunger while the sweep waits for room.
	sweepPatience = 100 * time.Millisecond

	// sweepFar is how far a lane may be behind the others, in sequences, when a sweep
	// begins for all of them.
	sweepFar = 50_000

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
	errSwept = errors.New("the sweep has come to where the feed is")
	errWaste = errors.New("the sweep brings what nobody can take")
)

// sweepLocked has a sweep begin behind a sequence, if there are enough lanes in which
// something waits; p.routing must be held. They have missed nothing since.
func (p *partition) sweepLocked(after uint64) {
	busy := 0
	for _, l := range p.all() {
		if l.waits() {
			busy++
		}
	}
	if busy < sweepFrom {
		p.forsake()
		return
	}
	p.sweeping.Store(true)
	s := &sweep{p: p, next: after + 1}
	p.wg.Go(s.run)
}

// resumeSweep has a sweep begin for the lanes that are behind when the partition is
// taken over. Those that are far behind the others read alone.
func (p *partition) resumeSweep() {
	p.routing.Lock()
	defer p.routing.Unlock()
	var heads []uint64
	for _, l := range p.all() {
		for _, b := range l.behind() {
			heads, p.told = append(heads, b.from), max(p.told, b.upTo)
		}
	}
	if len(heads) == 0 {
		return
	}
	slices.Sort(heads)
	median := heads[len(heads)/2]
	first := heads[slices.IndexFunc(heads, func(head uint64) bool { return head+sweepFar >= median })]
	for _, l := range p.all() {
		l.missUpTo(first)
	}
	p.sweepLocked(first)
}

// forsake has every lane read alone what it is behind with.
func (p *partition) forsake() {
	p.sweeping.Store(false)
	for _, l := range p.all() {
		l.forsake()
	}
}

func (s *sweep) run() {
	p, ctx := s.p, s.p.take
	for ctx.Err() == nil {
		err := s.read()
		switch {
		case errors.Is(err, errSwept):
			return
		case errors.Is(err, errWaste):
			p.routing.Lock()
			p.forsake()
			p.routing.Unlock()
			return
		}
		if ctx.Err() == nil {
			p.log.Debug("sweep interrupted, going on", "next_seq", s.next, "error", err)
			sleep(ctx, lagWait)
		}
	}
}

// read sweeps by one consumer until that fails, or the sweep is over.
func (s *sweep) read() error {
	p, ctx := s.p, s.p.take
	series, err := p.reader.Series(ctx, broker.Requests, broker.PartitionFilter(p.n), s.next)
	if err != nil {
		return err
	}
	defer series.Close()
	for {
		msgs, err := series.Next(ctx, sweepBatch)
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if err := s.bring(m); err != nil {
				return err
			}
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
		sleep(ctx, lagWait)
	}
}

// reachesFeed ends the sweep if it has brought all that the lanes were told of.
func (s *sweep) reachesFeed() bool {
	p := s.p
	p.routing.Lock()
	defer p.routing.Unlock()
	if s.next <= max(p.fed.Load(), p.told) {
		return false
	}
	p.sweeping.Store(false)
	return true
}

// bring hands m to its lane.
func (s *sweep) bring(m *broker.Stored) error {
	s.next = m.Seq + 1
	key, class, err := locate(m.Subject)
	if err != nil || isCancel(m.Subject) { // the feed tells of both
		return nil
	}
	for {
		l := s.p.lane(key)
		s.await(l, class, m)
		use, there := l.sweep(class, m)
		if !there {
			continue
		}
		switch use {
		case tookIt:
			s.taken++
			s.brought++
		case missedIt:
			s.brought++
		}
		break
	}
	if s.brought == sweepLook {
		if s.taken*sweepWaste < s.brought {
			return errWaste
		}
		s.brought, s.taken = 0, 0
	}
	return s.p.take.Err()
}

// await waits for room for m, or until somebody has hungered for too long. From
// one such time to the next twice as much passes, for lanes that cannot call may
// hold all the room there is.
func (s *sweep) await(l *lane, class int, m *broker.Stored) {
	space := &s.p.space
	if s.pass > 0 && space.hungry.Load() > 0 {
		s.pass--
		return
	}
	s.pass = 0
	if l.awaited(class, m) == nil {
		return
	}
	defer space.awaits.Store(nil)
	look := time.NewTicker(sweepPatience)
	defer look.Stop()
	for {
		a := l.awaited(class, m)
		space.awaits.Store(a)
		if a == nil || l.awaited(class, m) == nil { // just before it was known to wait
			s.stalls = 0
			return
		}
		select {
		case <-space.wake:
		case <-look.C:
			// A crew that has its hands full could do no more for them.
			if space.hungry.Load() > 0 && (a != spaceItself || !s.p.d.crew.full()) {
				s.pass = sweepBatch << min(s.stalls, 6)
				s.stalls++
				return
			}
		case <-s.p.take.Done():
			return
		}
	}
}
