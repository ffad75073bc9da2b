package dispatcher

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A cancel is a request that takes another one back, which is worked by the lane
// of its account: beside the calls, so that it waits for none.
//
//	void stored → looked for: begun, waiting in the stream, planned → answer stored → the other request ends
//
// Whoever begins a request after the void is stored looks it up, so a request
// that was found cannot be called any more, whoever dies when.
type cancel struct {
	msg    *broker.Stored
	req    *events.Request
	fault  error
	target requestKey
	name   string // of the target in subjects

	entries []*entry     // of the target, if the lane has begun it
	ended   events.State // of the target, if that was being executed
}

// A requestKey names a request as its producer does.
type requestKey struct{ source, id string }

func keyOf(m *broker.Stored) requestKey {
	return requestKey{m.Header.Get(events.HeaderSource), m.Header.Get(events.HeaderID)}
}

func newCancel(m *broker.Stored) *cancel {
	c := &cancel{msg: m}
	c.req, c.fault = events.DecodeRequest(original(m).Subject, m.Header, m.Data)
	if c.fault == nil {
		c.target.source, c.target.id = c.req.Target()
		c.name = broker.RequestName(c.target.source, c.target.id)
	}
	return c
}

// ofCancel reports whether r is the answer to a cancel.
func ofCancel(r *ledger.Result) bool {
	return strings.HasPrefix(r.Request.Subject, "tram."+string(events.KindCancel)+".")
}

// size is about how many bytes c takes.
func (c *cancel) size() int64 {
	n := 1<<10 + len(c.msg.Data)
	for name, values := range c.msg.Header {
		n += len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	return int64(n)
}

// cancel hands the lane cancels to work.
func (l *lane) cancel(all ...*cancel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancelLocked(all...)
}

func (l *lane) cancelLocked(all ...*cancel) {
	l.cancels = append(l.cancels, all...)
	if !l.cancelling && len(l.cancels) > 0 && l.p.take.Err() == nil {
		l.cancelling = true
		l.p.wg.Go(l.workCancels)
	}
}

// workCancels works until no cancel is left, or the partition takes no more.
func (l *lane) workCancels() {
	ctx := l.p.take
	for {
		l.mu.Lock()
		batch := l.cancels
		l.cancels = nil
		if len(batch) == 0 || ctx.Err() != nil {
			l.cancelling = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if again := l.workBatch(ctx, batch); len(again) > 0 {
			sleep(ctx, cancelAgain)
			l.cancel(again...)
		}
	}
}

// cancelAgain is how long to wait before the rest of a batch is worked once more.
const cancelAgain = 100 * time.Millisecond

// workBatch works cancels and returns those that must be worked again: the broker
// was away, or what they are about is just moving.
func (l *lane) workBatch(ctx context.Context, all []*cancel) (again []*cancel) {
	s := &search{l: l, ctx: ctx}
	for _, c := range all {
		if state, why := l.refusal(c); state != "" {
			s.decided = append(s.decided, answer{c, state, why, ledger.DeadEvent})
		} else if c.ended != "" {
			s.decide(c, endedLate(c.ended))
		} else {
			s.left = append(s.left, c)
		}
	}
	s.answer()
	if len(s.left) == 0 {
		return nil
	}
	upTo := uint64(0)
	for _, c := range s.left {
		upTo = max(upTo, c.msg.Seq)
	}
	l.raiseVoids(upTo)
	if err := l.storeVoids(ctx, s.left); err != nil {
		l.cancelFailed(err)
		return s.left
	}
	s.begun()
	s.answer()
	s.waiting(upTo)
	s.answer()
	s.later()
	s.answer()
	return s.left
}

// refusal says why c cannot be worked at all.
func (l *lane) refusal(c *cancel) (events.State, events.Why) {
	why := events.Why{Class: string(channels.Permanent)}
	acct := l.account()
	switch {
	case c.fault != nil:
		why.Reason, why.Detail = events.ReasonOf(c.fault), c.fault.Error()
	case acct == nil:
		why.Reason, why.Detail = l.p.d.whyUnknown(events.KindCancel, l.key)
	default:
		err := acct.state().contract().Check(c.req)
		if err == nil {
			return "", why
		}
		why.Reason, why.Detail = events.ReasonOf(err), err.Error()
	}
	return events.StateRejected, why
}

func (l *lane) cancelFailed(err error) {
	if l.p.take.Err() == nil {
		l.p.log.Warn("cancels not worked, trying again", "provider", l.key.provider, "account", l.key.account, "error", err)
	}
}

// An answer is what a cancel came to.
type answer struct {
	c     *cancel
	state events.State
	why   events.Why
	dead  ledger.DeadGroup
}

// answerAtOnce is how many answers of a lane are stored at the same time.
const answerAtOnce = 64

// answer stores what has been decided.
func (s *search) answer() {
	var g errgroup.Group
	g.SetLimit(answerAtOnce)
	for _, a := range s.decided {
		g.Go(func() error { s.l.answer(a); return nil })
	}
	_ = g.Wait()
	s.decided = nil
}

// answer stores a, behind the fence as a call does: an owner that has lost the
// partition does not know any more how its requests stand. Then what was taken
// back may end.
func (l *lane) answer(a answer) {
	p, c := l.p, a.c
	for !p.mayCall() {
		if p.take.Err() != nil {
			return // the next owner works it again
		}
		sleep(p.take, cancelAgain)
	}
	if err := p.intents.commit(ledger.Intent{Seq: c.msg.Seq}); err != nil {
		p.fail(err)
		return
	}
	at, err := p.d.results.put(p.d.storing, l.results, &ledger.Result{
		Seq: c.msg.Seq, Call: 1, Step: 1, Request: original(c.msg), AtMS: time.Now().UnixMilli(),
		State: a.state, Why: a.why, Dead: a.dead,
	}, p.mayCall)
	if err != nil {
		p.fail(err)
		return
	}
	p.d.sawResult(at.seq)
	if acct := l.account(); acct != nil {
		acct.state().meter.Stored(a.state)
	} else {
		p.d.cfg.Observer.Meter("", "").Stored(a.state)
	}
	p.cancels.answered(c)
	for _, e := range c.entries {
		l.release(e)
	}
}
