package dispatcher

import (
	"context"
	"sync/atomic"
)

// A crew executes the requests of all lanes, so many at once at most. Its
// goroutines are used again: a call goes deep, and a new goroutine would grow its
// stack, by copying it, several times for each.
type crew struct {
	slots chan struct{}
	jobs  chan job
	idle  atomic.Int32
	over  <-chan struct{} // closed when nobody has a job any more
}

// A job is one execution.
type job struct {
	l *lane
	e *entry
}

// maxIdle bounds the goroutines that are kept for the next job.
const maxIdle = 64

func newCrew(size int, over <-chan struct{}) *crew {
	return &crew{slots: make(chan struct{}, size), jobs: make(chan job), over: over}
}

// acquire waits for room for one more job. It reports false when ctx is done.
func (c *crew) acquire(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// start does j, for which there must be room.
func (c *crew) start(j job) {
	j.l.p.wg.Add(1)
	select {
	case c.jobs <- j:
	default:
		go c.work(j)
	}
}

func (c *crew) work(j job) {
	for {
		j.l.p.execute(j.l, j.e)
		<-c.slots
		j.l.p.wg.Done()
		j = job{} // or it would be kept, too
		if c.idle.Add(1) > maxIdle {
			c.idle.Add(-1)
			return
		}
		select {
		case j = <-c.jobs:
			c.idle.Add(-1)
		case <-c.over:
			return
		}
	}
}
