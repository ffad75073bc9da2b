package dispatcher

import (
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// A queue holds the next few requests of one lane and class. What the feed
// offers beyond its bounds it drops: the queue is then behind, and the lane
// reads the rest from the stream itself when it may send again. So a blocked
// account costs a few kilobytes, however long its backlog is.
type queue struct {
	items []*broker.Stored
	bytes int

	taken   uint64 // every request up to here was handed out
	head    uint64 // every request up to here was handed out or is in items
	skipped uint64 // the newest request the feed had no room for
	others  uint64 // the newest report or command that is known of

	chunk   int       // how many requests the lane wanted to read from the stream last
	deep    bool      // it had as many
	readAt  time.Time // when that was
	reading bool      // that goes on
	lag     int       // how often in a row the stream did not have what the feed has seen
	space   *space    // that it shares with the other queues of the partition
}

const (
	queueItems = 64
	queueBytes = 256 << 10

	// fewItems is what a queue may hold, and read at once, when the partition has
	// no room for more.
	fewItems = 16

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
		return min(q.chunk, fewItems)
	}
	return q.chunk
}

// A space is what the queues of a partition may hold together, roughly: thousands
// of accounts that each had a few kilobytes would be a lot of memory. A nil space
// has no end.
type space struct{ held atomic.Int64 }

const (
	maxHeld  = 256 << 10 // bytes
	heldEach = 1 << 10   // of a request beside its body: headers, for the most part
)

func (r *space) take(m *broker.Stored) {
	if r != nil {
		r.held.Add(int64(len(m.Data)) + heldEach)
	}
}

func (r *space) release(m *broker.Stored) {
	if r != nil {
		r.held.Add(-int64(len(m.Data)) - heldEach)
	}
}

func (r *space) left() bool { return r == nil || r.held.Load() < maxHeld }

// behind reports whether requests wait in the stream that are not in items.
func (q *queue) behind() bool { return q.skipped > q.head }

// mustRead reports whether nothing is in items, though something waits, and
// nobody reads it yet.
func (q *queue) mustRead() bool { return len(q.items) == 0 && q.behind() && !q.reading }

func (q *queue) idle() bool { return len(q.items) == 0 && !q.behind() }

func (q *queue) full() bool {
	return len(q.items) >= queueItems || q.bytes >= queueBytes || len(q.items) >= fewItems && !q.space.left()
}

// offer takes what the feed has read. The lane may have read it already.
func (q *queue) offer(m *broker.Stored) {
	switch {
	case m.Seq <= q.head:
	case q.behind() || q.full():
		q.skipped = max(q.skipped, m.Seq)
		q.note(m)
	default:
		q.push(m)
	}
}

func (q *queue) push(m *broker.Stored) {
	q.items = append(q.items, m)
	q.bytes += len(m.Data)
	q.space.take(m)
	q.head = m.Seq
	q.note(m)
}

// note notes what kind of request is known.
func (q *queue) note(m *broker.Stored) {
	if other(m.Subject) {
		q.others = max(q.others, m.Seq)
	}
}

// peek returns the oldest request in items, or nil.
func (q *queue) peek() *broker.Stored {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// take hands out the oldest request in items.
func (q *queue) take() *broker.Stored {
	m := q.items[0]
	q.items[0] = nil
	q.items = q.items[1:]
	q.bytes -= len(m.Data)
	q.space.release(m)
	if len(q.items) == 0 {
		q.items = nil // let the array go: most lanes are idle most of the time
	}
	q.taken = m.Seq
	return m
}

// caughtUp says that the stream has nothing between head and skipped any more.
func (q *queue) caughtUp() { q.head = max(q.head, q.skipped) }

// known is the newest request that the queue has heard of.
func (q *queue) known() uint64 { return max(q.head, q.skipped) }
