package dispatcher

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// An intake brings the requests of all partitions that a dispatcher owns to their
// lanes: one feed reads the newest for all of them, and a [sweep] what that jumps
// over, or what there was no room for. If each partition had its own, the broker
// would pass each request by all of them.
type intake struct {
	log     *slog.Logger
	reader  *broker.Reader
	feed    *broker.Feed
	crew    *crew
	all     int    // partitions that there are
	jumpLag uint64 // requests that the feed may lag behind before it jumps
	jumping atomic.Bool
	space   space

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex // what the feed brings, its jumps, sweeps as they begin and end, partitions as they come and go
	parts map[int]*partition
	fed   uint64 // every request of parts up to here was handed on, but for those that a jump has told of
	told  uint64 // the newest request that lanes know of though the feed has not come to it
	sweep *sweep // nil: none is under way
	trim  *time.Timer
}

const (
	// jumpLag is how many requests the feed reads in about the time that a jump takes.
	jumpLag = 1000

	// trimAfter is how long the feed still brings what belongs to a partition that is
	// gone: others are about to go as well, or to come.
	trimAfter = time.Second
)

func newIntake(d *Dispatcher) *intake {
	in := &intake{log: d.log, reader: d.reader, crew: d.crew, all: d.cfg.Partitions, jumpLag: jumpLag, parts: make(map[int]*partition)}
	in.ctx, in.stop = context.WithCancel(context.Background())
	in.space.most, in.space.wake = maxHeld, make(chan struct{}, 1)
	in.feed = broker.NewFeed(d.cfg.JS, broker.Requests, "", 1, in.route)
	in.feed.Log = d.log
	return in
}

// run brings requests until the intake is closed.
func (in *intake) run() {
	in.wg.Go(func() {
		in.feed.Run(in.ctx) //nolint:errcheck // ends with the context, and with nothing else
	})
}

func (in *intake) close() {
	in.stop()
	in.wg.Wait()
}

// join brings p its requests from now on. Its lanes stand where their last
// checkpoint has them, and learn what has come since. A replica that is far behind
// does not know of what the owner before has worked: that is not worked again.
func (in *intake) join(p *partition, n newest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n.upTo = max(n.upTo, p.fed.Load())
	p.learn(n)
	p.fed.Store(n.upTo)
	if in.fed > n.upTo || len(in.parts) == 0 {
		in.fed = n.upTo
	}
	in.parts[p.n] = p
	e := p.entrant()
	in.told = max(in.told, e.known)
	if in.sweep != nil {
		p.swept.Store(true)
		in.sweep.entering = append(in.sweep.entering, e)
		in.space.rouse()
	} else if e.lanes > 0 {
		in.sweepLocked(min(e.from, in.fed))
	}
	in.refilterLocked()
}

// leave brings p no more.
func (in *intake) leave(p *partition) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.parts[p.n] != p {
		return
	}
	delete(in.parts, p.n)
	for _, l := range p.all() {
		l.leaveSpace()
	}
	in.space.rouse()
	if in.trim == nil {
		in.trim = time.AfterFunc(trimAfter, func() {
			in.mu.Lock()
			defer in.mu.Unlock()
			in.refilterLocked()
		})
	}
	in.trim.Reset(trimAfter)
}

// refilterLocked has the feed read what belongs to the partitions that there are.
func (in *intake) refilterLocked() {
	filters := in.filtersLocked()
	if len(in.parts) == in.all {
		filters = []string{broker.AllRequests}
	}
	in.feed.Refilter(filters, in.fed+1)
}

func (in *intake) filtersLocked() (filters []string) {
	for n := range in.parts {
		filters = append(filters, broker.PartitionFilter(n))
	}
	return filters
}

// route hands a request to its lane.
func (in *intake) route(m *broker.Stored, pending uint64) {
	at, err := locate(m.Subject)
	if err != nil {
		if !stray(m.Subject) { // the stream's own transform wrote it
			in.log.Error("request on a strange subject", "seq", m.Seq, "error", err)
		}
		return
	}
	in.hand(at, m)
	if pending > in.jumpLag && in.jumping.CompareAndSwap(false, true) {
		in.wg.Go(in.jump)
	}
}

// hand hands m on. When several lanes have more than they have room for, a sweep
// follows the feed.
func (in *intake) hand(at address, m *broker.Stored) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.feed.Next() != m.Seq+1 { // it has jumped since: m comes again, or is told of
		return
	}
	defer func() { in.fed = m.Seq }()
	p := in.parts[at.partition]
	if p == nil || m.Seq <= p.fed.Load() {
		return
	}
	defer p.fed.Store(m.Seq)
	if isCancel(m.Subject) {
		p.cancels.upTo(m.Seq, m.Seq)
		return
	}
	for there := false; !there; {
		l := p.lane(at.lane)
		if in.sweep == nil && l.falls(at.class, m) {
			in.sweepLocked(m.Seq - 1)
		}
		there = l.offer(at.class, m, in.sweep != nil)
	}
}

// sweepLocked has a sweep begin behind a sequence, if there are enough lanes in which
// something waits. They have missed nothing since.
func (in *intake) sweepLocked(after uint64) {
	busy := 0
	for _, l := range in.lanes() {
		if l.waits() {
			busy++
		}
	}
	if busy < sweepFrom {
		in.forsakeLocked()
		return
	}
	s := &sweep{in: in, next: after + 1}
	in.sweep = s
	in.sweptLocked(true)
	in.wg.Go(s.run)
}

// forsakeLocked has every lane read alone what it is behind with.
func (in *intake) forsakeLocked() {
	in.sweep = nil
	in.sweptLocked(false)
	for _, l := range in.lanes() {
		l.forsake()
	}
}

func (in *intake) sweptLocked(yes bool) {
	for _, p := range in.parts {
		p.swept.Store(yes)
	}
}

// lanes returns those of all partitions; in.mu must be held.
func (in *intake) lanes() (all []*lane) {
	for _, p := range in.parts {
		all = append(all, p.all()...)
	}
	return all
}
