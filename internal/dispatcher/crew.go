package dispatcher

import (
	"context"
	"sync"
)

// A crew executes the requests of all lanes, so many at once at most. Its
// goroutines are used again, the one that was busy last first: a call goes deep,
// and one that is new, or has rested through a collection of garbage, grows its
// stack, by copying it, several times.
type crew struct {
	slots chan struct{}
	over  <-chan struct{} // closed when nobody has a job any more

	mu   sync.Mutex
	idle []chan job // of those that rest, the one that was busy last at the end
}

// A job is one execution.
type job struct {
	l *lane
	e *entry
}

func newCrew(size int, over <-chan struct{}) *crew {
	return &crew{slots: make(chan struct{}, size), over: over}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.idle); n > 0 {
		c.idle[n-1] <- j // it has room for one
		c.idle = c.idle[:n-1]
		return
	}
	go c.work(j)
}

func (c *crew) work(j job) {
	jobs := make(chan job, 1)
	for {
		j.l.p.execute(j.l, j.e)
		c.mu.Lock()
		c.idle = append(c.idle, jobs)
		c.mu.Unlock()
		<-c.slots
		j.l.p.wg.Done()
		j = job{} // or it would be kept, too
		select {
		case j = <-jobs:
		case <-c.over:
			return
		}
	}
}
