package dispatcher

import (
	"container/heap"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// In quiet hours the queue of a class is left alone as long as a send is first in
// it: that costs nothing, however many wait. Reports and commands go on, so a
// queue that has some is gone through up to them, and the sends before them are
// begun and wait in memory, maxPassed at most.
const maxPassed = 256

// other reports whether a request is neither a send nor a cancel.
func other(subject string) bool { return !strings.HasSuffix(subject, sendToken) && !isCancel(subject) }

const sendToken = "." + string(events.KindSend)

// quietUntil returns when the class of an account may send again, or zero if it
// may now.
func (p *partition) quietUntil(q *quietHours, now time.Time, class int) time.Time {
	if q == nil {
		return time.Time{}
	}
	until := q.until(time.UnixMilli(p.clock.ms(now)), class)
	if until.IsZero() {
		return until
	}
	return p.clock.local(until.UnixMilli())
}

// quietClasses returns the classes that are quiet, and until when in unix
// milliseconds by our clock; nil if none is.
func (p *partition) quietClasses(q *quietHours, now time.Time) (all map[events.Class]int64) {
	for i, class := range events.Classes {
		if until := p.quietUntil(q, now, i); !until.IsZero() {
			if all == nil {
				all = make(map[events.Class]int64)
			}
			all[class] = until.UnixMilli()
		}
	}
	return all
}

// heedQuietLocked takes a changed configuration over: what waits for the end of
// quiet hours is looked at again.
func (l *lane) heedQuietLocked(now time.Time) {
	var q *quietHours
	if l.acct != nil {
		q = l.acct.state().quiet
	}
	if q == l.quiet {
		return
	}
	l.quiet = q
	for _, e := range l.waiting {
		if e.hushed {
			e.hushed, e.retryAt = false, now
		}
	}
	heap.Init(&l.waiting)
}

// stillLocked reports whether the queue of a class is left alone, and until when
// if nothing comes in.
func (l *lane) stillLocked(class int, now time.Time) (until time.Time, still bool) {
	if l.quiet == nil {
		return until, false
	}
	q := &l.queues[class]
	m := q.peek()
	if m == nil || !strings.HasSuffix(m.subject(), sendToken) {
		return until, false
	}
	if q.others > q.taken && l.begun[class] < maxPassed {
		return until, false
	}
	if until = l.p.quietUntil(l.quiet, now, class); until.IsZero() {
		return until, false
	}
	if old := m.time().Add(l.p.maxAge); old.Before(until) {
		until = old
	}
	return until, until.After(now)
}

// stillWaitLocked is how long to wait at most because of queues that are left
// alone. It is no longer than a minute, for the clock of this host may be set.
func (l *lane) stillWaitLocked(now time.Time) time.Duration {
	wait := forever
	for class := range l.queues {
		if until, still := l.stillLocked(class, now); still {
			wait = min(wait, max(until.Sub(now), time.Millisecond), time.Minute)
		}
	}
	return wait
}

// holdLocked lets e wait for the end of its class's quiet hours, or for its own
// end if that comes first. It reports whether it does.
func (l *lane) holdLocked(e *entry, now time.Time) bool {
	e.hushed = false
	if l.quiet == nil || e.req == nil || e.req.Send == nil || e.doubt || e.planning || e.aged {
		return false
	}
	until := l.p.quietUntil(l.quiet, now, e.class)
	if until.IsZero() {
		return false
	}
	if old := e.msg.Time.Add(l.p.maxAge); old.Before(until) {
		until = old
	}
	if expires := e.req.Send.ExpiresAtMS; expires != 0 && time.UnixMilli(expires).Before(until) {
		until = time.UnixMilli(expires)
	}
	if !until.After(now) {
		return false
	}
	e.hushed, e.retryAt = true, until
	l.waiting.add(e)
	return true
}

// quietUntil returns when x may call because of quiet hours, or zero if it may
// now, and the class they are of: its own, or promotions.
func (x *execution) quietUntil(now time.Time) (until time.Time, class int) {
	if x.known.quiet == nil || x.e.req.Send == nil {
		return until, 0
	}
	if until = x.p.quietUntil(x.known.quiet, now, x.e.class); !until.IsZero() {
		return until, x.e.class
	}
	if x.e.req.Class != events.Urgent && x.e.req.Send.Policy.ExpectKind == promotion {
		until = x.p.quietUntil(x.known.quiet, now, promotions)
	}
	return until, promotions
}

const promotion = "promotion" // as expect_kind has it

// hushed sees to it that no send is called in quiet hours. It reports whether
// this one waits, or has ended.
//
// The lane holds the classes that are quiet. A promotion of another class is not
// to keep those behind it from going on, so it is planned in LATER.
func (x *execution) hushed(now time.Time) bool {
	e := x.e
	until, class := x.quietUntil(now)
	if until.IsZero() {
		return false
	}
	x.decision = decision{state: events.StateDeferred}
	if class != promotions {
		return true
	}
	if expires := e.req.Send.ExpiresAtMS; expires != 0 && !time.UnixMilli(expires).After(until) {
		if x.commit() {
			x.end(events.StateExpired, events.Why{Reason: ReasonExpired, Detail: "expires_at is before the end of the account's quiet hours"}, "")
		}
		return true
	}
	// What it has come to so far would be lost on the way through LATER.
	begun := e.attempts > 0 || e.step.Number > 1
	if begun || e.kept && e.plannable() || until.Sub(now) <= planFrom || e.tooLargeToPlan() || !x.putOff(until) {
		e.hushed, x.decision.retryIn = true, until.Sub(now)
	}
	return true
}

// putOff plans e for the end of quiet hours. Unlike [execution.plan] it goes
// through the fence first: hours may be configured otherwise when another owner
// looks, so that nobody could tell from the request that it may have been
// planned. It reports false if e cannot be planned any more.
func (x *execution) putOff(until time.Time) bool {
	e := x.e
	stored, err := broker.ParseStored(e.msg.Subject)
	if err != nil {
		return false
	}
	if !x.intend(ledger.Intent{Plan: true}) {
		return true
	}
	e.planning = true
	ms := x.p.clock.ms(until)
	err = x.planAt(stored, ms)
	switch {
	case broker.IsWrongSequence(err): // it has been planned, or must not be
		return x.plannedBefore()
	case err != nil:
		x.again(err)
	default:
		x.planned(ms, quietWhy)
	}
	return true
}

var quietWhy = events.Why{Reason: ReasonQuietHours, Detail: "waits for the end of the account's quiet hours"}

// plannedBefore finds out what became of e when somebody was about to put it off.
// It reports whether it was planned, or that cannot be found out now.
func (x *execution) plannedBefore() bool {
	if !x.e.planning {
		return false
	}
	kept, err := x.keep()
	if err != nil {
		x.again(err)
		return true
	}
	x.e.planning, x.e.kept = false, kept
	if !kept {
		x.planned(0, quietWhy)
	}
	return !kept
}
