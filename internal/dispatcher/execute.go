package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/tramhq/tram/internal/ledger"
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
	defer l.settleExecution(x)
	var breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	if x.acct != nil {
		x.known, breaker = x.acct.state()
	}

	if !x.check() {
		return
	}
	call, ok := x.prepare()
	if !ok || !x.resolveDoubt(call) {
		return
	}
	if over, reason := x.over(time.Now()); over {
		x.endUncalled(reason)
		return
	}
	done, err := breaker.Allow()
	if err != nil { // it opened since we were picked
		x.decision = decision{state: events.StateDeferred}
		return
	}
	verdict := channels.Verdict{}
	defer func() { done(x.breakerError(verdict)) }()

	if !x.commit() {
		return
	}
	if !x.admitted() {
		return
	}
	// Last look before the bytes leave.
	if over, reason := x.over(time.Now()); over {
		x.end(events.StateExpired, events.Why{Reason: reason, Detail: overDetail(reason)}, "")
		return
	}
	if !p.mayCall() {
		x.notCalled("the lease of the partition is running out")
		return
	}
	ctx, cancel := context.WithTimeout(p.work, p.d.cfg.CallTimeout)
	ans := p.d.cfg.Client.Do(ctx, &x.known.Account.Account, call)
	cancel()
	x.redact(ans)
	verdict = x.judge(ans)
	x.conclude(call, ans, verdict)
}

// An execution is one run of execute.
type execution struct {
	p        *partition
	l        *lane
	e        *entry
	acct     *account // nil: none is configured
	known    *known   // as it was configured when the execution began
	decision decision
	passed   bool // the limiter, or needs it no more
	lost     bool // the partition is no longer ours: the entry is the new owner's
}

// pass says, once, that the limiter has nothing to do with x any more.
func (x *execution) pass() {
	if !x.passed {
		x.passed = true
		x.l.pickedUp()
	}
}

// admitted waits for the limiter, which the lane expects to admit at once. If
// it does not, the account has just been silenced; the call then goes back to
// the lane rather than wait with its intent stored, which a crash would turn
// into a doubt.
func (x *execution) admitted() bool {
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
	if x.lost {
		return
	}
	l.settle(x.e, x.decision, time.Now())
}

// check refuses what is no request, or one that the account cannot be asked for.
func (x *execution) check() bool {
	if x.e.fault != nil {
		x.refuse(events.ReasonOf(x.e.fault), x.e.fault.Error())
		return false
	}
	if x.acct == nil {
		x.refuse(x.p.d.whyUnknown(x.e.req.Kind, x.l.key))
		return false
	}
	if err := x.known.contract.Check(x.e.req); err != nil {
		x.refuse(events.ReasonOf(err), err.Error())
		return false
	}
	return true
}

// prepare builds the call of the present step.
func (x *execution) prepare() (call *channels.Call, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			x.panicked("prepare", r)
			x.refuse(ReasonPanic, "the provider package could not prepare the call")
			call, ok = nil, false
		}
	}()
	call, err := x.known.provider.Prepare(&x.known.Account.Account, x.e.req, x.e.step)
	if err != nil {
		x.refuse(ReasonInvalidRequest, err.Error())
		return nil, false
	}
	if x.e.step.Number == 1 {
		x.e.warnings = call.Warnings
	}
	return call, true
}

// resolveDoubt decides about a call in which an owner before us died. It
// reports whether the request goes on.
func (x *execution) resolveDoubt(call *channels.Call) bool {
	if !x.e.doubt {
		return true
	}
	x.e.doubt = false
	x.e.attempts++
	d := decide(channels.Verdict{
		Class: channels.Ambiguous, Reason: ReasonWorkerDied,
		Detail: "the dispatcher that had the call under way is gone, and so is the answer",
	}, x.policy(call))
	if d.state == events.StateDeferred { // may be repeated: this very call is the repetition
		return true
	}
	r := x.e.result(time.Now())
	r.State, r.Why, r.Evidence, r.Dead = d.state, d.why, d.evidence, d.dead
	x.store(r, d)
	return false
}

// commit stores the intent of the next call.
func (x *execution) commit() bool {
	x.e.calls++
	if err := x.p.intents.commit(ledger.Intent{Seq: x.e.msg.Seq, Call: x.e.calls}); err != nil {
		x.lost = true
		x.p.fail(err)
		return false
	}
	return true
}

// redact takes secrets out of an answer that is one itself. What a provider
// package fails to redact is not kept at all.
func (x *execution) redact(ans *channels.Answer) {
	p, ok := x.known.provider.(channels.Redactor)
	if !ok {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			x.panicked("redact", r)
			ans.Body = nil
		}
	}()
	ans.Body = p.Redact(x.e.req, x.e.step, ans.Body)
}

// judge asks the provider package what ans means. A panic there must not take
// anything else down, and says nothing about whether the call was carried out.
func (x *execution) judge(ans *channels.Answer) (v channels.Verdict) {
	defer func() {
		if r := recover(); r != nil {
			x.panicked("judge", r)
			v = channels.Verdict{Class: channels.Ambiguous, Reason: ReasonPanic,
				Detail: "the provider package could not judge the answer"}
		}
	}()
	return x.known.provider.Judge(&x.known.Account.Account, x.e.req, x.e.step, ans)
}

// conclude turns the verdict into what happens next, and stores it.
func (x *execution) conclude(call *channels.Call, ans *channels.Answer, v channels.Verdict) {
	e := x.e
	pol := x.policy(call)
	pol.attempt++
	d := decide(v, pol)
	if d.counts {
		e.attempts++
	}
	d.why.HTTPStatus = ans.Status
	e.warnings = append(e.warnings, v.Warnings...)
	if d.parse && e.req.Kind != events.KindSend {
		if err := x.count(ans); err != nil {
			d.unreadable(err.Error(), ans.Status)
		} else if last := lastPage(e.req, e.step); last && d.state == "" {
			d.state = success(e.req.Kind)
		}
	}
	x.fit(ans, &d)
	if d.state == "" && e.step.Number >= maxSteps {
		d.state, d.dead = events.StateFailed, ledger.DeadAnswer
		d.why = events.Why{Class: string(channels.Permanent), Reason: ReasonTooManySteps, HTTPStatus: ans.Status,
			Detail: "the provider has more pages than a request may take: ask for a shorter range"}
	}
	now := time.Now()
	r := e.result(now)
	r.Answer, r.State, r.Why, r.Evidence, r.Dead = ans, d.state, d.why, d.evidence, d.dead
	r.MessageID, r.Parse = v.MessageID, d.parse
	if d.state == events.StateDeferred {
		r.RetryAtMS = now.Add(d.retryIn).UnixMilli()
	}
	if d.state == "" {
		r.Next = v.Next
	}
	if x.acct.heed(v, d, now) {
		x.p.log.Error("account paused: its credential was refused",
			"provider", x.l.key.provider, "account", x.l.key.account, "reason", v.Reason, "status", ans.Status)
	}
	x.p.log.Debug("call", "operation", call.Operation, "provider", x.l.key.provider, "account", x.l.key.account,
		"seq", e.msg.Seq, "call", e.calls, "status", ans.Status, "failure", ans.Failure, "class", v.Class, "reason", v.Reason,
		"state", d.state, "took_us", ans.TookUS)
	x.store(r, d)
	if d.state == "" && !x.lost {
		e.next(v.Next)
	}
}

// maxSteps bounds the steps of a request: a provider whose pages never end must
// not keep one for ever.
const maxSteps = 10_000

// fit makes the answer small enough to be stored with its request. The body of
// an answer that holds events cannot be cut: it is then unreadable.
func (x *execution) fit(ans *channels.Answer, d *decision) {
	room := int(x.p.d.cfg.JS.Conn().MaxPayload()) - len(x.e.msg.Data) - resultOverhead
	if len(ans.Body) <= room {
		return
	}
	ans.Body = ans.Body[:min(len(ans.Body), 4<<10, max(room, 0))]
	if d.parse && x.e.req.Kind != events.KindSend {
		d.unreadable("the answer is too large to be stored: ask for less at once, or raise the broker's max_payload", ans.Status)
	}
}

// resultOverhead is room for everything in a result but the bodies of answer
// and request: their headers, the verdict, a cursor.
const resultOverhead = 64 << 10

// lastPage reports whether the request asked for no more pages than this.
func lastPage(r *events.Request, s channels.Step) bool {
	return r.Report != nil && r.Report.Page.MaxPages > 0 && s.Number >= r.Report.Page.MaxPages
}

// count parses the answer for the totals that the outcome tells, and so finds
// out here, where the request can still be ended as failed, that it cannot be
// read.
func (x *execution) count(ans *channels.Answer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			x.panicked("parse", r)
			err = errors.New("the provider package could not parse the answer")
		}
	}()
	h, err := x.known.provider.Parse(&x.known.Account.Account, x.e.req, x.e.step, ans)
	if err != nil {
		return err
	}
	x.e.stats += len(h.Stats)
	x.e.records += len(h.Records)
	return nil
}

func (x *execution) policy(call *channels.Call) policy {
	p := policy{
		kind: x.e.req.Kind, repeatable: call.Repeatable, onAmbiguous: x.known.OnAmbiguous,
		attempt: x.e.attempts, throttles: x.acct.nextThrottle(), retry: x.p.d.cfg.Retry,
	}
	if s := x.e.req.Send; s != nil && s.OnAmbiguous != "" {
		p.onAmbiguous = s.OnAmbiguous
	}
	return p
}

// over reports whether the request must not be carried out any more.
func (x *execution) over(now time.Time) (bool, string) {
	switch {
	case x.e.req.Expired(now):
		return true, ReasonExpired
	case x.e.aged || now.Sub(x.e.msg.Time) >= x.p.maxAge:
		return true, ReasonTooOld
	}
	return false, ""
}

func overDetail(reason string) string {
	if reason == ReasonExpired {
		return "expires_at passed before the provider could be called"
	}
	return "the request would have left the stream before the provider could be called"
}

// endUncalled ends a request whose time is over. Unlike a refusal this depends
// on the clock, so it goes through the fence as a call does: two owners cannot
// end it differently.
func (x *execution) endUncalled(reason string) {
	if x.commit() {
		x.end(events.StateExpired, events.Why{Reason: reason, Detail: overDetail(reason)}, "")
	}
}

// refuse ends a request that can never be carried out. Every dispatcher would
// refuse it alike, so it needs no intent as long as it has not been called.
func (x *execution) refuse(reason, detail string) {
	why := events.Why{Class: string(channels.Permanent), Reason: reason, Detail: detail}
	if x.e.doubt { // it was fit to be called under an older configuration
		why.Class, why.Reason = string(channels.Ambiguous), ReasonWorkerDied
		x.end(events.StateUnknown, why, ledger.DeadUnknown)
		return
	}
	if x.e.calls > 0 && !x.commit() {
		return
	}
	x.end(events.StateRejected, why, ledger.DeadEvent)
}

func (x *execution) end(state events.State, why events.Why, dead ledger.DeadGroup) {
	r := x.e.result(time.Now())
	r.State, r.Why, r.Dead = state, why, dead
	x.store(r, decision{state: state})
}

// notCalled says that the call whose intent is stored was not made after all.
func (x *execution) notCalled(detail string) {
	now := time.Now()
	r := x.e.result(now)
	r.State, r.RetryAtMS = events.StateDeferred, now.UnixMilli()
	r.Why = events.Why{Class: string(channels.Retry), Reason: ReasonNotCalled, Detail: detail}
	x.store(r, decision{state: events.StateDeferred})
}

// store keeps r; only then does d hold. The answer of a call is stored even
// when the partition has gone to another owner: it is what happened. Where a
// result of the same call stands already, that one holds.
func (x *execution) store(r *ledger.Result, d decision) {
	at, err := x.p.d.results.put(x.p.d.storing, x.p.n, x.l.key, r)
	if err == nil && at.duplicate {
		if r, err = x.p.d.results.get(x.p.d.storing, at.seq); err == nil {
			d = x.e.adopt(r)
		}
	}
	if err != nil {
		x.lost = true
		x.p.fail(err)
		return
	}
	x.p.d.sawResult(at.seq)
	x.decision = d
}

// breakerError is what the account's breaker makes of a verdict.
func (x *execution) breakerError(v channels.Verdict) error {
	switch {
	case v.Class == "" || v.Class == channels.Throttled:
		return errNoVerdict
	case v.ProviderFault:
		return errProviderFault
	}
	return nil
}

func (x *execution) panicked(where string, r any) {
	x.p.log.Error("panic in a provider package", "provider", x.l.key.provider, "in", where,
		"seq", x.e.msg.Seq, "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
}
