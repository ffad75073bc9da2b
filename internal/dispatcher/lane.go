package dispatcher

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// laneKey names an account. The class is set only for requests of a class that
// does not exist: they have a lane of their own, in which all are refused.
type laneKey struct{ provider, account, oddClass string }

// class returns the token that the lane's subjects of class index c carry.
func (k laneKey) class(c int) events.Class {
	if k.oddClass != "" {
		return events.Class(k.oddClass)
	}
	return events.Classes[c]
}

// A lane works the requests of one account: it picks the next one when the
// account may be called, and has it executed. It has a goroutine only while it
// has work.
type lane struct {
	p   *partition
	key laneKey

	mu      sync.Mutex
	acct    *account          // nil: no such account is configured, every request is refused
	queues  [3]queue          // by class
	ready   [3][]*entry       // go on at once: next steps, and what a take-over brought
	waiting retries           // go on at their time
	voided  retries           // taken back, only waiting to be ended
	open    map[uint64]*entry // everything begun and not ended, by sequence
	begun   [3]int            // how many of these, by class
	quiet   *quietHours       // of the account, as the lane has heeded them
	fresh   [3]bool           // by class: a new request goes before those in ready, this time
	keys    keys              // who works and who waits for each order key
	places  []place           // in the account's group, not used yet
	asking  bool              // for more of them
	useful  float64           // how many of them at once are likely to be used
	refused int               // how often in a row there were none
	picked  int               // on the way to the limiter
	busy    int               // being executed
	calling int               // of these, those whose call has not been answered
	turn    int               // of normal and bulk
	running bool
	wake    chan struct{}
	dormant atomic.Bool // see partition.awake

	voids      voids
	cancels    []*cancel // to be worked
	cancelling bool
	scanAfter  time.Time // no backlog is searched before

	standing *standing     // as the last checkpoint had it; nil is works, and nothing to tell
	tells    *rate.Limiter // of what is told about it; nil while nothing was
}

const (
	// maxOpen bounds the requests of a class that a lane has begun, most of them
	// waiting for another try. At the bound it begins no more until some have
	// ended. What waits of one class takes no room from the others.
	maxOpen = 1024

	// maxRefusing bounds the refusals under way for an account that does not
	// exist.
	maxRefusing = 64

	// bulkTurn lets one bulk request pass for so many normal ones.
	bulkTurn = 4

	// lagWait is how long to wait for a replica that does not have yet what
	// the feed has seen; after lagTries it is gone, not late.
	lagWait  = 100 * time.Millisecond
	lagTries = 50
)

// newLane returns an idle lane whose requests up to seq have all ended.
func newLane(p *partition, key laneKey, acct *account, seq uint64) *lane {
	l := &lane{p: p, key: key, acct: acct, open: make(map[uint64]*entry), keys: make(keys), wake: make(chan struct{}, 1)}
	for i := range l.queues {
		l.queues[i] = queue{taken: seq, head: seq, skipped: seq, space: &p.space}
	}
	return l
}

// offer hands the lane a request that the feed has read.
func (l *lane) offer(class int, m *broker.Stored) {
	l.mu.Lock()
	l.queues[class].offer(m)
	l.startLocked()
	l.mu.Unlock()
	l.kick()
}

// skipTo tells the lane that it has requests up to seq which the feed will not
// bring, the last of which is a send or an other one.
func (l *lane) skipTo(class int, seq uint64, other bool) {
	l.mu.Lock()
	q := &l.queues[class]
	q.skipped = max(q.skipped, seq)
	if other {
		q.others = max(q.others, seq)
	}
	l.startLocked()
	l.mu.Unlock()
	l.kick()
}

// account returns the state of the lane's account, or nil.
func (l *lane) account() *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acct
}

// configure takes a changed configuration over; nil says that the account is
// configured no more.
func (l *lane) configure(k *known) {
	l.mu.Lock()
	switch {
	case k == nil:
		l.acct = nil
	case l.acct == nil:
		l.acct = newAccount(k, l.p.d.controls.of(l.key), l.p.log)
	default:
		l.acct.update(k)
	}
	l.mu.Unlock()
	l.kick()
}

// silence keeps the account from being called before the given time, as the
// owners before us were told.
func (l *lane) silence(until time.Time) {
	if acct := l.account(); acct != nil && until.After(time.Now()) {
		acct.limiter.Cooldown(until)
	}
}

// start sets a restored lane to work.
func (l *lane) start() {
	l.mu.Lock()
	l.startLocked()
	l.mu.Unlock()
	l.kick()
}

// startLocked makes sure that somebody works the lane.
func (l *lane) startLocked() {
	if l.running || l.p.take.Err() != nil {
		return
	}
	l.running = true
	l.p.wg.Go(l.run)
}

// kick tells the lane that something has changed.
func (l *lane) kick() {
	l.dormant.Store(false)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run works until nothing is left to do or the partition takes no more.
func (l *lane) run() {
	ctx := l.p.take
	lag := 0
	for ctx.Err() == nil {
		e, fetch, wait := l.next(time.Now())
		switch {
		case e != nil:
			// What cannot be told must not be called.
			if !l.p.d.results.jam.wait(ctx) || !l.p.d.crew.acquire(ctx) {
				l.putBack(e)
				return
			}
			l.p.d.crew.start(job{l, e})
		case fetch >= 0:
			if l.catchUp(ctx, fetch) {
				lag = 0
			} else if lag++; lag < lagTries {
				l.sleep(ctx, lagWait)
			} else {
				lag = 0
				l.giveUp(ctx, fetch)
			}
		case wait == idle:
			return
		default:
			l.sleep(ctx, wait)
		}
	}
}

// catchUp reads the next requests of a class from the stream. It reports false
// when the stream does not have yet what the feed has seen.
func (l *lane) catchUp(ctx context.Context, class int) bool {
	l.mu.Lock()
	q := &l.queues[class]
	w := wanted{ctx: ctx, from: q.head + 1, deep: q.deep}
	l.mu.Unlock()
	w.chunk = func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return q.nextChunk(time.Now())
	}
	w.filter = broker.LaneFilter(l.p.n, l.key.provider, l.key.account, l.key.class(class))
	got := l.p.d.readers.read(w)
	if err := got.err; err != nil {
		if ctx.Err() == nil {
			l.p.log.Warn("backlog not read, trying again", "provider", l.key.provider, "account", l.key.account, "error", err)
			l.sleep(ctx, lagWait)
		}
		return true // the broker is away, not late
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	q.deep = got.full
	for _, m := range got.msgs {
		if m.Seq > q.head {
			q.push(m)
		}
	}
	return len(got.msgs) > 0
}

// giveUp accepts that the rest of a class's backlog is gone from the stream,
// unless the stream's leader has it: the replicas that were asked are far behind
// then.
func (l *lane) giveUp(ctx context.Context, class int) {
	filter := broker.LaneFilter(l.p.n, l.key.provider, l.key.account, l.key.class(class))
	last, err := l.p.reader.Last(ctx, broker.Requests, filter)
	gone := errors.Is(err, jetstream.ErrMsgNotFound)
	if err != nil && !gone {
		return // the broker is away
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.queues[class]
	if !gone && last.Seq > q.head {
		return
	}
	l.p.log.Error("requests left the stream before they were read",
		"provider", l.key.provider, "account", l.key.account, "after_seq", q.head, "up_to_seq", q.skipped)
	q.caughtUp()
}

func (l *lane) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-t.C:
	}
}

// pickedUp says that an entry has passed the limiter, or needs it no more.
func (l *lane) pickedUp() {
	l.mu.Lock()
	l.picked--
	l.mu.Unlock()
	l.kick()
}

// answered says that the call of an entry is under way no more, though it is
// still being executed: its result has yet to be stored.
func (l *lane) answered(e *entry) {
	l.mu.Lock()
	l.answeredLocked(e)
	l.mu.Unlock()
	l.kick()
}

func (l *lane) answeredLocked(e *entry) {
	if e.calling {
		e.calling = false
		l.calling--
	}
}

// putBack returns an entry that was picked and not executed.
func (l *lane) putBack(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.picked--
	l.busy--
	l.answeredLocked(e)
	e.executing = false
	l.ready[e.class] = append([]*entry{e}, l.ready[e.class]...)
}

// settle ends the execution of e: for good, until its time, or with its next
// step.
func (l *lane) settle(e *entry, d decision, now time.Time) {
	l.mu.Lock()
	l.busy--
	l.answeredLocked(e)
	e.executing = false
	over := d.state != "" && (d.state.Final() || d.planned)
	switch {
	case l.settleVoidLocked(e, d, over, now):
	case d.state == "":
		l.ready[e.class] = append(l.ready[e.class], e)
	case !over:
		e.retryAt = now.Add(d.retryIn)
		l.waiting.add(e)
	default:
		delete(l.open, e.msg.Seq)
		l.begun[e.class]--
		if next := l.keys.leave(e); next != nil {
			l.waiting.add(next)
		}
	}
	e.noteMark()
	l.startLocked()
	l.mu.Unlock()
	l.kick()
}
