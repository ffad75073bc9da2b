package dispatcher

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tramhq/tram/internal/failpoint"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// execute carries out the next step of e, from reading the request to storing
// what became of it. It is deliberately one straight line: its order is the
// guarantee.
//
//	check → intent stored → limiter → lease and expiry → call → judge → result stored
func (p *partition) execute(l *lane, e *entry) {
	x := &execution{p: p, l: l, e: e, acct: l.account()}
	x.begin()
	defer l.settleExecution(x)
	failpoint.Hit(failpoint.RequestRead)
	if x.acct != nil {
		x.known = x.acct.state()
	}

	if x.plannedBefore() {
		return
	}
	if x.voided() {
		return
	}
	if !x.check() {
		return
	}
	now := x.began
	if x.later(now) {
		return
	}
	call, ok := x.prepare()
	if !ok || !x.resolveDoubt(call) {
		return
	}
	if over, reason := x.over(now); over {
		x.endUncalled(reason)
		return
	}
	if x.hushed(now) {
		return
	}
	if e.missed(now) { // before it costs an intent
		x.decision = decision{state: events.StateDeferred}
		return
	}
	var err error
	if x.told, err = x.acct.breaker.allow(now); err != nil { // it opened since we were picked
		x.decision = decision{state: events.StateDeferred}
		return
	}
	defer x.tell(channels.Verdict{})

	if !x.commit() {
		return
	}
	if !x.admitted() {
		return
	}
	if !x.seated() {
		x.notCalled("its place in the group was missed")
		return
	}
	failpoint.Hit(failpoint.BeforeCall)
	// Last look before the bytes leave.
	now = time.Now()
	if over, reason := x.over(now); over {
		x.end(events.StateExpired, events.Why{Reason: reason, Detail: overDetail(reason)}, "")
		return
	}
	if x.acct.stopped() {
		x.notCalled("the account was paused")
		return
	}
	if until, _ := x.quietUntil(now); !until.IsZero() {
		x.notCalled("the account's quiet hours have begun")
		return
	}
	if e.stopped() {
		x.notCalled("a cancel has come")
		return
	}
	if !p.mayCall() {
		x.notCalled("the lease of the partition is running out")
		return
	}
	ans := p.d.client.Do(failpoint.OnWrite(p.work), &x.known.Account.Account, call)
	failpoint.Hit(failpoint.AnswerReceived)
	x.conclude(call, ans, x.judge(ans))
}

// An execution is one run of execute.
type execution struct {
	p        *partition
	l        *lane
	e        *entry
	acct     *account // nil: none is configured
	known    *known   // as it was configured when the execution began
	decision decision
	told     func(error) // the breaker, of what became of the call; nil once it was
	passed   bool        // the limiter, or needs it no more
	vacated  bool        // its place in the crew
	lost     bool        // the partition is no longer ours: the entry is the new owner's
	stack    string      // of the provider package's panic, if it did

	began, intendedAt, admittedAt time.Time  // for those who run the relay, see tell.go
	span                          trace.Span // nil: it has none
}

// pass says, once, that the limiter has nothing to do with x any more.
func (x *execution) pass() {
	if !x.passed {
		x.passed, x.admittedAt = true, time.Now()
		x.l.pickedUp()
	}
}

// vacate gives x's place in the crew back, once.
func (x *execution) vacate() {
	if !x.vacated {
		x.vacated = true
		x.p.d.crew.vacate()
	}
}

// tell tells the breaker, once, what became of the call. The zero verdict is that
// there was none.
func (x *execution) tell(v channels.Verdict) {
	if x.told != nil {
		x.told(x.breakerError(v))
		x.told = nil
	}
}

// admitted waits for the limiter, which the lane expects to admit at once. If
// it does not, the account has just been silenced; the call then goes back to
// the lane rather than wait with its intent stored, which a crash would turn
// into a doubt.
func (x *execution) admitted() bool {
	if x.acct.limiter.TryWait(1) {
		x.pass()
		return true
	}
	ctx, cancel := context.WithTimeout(x.p.take, admitPatience)
	defer cancel()
	if err := x.acct.limiter.Wait(ctx, 1); err != nil {
		x.notCalled("the account was silenced, or the relay is stopping")
		return false
	}
	x.pass()
	return true
}

const admitPatience = time.Second

// settleExecution returns what x has learned to the lane.
func (l *lane) settleExecution(x *execution) {
	x.pass()
	defer x.vacate()
	if x.lost {
		return
	}
	l.settle(x.e, x.decision, time.Now())
}
