package dispatcher

import (
	"sync/atomic"

	"github.com/tramhq/tram/internal/broker"
)

// A space is what the queues of a dispatcher may hold together, roughly: thousands
// of accounts that each had a few kilobytes would be a lot of memory. A nil space
// has no end.
type space struct {
	most   int64 // bytes
	held   atomic.Int64
	hungry atomic.Int64          // queues that wait for a sweep
	awaits atomic.Pointer[queue] // has no room for what a sweep has; spaceItself if the space has none, nil if none waits
	wake   chan struct{}         // that sweep
}

const (
	maxHeld  = 12 << 20 // bytes
	heldEach = 2 << 10  // of a request beside its body: headers, for the most part
)

var spaceItself = new(queue)

func (r *space) take(m *broker.Stored) {
	if r != nil {
		r.held.Add(int64(len(m.Data)) + heldEach)
	}
}

// release says that q has handed m out.
func (r *space) release(m *broker.Stored, q *queue) {
	if r == nil {
		return
	}
	held := r.held.Add(-int64(len(m.Data)) - heldEach)
	// Half of it, so that a sweep is not woken for each request.
	if a := r.awaits.Load(); a == q && len(q.items) <= queueItems/2 || a == spaceItself && held <= r.most/2 {
		r.rouse()
	}
}

func (r *space) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *space) left() bool { return r == nil || r.held.Load() < r.most }

func (r *space) hunger(n int64) {
	if r != nil {
		r.hungry.Add(n)
	}
}
