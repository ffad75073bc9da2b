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
	maxHeld = 2 << 20 // bytes

	// packFrom is how much is held when requests begin to be packed. That costs more
	// than a microsecond for each.
	packFrom = maxHeld / 4
)

var spaceItself = new(queue)

// hold makes m wait in a queue.
func (r *space) hold(m *broker.Stored) parked {
	w := parked{seq: m.Seq, at: m.Time.UnixNano(), msg: m}
	if r == nil {
		return w
	}
	if r.held.Load() > packFrom {
		w.msg, w.packed = nil, pack(m)
	}
	r.held.Add(w.size())
	return w
}

// release says that q has handed out a request of that size.
func (r *space) release(size int64, q *queue) {
	if r == nil {
		return
	}
	held := r.held.Add(-size)
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
