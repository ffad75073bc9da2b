package dispatcher

import (
	"errors"
	"time"

	"github.com/tramhq/tram/internal/failpoint"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// conclude turns the verdict into what happens next, and stores it.
func (x *execution) conclude(call *channels.Call, ans *channels.Answer, v channels.Verdict) {
	e := x.e
	begun := time.Now().Add(-time.Duration(ans.TookUS) * time.Microsecond)
	pol := x.policy(call)
	pol.attempt++
	pol.throttles = x.acct.nextThrottle(begun)
	d := decide(v, pol)
	if d.counts {
		e.attempts++
	}
	d.why.HTTPStatus = ans.Status
	e.warnings = append(e.warnings, v.Warnings...)
	e.touched = e.touched || d.why.Class == string(channels.Ambiguous)
	x.fit(ans, v, &d)
	if d.parse && e.req.Kind != events.KindSend {
		if err := x.count(ans); err != nil {
			d.unreadable(err.Error(), ans.Status)
			if x.stack != "" {
				d.why.Reason = ReasonPanic
			}
		} else if last := lastPage(e.req, e.step); last && d.state == "" {
			d.state = success(e.req.Kind)
		}
	}
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
	r.SilenceMS = d.cooldown.Milliseconds()
	if d.state == "" {
		r.Next = v.Next
	}
	x.acct.ended(call.Operation, begun, ans, v)
	if x.acct.heed(v, d, begun, now) {
		x.p.log.Error("account paused: its credential was refused",
			"provider", x.l.key.provider, "account", x.l.key.account, "reason", v.Reason, "status", ans.Status)
	}
	x.called(call, ans, v, d, begun)
	x.tell(v)
	x.l.answered(e) // the account has learned all that the next call depends on
	x.vacate()
	x.store(r, d)
}

// maxSteps bounds the steps of a request: a provider whose pages never end must
// not keep one for ever.
const maxSteps = 10_000

// fit makes the answer small enough to be stored with its request. The body of
// an answer that holds events cannot be cut: it is then unreadable.
func (x *execution) fit(ans *channels.Answer, v channels.Verdict, d *decision) {
	room := int(x.p.d.cfg.JS.Conn().MaxPayload()) - resultOverhead -
		len(x.e.msg.Data) - len(x.e.step.Cursor) - len(v.Next) - len(v.MessageID)
	for _, w := range x.e.warnings { // of all pages so far
		room -= len(w)
	}
	if len(ans.Body) <= room {
		return
	}
	ans.Body = ans.Body[:min(len(ans.Body), 4<<10, max(room, 0))]
	if d.parse && x.e.req.Kind != events.KindSend {
		d.unreadable("the answer is too large to be stored: ask for less at once, or raise the broker's max_payload", ans.Status)
	}
}

// resultOverhead is room for what else is in a result: the request's headers,
// which have 64 KiB at most, the answer's, and what was made of it.
const resultOverhead = 128 << 10

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
			x.panicked("parse", r, ledger.Stack())
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
		attempt: x.e.attempts, retry: x.p.d.cfg.Retry,
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
	// An earlier call of it may have been carried out: nobody may say that there was none.
	if x.e.touched && state != events.StateUnknown && x.e.req != nil && x.e.req.Kind != events.KindReport {
		state, dead, why.Class = events.StateUnknown, ledger.DeadUnknown, string(channels.Ambiguous)
	}
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
	r.Stack = x.stack
	if !x.intendedAt.IsZero() && time.Since(x.intendedAt) > x.p.d.results.giveUp && x.p.left() {
		x.lost = true // whoever has the partition by now has told an end, and the broker may have forgotten that
		x.p.fail(errLeaseLost)
		return
	}
	storing := x.storing(r)
	at, err := x.p.d.results.put(x.p.d.storing, x.l.results, r, x.p.mayCall)
	if err == nil && at.duplicate {
		if r, err = x.p.d.results.get(x.p.d.storing, at.seq); err == nil {
			d = x.e.adopt(r, x.p.clock)
		}
	} else if err == nil && d.state == "" {
		x.e.next(r.Next)
	}
	if err != nil {
		x.lost = true
		x.p.fail(err)
		return
	}
	failpoint.Hit(failpoint.ResultStored)
	x.e.prev = at.seq
	x.p.d.sawResult(at.seq)
	x.decision = d
	x.meter().Stored(d.state)
	x.stored(storing, r)
}
