package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Reasons of cancels and of what they take back; docs/reasons.md has an entry for
// each.
const (
	ReasonTakenBack = "taken_back"
	ReasonTooLate   = "too_late"
)

// Why a cancel comes too late.
const (
	lateCalled  = "a call of the request may have been carried out already"
	lateUnknown = "no such request waits: it has ended, or none was published before the cancel"
)

func endedLate(s events.State) string {
	if s == events.StateCancelled { // by a cancel before this one
		return ""
	}
	return fmt.Sprintf("the request has ended as %s", s)
}

// A search looks for what the cancels of a batch are about, in the order in which
// requests go: from the stream into the lane, from there to LATER and back. Where
// the lane stands is read once, so that nothing moves past it.
type search struct {
	l       *lane
	ctx     context.Context
	left    []*cancel // not found yet
	again   []*cancel
	backlog [3]backlog
	past    map[uint64]*past // of what waits in it, as owners before us left it

	mu      sync.Mutex
	decided []answer
}

// A backlog is what waits of a class: items, or what stands after a sequence.
type backlog struct {
	items []parked
	after uint64
	read  bool // from the stream
}

// decide answers c: taken back, unless late says why not.
func (s *search) decide(c *cancel, late string) {
	a := answer{c: c, state: events.StateDone, why: events.Why{Reason: ReasonTakenBack, Detail: "the request will not be called"}}
	if late != "" {
		a.state, a.why = events.StateFailed, events.Why{Class: string(channels.Permanent), Reason: ReasonTooLate, Detail: late}
	}
	s.mu.Lock()
	s.decided = append(s.decided, a)
	s.mu.Unlock()
}

// begun decides what the lane has begun. What is being executed may be called at
// any moment: its cancel waits until that is over.
func (s *search) begun() {
	l, wanted := s.l, s.wanted()
	done := make(map[*cancel]bool)
	moving, late := make(map[*cancel]bool), make(map[*cancel]bool)
	l.mu.Lock()
	for _, e := range l.open {
		for _, c := range wanted[keyOf(e.msg)] {
			if c.msg.Seq <= origin(e.msg) {
				continue
			}
			switch done[c] = true; {
			case e.executing || e.doubt: // or somebody may still tell that there was no call
				e.voidBy(c.msg.Seq)
				if !moving[c] {
					e.cancels = append(e.cancels, c)
				}
				moving[c] = true
			case !e.cancellable():
				late[c] = true
			default:
				e.voidBy(c.msg.Seq)
				c.entries = append(c.entries, e)
			}
		}
	}
	for c := range done {
		switch {
		case moving[c]: // it is worked again
			c.entries = nil
		case late[c]:
			s.decide(c, lateCalled)
		default:
			s.decide(c, "")
		}
	}
	for i := range l.queues {
		q := &l.queues[i]
		s.backlog[i] = backlog{after: q.taken, read: q.behind()}
		if !q.behind() {
			s.backlog[i].items = slices.Clone(q.items)
		}
	}
	s.past = l.p.past.bySeq()
	l.mu.Unlock()
	s.left = slices.DeleteFunc(s.left, func(c *cancel) bool { return done[c] })
}

// wanted returns the cancels that are left by what they are about.
func (s *search) wanted() map[requestKey][]*cancel {
	m := make(map[requestKey][]*cancel, len(s.left))
	for _, c := range s.left {
		m[c.target] = append(m[c.target], c)
	}
	return m
}

// waiting decides what waits in the stream: it has not been begun, so whoever
// begins it finds the void.
func (s *search) waiting(upTo uint64) {
	wanted, found := s.wanted(), make(map[*cancel]bool)
	for class, b := range s.backlog {
		see := func(m *broker.Stored) {
			if isCancel(m.Subject) {
				return
			}
			for _, c := range wanted[keyOf(m)] {
				if origin(m) >= c.msg.Seq || found[c] {
					continue
				}
				switch late, waits, err := s.fate(m, class); {
				case err != nil:
					found[c] = true
					s.again = append(s.again, c)
				case waits:
					found[c] = true
					s.decide(c, late)
				}
			}
		}
		if len(found) == len(s.left) {
			break
		}
		for i := range b.items {
			see(b.items[i].stored())
		}
		if !b.read {
			continue
		}
		if err := s.scan(class, b.after, upTo, func(m *broker.Stored) bool {
			see(m)
			return len(found) < len(s.left)
		}); err != nil {
			s.l.cancelFailed(err)
			s.again = append(s.again, slices.DeleteFunc(s.left, func(c *cancel) bool { return found[c] })...)
			s.left = nil
			return
		}
	}
	s.left = slices.DeleteFunc(s.left, func(c *cancel) bool { return found[c] })
}

// fate says why a request that this owner has not begun comes too late to be taken
// back: an owner before may have called it, or ended it. It reports false for one
// that does not wait here any more, but in LATER, and [errMoving] for one of which
// nobody knows yet whether it was called.
func (s *search) fate(m *broker.Stored, class int) (late string, waits bool, err error) {
	h := s.past[m.Seq]
	switch {
	case h == nil:
		return "", true, nil
	case h.ended() && h.Last.Planned:
		return "", false, nil
	case h.ended():
		return endedLate(h.Last.State), true, nil
	}
	e := newEntry(m, class)
	h.restore(e, 0, s.l.p.clock)
	switch {
	case e.doubt:
		return "", true, errMoving
	case !e.cancellable():
		return lateCalled, true, nil
	}
	return "", true, nil
}

// scan calls see for what the stream has of a class before upTo, until it returns
// false. After a scan the lane rests from scanning for twice as long as it took, or
// maxRest, while cancels gather: many of them cost few scans.
func (s *search) scan(class int, after, upTo uint64, see func(*broker.Stored) bool) error {
	l := s.l
	sleep(s.ctx, time.Until(l.scanAfter))
	begun := time.Now()
	defer func() { l.scanAfter = time.Now().Add(min(2*time.Since(begun), maxRest)) }()
	filter := broker.LaneFilter(l.p.n, l.key.provider, l.key.account, l.key.class(class))
	err := l.p.reader.Replay(s.ctx, broker.Requests, filter, after+1, func(m *broker.Stored) error {
		if m.Seq >= upTo || !see(m) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

const maxRest = 10 * time.Second
