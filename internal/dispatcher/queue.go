package dispatcher

import (
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A queue holds the next few requests of one lane and class. What feed or sweep
// offer beyond its bounds it drops: it has missed that, and the lane reads up to
// there from the stream itself when it may send again. So a blocked account costs
// a few kilobytes, however long its backlog is.
type queue struct {
	items []parked
	bytes int64

	taken   uint64 // every request up to here was handed out
	head    uint64 // every request up to here was handed out or is in items
	skipped uint64 // the newest request that is known of and was not in items
	missed  uint64 // the newest one that nobody will offer any more; at most skipped
	others  uint64 // the newest report or command that is known of

	chunk   int32     // how many requests the lane wanted to read from the stream last
	deep    bool      // it had as many
	reading bool      // that goes on
	lag     int32     // how often in a row the stream did not have what the feed has seen
	readAt  time.Time // when it was read last
	hungry  time.Time // nothing is in items, and a sweep is awaited until then; zero: it is not so
	space   *space    // that it shares with all other queues; nil when its partition is gone
}

const (
	queueItems = 64
	queueBytes = 4 * events.MaxBody

	// fewItems is what a queue may hold, and read at once, when the dispatcher has
	// no room for more.
	fewItems = 8

	// A read costs the broker about as much as a few hundred requests, however
	// many it brings. A lane that comes back for more within chunkSoon reads twice
	// as many each time, up to maxChunk; one that has work for much longer reads
	// half as many.
	chunkSoon = 250 * time.Millisecond
	maxChunk  = 1024
)

// nextChunk returns how many requests to read now.
func (q *queue) nextChunk(now time.Time) int {
	switch since := now.Sub(q.readAt); {
	case q.chunk == 0:
		q.chunk = queueItems
	case since < chunkSoon:
		q.chunk = min(2*q.chunk, maxChunk)
	case since > 4*chunkSoon:
		q.chunk = max(q.chunk/2, fewItems)
	}
	q.readAt = now
	if !q.space.left() {
		return min(int(q.chunk), fewItems)
	}
	return int(q.chunk)
}

// behind reports whether requests wait in the stream that are not in items.
func (q *queue) behind() bool { return q.skipped > q.head }

// alone reports whether the queue has missed something: nobody but the lane brings
// it the next request.
func (q *queue) alone() bool { return q.missed > q.head }

// mustRead reports whether nothing is in items, though something waits, and
// nobody reads it or is to bring it.
func (q *queue) mustRead(now time.Time) bool {
	return len(q.items) == 0 && q.behind() && !q.reading && !now.Before(q.hungry)
}

func (q *queue) idle() bool { return len(q.items) == 0 && !q.behind() }

func (q *queue) full() bool {
	return len(q.items) >= queueItems || q.bytes >= queueBytes || len(q.items) >= fewItems && !q.space.left()
}

// falls reports whether the queue would fall behind with m, which the feed has read.
func (q *queue) falls(m *broker.Stored) bool { return m.Seq > q.head && !q.behind() && q.full() }

// offer takes what the feed has read, or leaves it to a sweep that follows. The
// lane may have read it already.
func (q *queue) offer(m *broker.Stored, sweeping bool) {
	switch {
	case m.Seq <= q.head:
	case !q.behind() && !q.full():
		q.push(m)
	default:
		q.skip(m)
		if !sweeping {
			q.missed = q.skipped
		}
	}
}

// sweep takes what a sweep has read, and says what use there was for it. The sweep
// must have begun no later than behind head, or behind missed if that is further
// on.
func (q *queue) sweep(m *broker.Stored) use {
	switch {
	case m.Seq <= q.head:
		return hadIt
	case q.alone() || q.full():
		q.skip(m)
		q.missed = max(q.missed, m.Seq)
		return missedIt
	}
	q.push(m)
	return tookIt
}

// A use is what a queue makes of a request.
type use int

const (
	hadIt use = iota
	tookIt
	missedIt
)

// forsake says that nobody will bring what the queue is behind with.
func (q *queue) forsake() {
	if q.behind() {
		q.missed = q.skipped
	}
	q.fed()
}

// skip notes that m is in the stream.
func (q *queue) skip(m *broker.Stored) {
	q.skipped = max(q.skipped, m.Seq)
	q.note(m)
}

func (q *queue) push(m *broker.Stored) {
	w := q.space.hold(m)
	q.items = append(q.items, w)
	q.bytes += w.size()
	q.head = m.Seq
	q.note(m)
	q.fed()
}

// starve says that nothing is in items until a sweep, or the lane at the given
// time, brings it.
func (q *queue) starve(until time.Time) {
	if q.hungry.IsZero() {
		q.space.hunger(1)
	}
	q.hungry = until
}

func (q *queue) fed() {
	if !q.hungry.IsZero() {
		q.hungry = time.Time{}
		q.space.hunger(-1)
	}
}

// note notes what kind of request is known.
func (q *queue) note(m *broker.Stored) {
	if other(m.Subject) {
		q.others = max(q.others, m.Seq)
	}
}

// peek returns the oldest request in items, or nil.
func (q *queue) peek() *parked {
	if len(q.items) == 0 {
		return nil
	}
	return &q.items[0]
}

// take hands out the oldest request in items.
func (q *queue) take() *broker.Stored {
	w := q.items[0]
	q.items[0] = parked{}
	q.items = q.items[1:]
	q.bytes -= w.size()
	q.space.release(w.size(), q)
	if len(q.items) == 0 {
		q.items = nil // let the array go: most lanes are idle most of the time
	}
	q.taken = w.seq
	return w.stored()
}

// leaveSpace says that the queue takes no room any more: its partition is gone.
func (q *queue) leaveSpace() {
	for i := range q.items {
		q.space.release(q.items[i].size(), q)
	}
	q.fed()
	q.space = nil
}

// caughtUp says that the stream has nothing between head and skipped any more.
func (q *queue) caughtUp() {
	q.head = max(q.head, q.skipped)
	q.fed()
}

// known is the newest request that the queue has heard of.
func (q *queue) known() uint64 { return max(q.head, q.skipped) }
