package dispatcher

import "sync"

// A crew works the lanes. Those that may have something to do stand in line; a
// worker takes the one that has stood there longest, picks one of its requests and
// executes it. So a lane that waits costs nothing, and nobody is woken between
// the look at a lane and the work that was found there.
//
// There is a place for so many calls. A worker needs one to begin, and gives it
// back when its call is answered: to store what it came to takes none.
//
// Workers are used again, the one that was busy last first: a call goes deep, and
// a goroutine that is new, or has rested through a collection of garbage, grows its
// stack, by copying it, several times.
type crew struct {
	places int
	over   <-chan struct{} // closed when nobody has anything to do any more

	mu      sync.Mutex
	line    []*lane
	first   int // of line: those before it were taken
	taken   int // of the places
	held    int // by so many, until they resume
	workers int
	seeking int             // workers that were woken, and have not looked at the line yet
	idle    []chan struct{} // of workers that rest, the one that was busy last at the end
}

func newCrew(places int, over <-chan struct{}) *crew { return &crew{places: places, over: over} }

// perPlace bounds the workers: those that store results must not become ever more
// when that takes long.
const perPlace = 2

// look puts a lane into the line, where it must not be already.
func (c *crew) look(l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = append(c.line, l)
	c.rouseLocked()
}

// vacate gives a place back.
func (c *crew) vacate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
	c.rouseLocked()
}

// hold keeps the crew from beginning anything more until resume.
func (c *crew) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held++
}

func (c *crew) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held--
	c.rouseLocked()
}

// inUse returns how many places are taken.
func (c *crew) inUse() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

// full reports whether lanes stand in line that find no place.
func (c *crew) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first < len(c.line) && c.taken >= c.places
}

// rouseLocked wakes one worker, or hires it, if there is something to do and
// nobody on the way to it. That one wakes the next.
func (c *crew) rouseLocked() {
	if c.seeking > 0 || !c.openLocked() {
		return
	}
	switch n := len(c.idle); {
	case n > 0:
		c.idle[n-1] <- struct{}{} // it has room for one
		c.idle = c.idle[:n-1]
	case c.workers < perPlace*c.places:
		c.workers++
		go c.work()
	default:
		return // the first that is done with its result goes on
	}
	c.seeking++
}

// openLocked reports whether a worker has something to do.
func (c *crew) openLocked() bool { return c.first < len(c.line) && c.taken < c.places && c.held == 0 }

// nextLocked takes the first lane from the line, which moves up when half of it was
// taken: so it stays in its place.
func (c *crew) nextLocked() *lane {
	l := c.line[c.first]
	if c.first++; 2*c.first >= len(c.line) {
		n := copy(c.line, c.line[c.first:])
		clear(c.line[n:])
		c.line, c.first = c.line[:n], 0
	}
	return l
}

func (c *crew) work() {
	wake := make(chan struct{}, 1)
	for woken := true; ; {
		l := c.take(woken, wake)
		if woken = l == nil; !woken {
			l.step()
			continue
		}
		select {
		case <-wake:
		case <-c.over:
			return
		}
	}
}

// take takes a lane from the line, and a place. Without one it returns nil, and the
// worker is to be woken.
func (c *crew) take(woken bool, wake chan struct{}) *lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	if woken {
		c.seeking--
	}
	if !c.openLocked() {
		c.idle = append(c.idle, wake)
		return nil
	}
	l := c.nextLocked()
	c.taken++
	c.rouseLocked()
	return l
}
