package dispatcher

import (
	"fmt"
	"time"

	"github.com/tramhq/tram/internal/failpoint"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

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
	if err := x.known.contract().Check(x.e.req); err != nil {
		x.refuse(events.ReasonOf(err), err.Error())
		return false
	}
	return true
}

// prepare builds the call of the present step.
func (x *execution) prepare() (call *channels.Call, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			x.panicked("prepare", r, ledger.Stack())
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

// resolveDoubt decides about a call in which an owner before us died, and stores
// that as the call's result: should the owner be alive and have stored the answer
// meanwhile, that one holds. It reports whether there was no doubt.
func (x *execution) resolveDoubt(call *channels.Call) bool {
	if !x.e.doubt {
		return true
	}
	x.e.doubt, x.e.touched = false, true
	x.e.attempts++
	d := decide(channels.Verdict{
		Class: channels.Ambiguous, Reason: ReasonWorkerDied,
		Detail: "the dispatcher that had the call under way is gone, and so is the answer",
	}, x.policy(call))
	r := x.e.result(time.Now())
	r.State, r.Why, r.Evidence, r.Dead = d.state, d.why, d.evidence, d.dead
	if d.state == events.StateDeferred { // it has waited for the answer already
		d.retryIn, r.RetryAtMS = 0, r.AtMS
	}
	x.store(r, d)
	return false
}

// commit stores the intent of the next call.
func (x *execution) commit() bool { return x.intend(ledger.Intent{}) }

// intend stores in, which is about the next call of the request, or what comes in
// its place.
func (x *execution) intend(in ledger.Intent) bool {
	x.e.calls++
	in.Seq, in.Call = x.e.msg.Seq, x.e.calls
	if err := x.p.intents.commit(in); err != nil {
		x.lost = true
		x.p.fail(err)
		return false
	}
	x.intendedAt = time.Now()
	failpoint.Hit(failpoint.IntentStored)
	return true
}

// judge asks the provider package what ans means, after it has taken secrets
// out of an answer that is one itself. A panic there must not take anything else
// down, and says nothing about whether the call was carried out.
func (x *execution) judge(ans *channels.Answer) (v channels.Verdict) {
	redacted := false
	defer func() {
		if r := recover(); r != nil {
			x.panicked("judge", r, ledger.Stack())
			v = channels.Verdict{Class: channels.Ambiguous, Reason: ReasonPanic,
				Detail: "the provider package could not judge the answer"}
			if !redacted { // what may be a secret is not kept at all
				ans.Body = nil
			}
		}
	}()
	if p, ok := x.known.provider.(channels.Redactor); ok {
		ans.Body = p.Redact(x.e.req, x.e.step, ans.Body)
	}
	redacted = true
	return x.known.provider.Judge(&x.known.Account.Account, x.e.req, x.e.step, ans)
}

// breakerError is what the account's breaker makes of a verdict.
func (x *execution) breakerError(v channels.Verdict) error {
	switch {
	case v.Class == "":
		return errNoCall
	case v.Class == channels.Throttled:
		return errNoVerdict
	case v.ProviderFault:
		return errProviderFault
	}
	return nil
}

func (x *execution) panicked(where string, r any, stack string) {
	x.stack = stack
	x.p.log.ErrorContext(x.context(), "panic in a provider package", "provider", x.l.key.provider, "in", where,
		"seq", x.e.msg.Seq, "panic", fmt.Sprintf("%T", r), "stack", stack)
}
