package dispatcher

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Reasons that the relay itself gives; docs/reasons.md has one entry for each.
const (
	ReasonUnknownProvider   = "unknown_provider"
	ReasonUnknownAccount    = "unknown_account"
	ReasonInvalidRequest    = "invalid_request"
	ReasonExpired           = "expired"
	ReasonTooOld            = "too_old"
	ReasonNotCalled         = "not_called"
	ReasonScheduled         = "scheduled"
	ReasonQuietHours        = "quiet_hours"
	ReasonWorkerDied        = "worker_died"
	ReasonAttemptsExhausted = "attempts_exhausted"
	ReasonUnreadableAnswer  = "unreadable_answer"
	ReasonTooManySteps      = "too_many_steps"
	ReasonPanic             = "panic"
)

// RetryPolicy says how often and how soon a failed call is tried again. The
// zero value is replaced field by field.
type RetryPolicy struct {
	MaxAttempts int           // calls that count, the first included; default 5
	Base        time.Duration // wait after the first failure, doubled after each; default 1s
	Max         time.Duration // longest wait; default 5m
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 5
	}
	if p.Base == 0 {
		p.Base = time.Second
	}
	if p.Max == 0 {
		p.Max = 5 * time.Minute
	}
	return p
}

// backoff returns the wait before the call that follows attempt number n. It
// is between half and the whole of the doubled base, so that what failed
// together does not come back together.
func (p RetryPolicy) backoff(n int) time.Duration {
	d := p.Base
	for range n - 1 {
		if d *= 2; d >= p.Max {
			d = p.Max
			break
		}
	}
	return d/2 + rand.N(d/2+1)
}

// throttleWait is how long an account stays silent after its n-th throttle in
// a row: as long as the provider told or, where it did not, doubled each time.
func throttleWait(v channels.Verdict, n int) time.Duration {
	wait, most := time.Duration(v.Cooldown)*time.Millisecond, time.Hour
	if wait > 0 && !v.Untold {
		return wait
	}
	if wait <= 0 {
		wait, most = time.Second, time.Minute
	}
	return min(wait<<min(n-1, 12), most)
}

// A decision is what the dispatcher does about a verdict.
type decision struct {
	state    events.State // "" goes on with the next step
	evidence events.Evidence
	why      events.Why
	dead     ledger.DeadGroup

	retryIn   time.Duration // deferred: wait before the next call
	cooldown  time.Duration // silence of the whole account
	pauseAuth bool          // no call of the account before its credential changes
	counts    bool          // the call was an attempt
	planned   bool          // deferred: the request is in LATER, and comes back from there
	parse     bool          // the answer holds events
}

// policy is what a decision depends on besides the verdict.
type policy struct {
	kind        events.Kind
	repeatable  bool
	onAmbiguous events.OnAmbiguous
	attempt     int // calls that counted, this one included
	throttles   int // in a row, this one included
	retry       RetryPolicy
}

// decide is the only place where a verdict becomes an action.
func decide(v channels.Verdict, p policy) decision {
	d := decision{counts: true, why: events.Why{
		Class: string(v.Class), Reason: v.Reason, Detail: v.Detail,
		ProviderCode: words(v.ProviderCode), ProviderText: words(v.ProviderText),
	}}
	switch v.Class {
	case channels.OK:
		d.why = events.Why{ProviderCode: d.why.ProviderCode, ProviderText: d.why.ProviderText}
		d.parse = true
		if v.Next == "" {
			d.state, d.evidence = success(p.kind), v.Evidence
		}
	case channels.Retry:
		d.again(p)
		d.cooldown = time.Duration(v.Cooldown) * time.Millisecond // a 503 may say for how long
		d.retryIn = max(d.retryIn, d.cooldown)
	case channels.Throttled:
		d.counts = false
		d.state = events.StateDeferred
		d.cooldown = throttleWait(v, p.throttles)
		d.retryIn = d.cooldown
	case channels.Auth:
		d.counts = false
		d.state, d.pauseAuth = events.StateDeferred, true
	case channels.Permanent:
		d.state, d.dead = events.StateFailed, ledger.DeadRefused
		if v.Reason == channels.ReasonPrecheckRefused { // the message itself was never tried
			d.state = events.StateRejected
		}
	default: // ambiguous, and whatever a provider package left unsaid
		d.why.Class = string(channels.Ambiguous)
		d.ambiguous(p)
	}
	return d
}

// maxWords bounds what is told of the provider's own words, in bytes: some answer
// with whole pages, which would not fit an event. The answer is stored whole.
const maxWords = 4 << 10

func words(s string) string {
	if len(s) <= maxWords {
		return s
	}
	return strings.ToValidUTF8(s[:maxWords], "") + "…"
}

func success(k events.Kind) events.State {
	if k == events.KindSend {
		return events.StateAccepted
	}
	return events.StateDone
}

// again repeats the call unless it has been tried often enough.
func (d *decision) again(p policy) {
	if p.attempt < p.retry.MaxAttempts {
		d.state, d.retryIn = events.StateDeferred, p.retry.backoff(p.attempt)
		return
	}
	d.state, d.dead = events.StateFailed, ledger.DeadRefused
	d.why.Detail = "the last attempt ended with " + d.why.Reason + ": " + d.why.Detail
	d.why.Reason = ReasonAttemptsExhausted
}

// unreadable ends a report or command whose answer says yes but cannot be used.
func (d *decision) unreadable(detail string, status int) {
	d.state, d.dead, d.parse = events.StateFailed, ledger.DeadAnswer, false
	d.why = events.Why{Class: string(channels.Permanent), Reason: ReasonUnreadableAnswer, Detail: detail, HTTPStatus: status}
}

// ambiguous repeats what may be repeated. A send may not, unless its event
// says so: nobody must get a message twice because an answer was lost.
func (d *decision) ambiguous(p policy) {
	switch {
	case p.repeatable || p.onAmbiguous == events.Resend:
		d.again(p)
	case p.onAmbiguous == events.AssumeSent:
		d.state, d.evidence = events.StateAccepted, events.Assumed
	default:
		d.state, d.dead = events.StateUnknown, ledger.DeadUnknown
	}
}
