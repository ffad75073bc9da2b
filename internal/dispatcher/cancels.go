package dispatcher

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// cancels reads the cancels of a partition, in order, and hands them to the lanes
// of their accounts. They stand in REQUESTS like every request, but go past the
// queues: a cancel needs no call, so it must not wait where calls wait.
type cancels struct {
	p    *partition
	wake chan struct{}
	room *semaphore.Weighted // of what was read and not answered, in bytes

	mu    sync.Mutex
	known uint64            // whatever stands before here has been handed to its lane, so cancels up to here may be read
	read  uint64            // cancels up to here were read
	heard uint64            // the newest cancel that is known of
	late  int               // how often in a row the stream did not have it
	open  map[uint64]uint64 // of these, those that were not answered: by sequence, how far RESULTS had come then

	past     map[uint64]bool // those that owners before us answered, as far as they have not been read
	pastUpTo uint64          // the last one of these
	results  uint64          // their answers stand after it
}

// maxCancels bounds the bytes of the cancels that a partition works at once: some
// ten thousand of usual size.
const maxCancels = 16 << 20

// newCancels returns the cancels after those that a checkpoint says are answered.
func newCancels(p *partition, ck *checkpoint) *cancels {
	c := &cancels{
		p: p, wake: make(chan struct{}, 1), room: semaphore.NewWeighted(maxCancels),
		read: ck.Feed, open: make(map[uint64]uint64), past: make(map[uint64]bool), results: ck.Results,
	}
	if ck.Cancels > 0 {
		c.read = ck.Cancels - 1
	}
	c.upTo(ck.Feed, 0)
	return c
}

// isCancel reports whether the subject is that of a stored cancel.
func isCancel(subject string) bool { return strings.HasSuffix(subject, "."+string(events.KindCancel)) }

// upTo says that cancels up to seq may be read, the newest of which is known.
func (c *cancels) upTo(seq, newest uint64) {
	c.mu.Lock()
	c.known, c.heard = max(c.known, seq), max(c.heard, newest)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// before says that an owner before us has answered the cancel at seq.
func (c *cancels) before(seq uint64) {
	if seq > c.read {
		c.past[seq] = true
		c.pastUpTo = max(c.pastUpTo, seq)
	}
}

// run reads until the partition takes no more.
func (c *cancels) run() {
	ctx := c.p.take
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		for {
			c.mu.Lock()
			from, to, heard := c.read+1, c.known, c.heard
			c.mu.Unlock()
			if from > to || ctx.Err() != nil {
				break
			}
			if err := c.readOn(ctx, from, to, heard); err != nil && ctx.Err() == nil {
				c.p.log.Warn("cancels not read, trying again", "error", err)
				sleep(ctx, time.Second)
			}
		}
	}
}

var errLate = errors.New("a cancel that the feed has seen is not there yet")

// cancelTries is how often a cancel is looked for that the feed has seen. Then it
// has left the stream.
const cancelTries = 10

var errEnough = errors.New("enough is read")

func (c *cancels) readOn(ctx context.Context, from, to, heard uint64) error {
	last := from - 1
	err := c.p.reader.Replay(ctx, broker.Requests, broker.CancelFilter(c.p.n), from, func(m *broker.Stored) error {
		if m.Seq > to {
			return errEnough
		}
		last = m.Seq
		return c.take(ctx, m)
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late++; last < heard && c.late < cancelTries {
		return errLate // who was asked does not have yet what the feed has seen
	}
	c.read, c.late = max(c.read, to), 0
	return nil
}

// take hands a cancel to its lane, unless an owner before us has answered it.
func (c *cancels) take(ctx context.Context, m *broker.Stored) error {
	at, err := locate(m.Subject)
	if err != nil {
		return err
	}
	if c.past[m.Seq] {
		delete(c.past, m.Seq)
		return nil
	}
	n := newCancel(m)
	if err := c.room.Acquire(ctx, n.size()); err != nil {
		return err
	}
	c.mu.Lock()
	c.read = m.Seq
	c.open[m.Seq] = c.p.d.lastResult.Load()
	c.mu.Unlock()
	c.p.lane(at.lane).cancel(n)
	return nil
}

// answered says that the answer to n is stored.
func (c *cancels) answered(n *cancel) {
	c.mu.Lock()
	delete(c.open, n.msg.Seq)
	c.mu.Unlock()
	c.room.Release(n.size())
}

// told reports whether the answer to the cancel at seq is stored. A request must
// not end as cancelled before: if we died in between, whoever works the cancel
// again would not find what it was about.
func (c *cancels) told(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, open := c.open[seq]
	return !open && (seq <= c.read || c.read >= c.known && seq <= c.p.fed.Load())
}

// mark notes in ck how far the cancels have come, and from where on results must
// be read to know which of the later ones are answered.
func (c *cancels) mark(ck *checkpoint) (answered uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.open) > 0:
		oldest := uint64(math.MaxUint64)
		for seq := range c.open {
			oldest = min(oldest, seq)
		}
		answered = oldest - 1
		ck.Results = min(ck.Results, c.open[oldest])
	case c.read < c.known:
		answered = c.read
	default:
		answered = max(c.read, ck.Feed)
	}
	if answered < c.pastUpTo {
		ck.Results = min(ck.Results, c.results)
	}
	if answered != ck.Feed {
		ck.Cancels = answered + 1
	}
	return answered
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
