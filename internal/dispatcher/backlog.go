package dispatcher

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

const (
	// lagWait is how long to wait for a replica that does not have yet what
	// the feed has seen; after lagTries it is gone, not late.
	lagWait  = 100 * time.Millisecond
	lagTries = 50
)

// readLocked has the next requests of a class read from the stream, unless a sweep
// is to bring them. It waits for nothing: what is ready goes on meanwhile.
func (l *lane) readLocked(class int, now time.Time) {
	q := &l.queues[class]
	beside := !q.alone() && l.p.swept.Load()
	if beside && events.Classes[class] != events.Urgent && !l.p.d.readers.beside.Allow() {
		q.starve(now.Add(hungerFor))
		return
	}
	q.reading = true
	l.p.d.readers.want(wanted{
		ctx: l.p.take, filter: broker.LaneFilter(l.p.n, l.key.provider, l.key.account, l.key.class(class)),
		plan: func() (uint64, int, bool) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if beside {
				return q.head + 1, besideChunk, false
			}
			return q.head + 1, q.nextChunk(time.Now()), q.deep
		},
		done: func(b batch) { l.wasRead(class, b) },
	})
}

// hungerLocked is how long it takes until a queue that waits for a sweep may be read.
func (l *lane) hungerLocked(now time.Time) time.Duration {
	wait := forever
	for i := range l.queues {
		if hungry := l.queues[i].hungry; hungry.After(now) {
			wait = min(wait, hungry.Sub(now))
		}
	}
	return wait
}

// wasRead takes in what was read.
func (l *lane) wasRead(class int, b batch) {
	switch {
	case l.p.take.Err() != nil:
	case b.err != nil: // the broker is away
		l.p.log.Warn("backlog not read, trying again", "provider", l.key.provider, "account", l.key.account, "error", b.err)
		l.readAgainIn(class, lagWait)
	case len(b.msgs) > 0 || !l.lags(class):
		l.take(class, b)
	default:
		l.readAgainIn(class, lagWait)
	}
}

// take takes the requests of b into their queue.
func (l *lane) take(class int, b batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.queues[class]
	q.deep, q.lag, q.reading = b.full, 0, false
	q.fed()
	for _, m := range b.msgs {
		if m.Seq > q.head {
			q.push(m)
		}
	}
	l.stirLocked()
}

func (l *lane) readAgainIn(class int, wait time.Duration) {
	time.AfterFunc(wait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.queues[class].reading = false
		l.stirLocked()
	})
}

// lags reports whether the stream is late with what the feed has seen. When it has
// been asked often enough, the rest of the backlog is gone, unless the stream's
// leader has it: the replicas that were asked are far behind then.
func (l *lane) lags(class int) bool {
	l.mu.Lock()
	q := &l.queues[class]
	behind := q.behind() // a sweep may have brought the rest meanwhile
	q.lag++
	tries := q.lag
	l.mu.Unlock()
	if !behind || tries < lagTries {
		return behind
	}
	ctx, cancel := context.WithTimeout(l.p.take, time.Second)
	defer cancel()
	last, err := l.p.reader.Last(ctx, broker.Requests, broker.LaneFilter(l.p.n, l.key.provider, l.key.account, l.key.class(class)))
	gone := errors.Is(err, jetstream.ErrMsgNotFound)
	if err != nil && !gone {
		return true // the broker is away
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !gone && last.Seq > q.head {
		return true
	}
	l.p.log.Error("requests left the stream before they were read",
		"provider", l.key.provider, "account", l.key.account, "after_seq", q.head, "up_to_seq", q.skipped)
	q.caughtUp()
	return false
}

// sweep hands the lane a request that a sweep has read. It says what use there was
// for it, and false for there if the lane is gone.
func (l *lane) sweep(class int, m *broker.Stored) (u use, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return hadIt, false
	}
	u = l.queues[class].sweep(m)
	l.stirLocked()
	return u, true
}

// awaited returns what has no room for m that will have some: the queue that m is
// for, or [spaceItself]. nil is nothing: m may come.
func (l *lane) awaited(class int, m *broker.Stored) *queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.queues[class]
	switch {
	case m.Seq <= q.head || q.alone():
		return nil
	case !q.space.left():
		return spaceItself
	case q.full():
		return q
	}
	return nil
}

// falls reports whether the lane would fall behind with m, which the feed has read.
func (l *lane) falls(class int, m *broker.Stored) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queues[class].falls(m)
}

// waits reports whether any request waits in the lane.
func (l *lane) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.queues[:], func(q queue) bool { return !q.idle() })
}

// leaveSpace says that the lane's partition is gone.
func (l *lane) leaveSpace() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queues {
		l.queues[i].leaveSpace()
	}
}

// A gap is what a queue is behind with: something behind from, and up to upTo.
type gap struct{ from, upTo uint64 }

// behind returns the gaps of the lane's queues.
func (l *lane) behind() (gaps []gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queues {
		if q := &l.queues[i]; q.behind() {
			gaps = append(gaps, gap{q.head, q.skipped})
		}
	}
	return gaps
}

// nothingUpTo says that the stream has nothing new up to seq. The lane has not begun
// yet: what it has not handed out, it is behind with.
func (l *lane) nothingUpTo(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queues {
		if q := &l.queues[i]; !q.behind() {
			q.head = max(q.head, seq)
			q.taken = q.head // or the next owner looks for what is between
		}
	}
}

// missUpTo says that what comes up to seq has to be read by the lane itself.
func (l *lane) missUpTo(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queues {
		if q := &l.queues[i]; q.behind() && q.head < seq {
			q.missed = min(q.skipped, seq)
		}
	}
}

// forsake says that no sweep brings what the lane is behind with.
func (l *lane) forsake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queues {
		l.queues[i].forsake()
	}
	l.stirLocked()
}
