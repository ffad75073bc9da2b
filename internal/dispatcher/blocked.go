package dispatcher

import (
	"container/heap"
	"slices"
	"time"
)

// blockedLocked finds what is to be done while no call may start: read the
// oldest requests of a backlog, to know their age, and end those that would
// leave the stream unsent.
func (l *lane) blockedLocked(now time.Time, gate time.Duration) (*entry, int, time.Duration) {
	wait := gate
	for c := range l.queues {
		q := &l.queues[c]
		m := q.peek()
		if m == nil {
			if q.mustRead(now) && l.mayReadLocked() {
				return nil, c, 0
			}
			continue
		}
		left := m.time().Add(l.p.maxAge).Sub(now)
		if left <= 0 && l.begun[c] < maxOpen {
			if e := l.pickLocked(c, now); e != nil {
				e.aged = true
				return e, -1, 0
			}
		}
		wait = min(wait, max(left, time.Millisecond))
	}
	if gate > time.Second { // else the gate will open before it matters
		if e := l.agedLocked(now); e != nil {
			return e, -1, 0
		}
		_, due := l.doubtLocked(now)
		wait = min(wait, due)
		wait = min(wait, time.Minute)
	}
	return nil, -1, wait
}

// mayReadLocked reports whether the backlog may be read while no call may start.
// It is not while the breaker is open: each probe looks at the oldest requests
// anyway, and ends those that are too old. But what is in doubt may be in there.
func (l *lane) mayReadLocked() bool {
	return l.acct == nil || l.acct.breaker.closed() || l.p.past.doubts.Load() > 0
}

// doubtLocked picks a request whose doubt is due, or says when the next one will
// be. To say unknown takes no call, and must wait neither for its turn nor for as
// long as the gate may stay closed: the broker remembers for minutes only that somebody else has told
// a result.
func (l *lane) doubtLocked(now time.Time) (*entry, time.Duration) {
	due := forever
	if l.doubts == 0 {
		return nil, due
	}
	for i, e := range l.waiting {
		if !e.doubt {
			continue
		}
		if left := e.retryAt.Sub(now); left > 0 {
			due = min(due, left)
			continue
		}
		heap.Remove(&l.waiting, i)
		l.pickUpLocked(e)
		return e, 0
	}
	return nil, due
}

// beginDoubtsLocked begins what is in doubt, and what is before it in its queue:
// it must not wait in there until a call may start, see doubtLocked.
func (l *lane) beginDoubtsLocked() {
	for class := range l.queues {
		for range l.p.past.doubtful(l.queues[class].items) {
			if l.begun[class] == maxOpen {
				break
			}
			switch e := l.beginLocked(class); {
			case e == nil:
			case e.retryAt.IsZero():
				l.ready[class] = append(l.ready[class], e)
			default:
				l.waiting.add(e)
			}
		}
	}
}

// agedLocked picks a begun request that would leave the stream unsent, or nil.
func (l *lane) agedLocked(now time.Time) *entry {
	old := func(e *entry) bool { return now.Sub(e.msg.Time) >= l.p.maxAge }
	if i := slices.IndexFunc(l.waiting, old); i >= 0 {
		e := heap.Remove(&l.waiting, i).(*entry)
		e.aged = true
		l.pickUpLocked(e)
		return e
	}
	for c := range l.ready {
		if i := slices.IndexFunc(l.ready[c], old); i >= 0 {
			e := l.ready[c][i]
			l.ready[c] = slices.Delete(l.ready[c], i, i+1)
			e.aged = true
			l.pickUpLocked(e)
			return e
		}
	}
	return nil
}
