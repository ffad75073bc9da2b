package dispatcher

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// A void is the record in LATER that requests of a name are taken back: those
// before the cancel that wrote it. It is what outlives this process. Only the
// lanes of accounts that have had a cancel look for one.
const (
	voidHeader = "Tram-Void" // sequence of the cancel

	// voidUpToHeader has a sequence before which requests may have a void.
	// Dispatchers up to November 2026 believe the newest one; it is written for
	// them, while an update rolls.
	voidUpToHeader = "Tram-Void-Up-To"
)

// voids is what a lane knows about its voids.
type voids struct {
	upTo uint64 // no request from here on has one
	past uint64 // requests before may have one of an owner before us, if the lane has any; 0 when that is known
}

// raiseVoids says that requests before upTo may have a void from now on.
func (l *lane) raiseVoids(upTo uint64) {
	l.mu.Lock()
	l.voids.upTo = max(l.voids.upTo, upTo)
	l.mu.Unlock()
}

// storeVoids returns when all cancels have their voids. One that is there stays,
// if it says as much.
func (l *lane) storeVoids(ctx context.Context, all []*cancel) error {
	l.mu.Lock()
	upTo := strconv.FormatUint(max(l.voids.upTo, l.voids.past), 10)
	l.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(answerAtOnce)
	for _, c := range all {
		g.Go(func() error {
			subject := broker.VoidSubject(l.p.n, l.key.provider, l.key.account, c.name)
			for last := uint64(0); ; {
				m := nats.NewMsg(subject)
				m.Header.Set(voidHeader, strconv.FormatUint(c.msg.Seq, 10))
				m.Header.Set(voidUpToHeader, upTo)
				err := l.p.storeLater(ctx, m, last, subject)
				if !broker.IsWrongSequence(err) {
					return err
				}
				there, err := l.p.reader.Last(ctx, broker.Later, subject)
				if err != nil {
					return err
				}
				if voidedBy(there) >= c.msg.Seq {
					return nil
				}
				last = there.Seq
			}
		})
	}
	return g.Wait()
}

// voidedBy returns the sequence of the cancel that wrote a void.
func voidedBy(void *broker.Stored) uint64 {
	n, _ := strconv.ParseUint(void.Header.Get(voidHeader), 10, 64)
	return n
}

// pastVoids returns before which sequence requests may have a void of an owner
// before us: those that were stored by now. 0 says that there is none. No void
// says more: owners that work cancels again store theirs in any order.
func (p *partition) pastVoids(ctx context.Context) (uint64, error) {
	if found, err := p.anyVoid(ctx, broker.VoidFilter(p.n)); err != nil || !found {
		return 0, err
	}
	last, err := p.reader.Last(ctx, broker.Requests, broker.PartitionFilter(p.n))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return last.Seq + 1, nil
}

func (p *partition) anyVoid(ctx context.Context, filter string) (bool, error) {
	_, err := p.reader.Last(ctx, broker.Later, filter)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}

// voidBy says that a cancel takes e back. The lane must be locked.
func (e *entry) voidBy(cancel uint64) {
	if e.void.CompareAndSwap(0, cancel) {
		e.mark.Void = cancel
	}
}

// cancellable reports whether e may be taken back as far as its calls go: none of
// them may have been carried out, but those that come before a send.
func (e *entry) cancellable() bool {
	return !e.doubt && !e.touched && (e.step.Number == 1 || e.req != nil && e.req.Kind == events.KindSend)
}

// voidOf returns the sequence of the cancel that takes e back, or 0. It looks for
// the void of what was begun after it was stored; a cancel that comes later finds
// e begun.
func (l *lane) voidOf(ctx context.Context, e *entry) (uint64, error) {
	if void := e.void.Load(); void != 0 || e.looked {
		return void, nil
	}
	l.mu.Lock()
	v := l.voids
	l.mu.Unlock()
	if v.past > 0 {
		found, err := l.p.anyVoid(ctx, broker.VoidSubject(l.p.n, l.key.provider, l.key.account, "*"))
		if err != nil {
			return 0, err
		}
		l.mu.Lock()
		if found {
			l.voids.upTo = max(l.voids.upTo, v.past)
		}
		l.voids.past = 0
		v = l.voids
		l.mu.Unlock()
	}
	at := uint64(0)
	if v.upTo > 0 {
		at = origin(e.msg)
	}
	if at < v.upTo {
		key := keyOf(e.msg)
		m, err := l.p.reader.Last(ctx, broker.Later, broker.VoidSubject(l.p.n, l.key.provider, l.key.account, broker.RequestName(key.source, key.id)))
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, err
		}
		if err == nil && voidedBy(m) > at {
			l.mu.Lock()
			e.voidBy(voidedBy(m))
			l.mu.Unlock()
		}
	}
	e.looked = true
	return e.void.Load(), nil
}

// voided ends the request if it was taken back, as soon as its cancel has been
// answered. It goes through the fence as a call does.
func (x *execution) voided() bool {
	e := x.e
	void, err := x.l.voidOf(x.p.take, e)
	if err != nil {
		x.again(err)
		return true
	}
	if void == 0 || !e.cancellable() {
		return false
	}
	if !x.p.cancels.told(void) {
		x.decision = decision{state: events.StateDeferred, retryIn: voidWait}
		return true
	}
	if e.req != nil && e.calls == 0 {
		switch again, err := x.cameAgain(); {
		case err != nil:
			x.again(err)
			return true
		case again:
			x.scheduled()
			return true
		}
	}
	if x.intend(ledger.Intent{Void: true}) {
		x.end(events.StateCancelled, events.Why{Reason: ReasonTakenBack, Detail: "a cancel took the request back before it was called"}, "")
	}
	return true
}

// voidWait is how often a request that is taken back looks whether it may end.
const voidWait = 50 * time.Millisecond

// stopped reports whether a cancel has come for e since its execution began.
func (e *entry) stopped() bool { return e.void.Load() != 0 && e.cancellable() }

// release lets e end, which has been taken back: now, wherever it waits.
func (l *lane) release(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[e.msg.Seq] == e && !e.executing {
		l.takeOutLocked(e)
		e.retryAt = time.Time{}
		l.voided.add(e)
	}
	l.stirLocked()
}

// takeOutLocked takes e from whatever it waits in.
func (l *lane) takeOutLocked(e *entry) {
	for _, h := range []*retries{&l.waiting, &l.voided} {
		if i := slices.Index(*h, e); i >= 0 {
			heap.Remove(h, i)
		}
	}
	ready := &l.ready[e.class]
	if i := slices.Index(*ready, e); i >= 0 {
		*ready = slices.Delete(*ready, i, i+1)
	}
	l.keys.drop(e)
}

// settleVoidLocked does what an end of an execution means to the cancels of e. It
// reports whether e has been taken back, and only waits to be ended.
func (l *lane) settleVoidLocked(e *entry, d decision, over bool, now time.Time) bool {
	void := e.void.Load()
	if void == 0 {
		return false
	}
	for _, c := range e.cancels {
		if over && !d.planned {
			c.ended = d.state
		}
	}
	l.cancelLocked(e.cancels...)
	e.cancels = nil
	switch {
	case over:
		return false
	case !e.cancellable():
		e.void.Store(0)
		return false
	}
	e.retryAt = now.Add(voidWait)
	if l.p.cancels.told(void) {
		e.retryAt = now
	}
	l.voided.add(e)
	return true
}

// origin returns the sequence that a request had when it was published: one that
// has come back from LATER is stored a second time.
func origin(m *broker.Stored) uint64 {
	if from := sourceOf(m); from != nil {
		if _, _, seq, err := broker.ParseLater(from[4]); err == nil {
			return seq
		}
	}
	return m.Seq
}
