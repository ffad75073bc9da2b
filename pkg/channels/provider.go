// Package channels is what a provider is to the relay: how a request becomes a
// call, what an answer means, and which events it holds.
//
// A provider package holds pure functions and no connection, no clock, no
// broker: calls go out through the one [Client], which adds the secrets, keeps
// them out of everything that can be printed, and turns whatever happens into
// an [Answer]. The package names what an answer means ([Verdict]); only the
// dispatcher decides what to do about it.
package channels

import (
	"github.com/tramhq/tram/pkg/events"
)

// A Provider knows one chat platform's API.
//
// All methods must be pure and safe for concurrent use. A panic in one costs
// the request at hand and nothing else.
type Provider interface {
	// Name returns the provider's token in subjects.
	Name() string

	// Traits says what accounts are configured with.
	Traits() Traits

	// Contract says what account can be asked for. An error means that the
	// account's settings are wrong; it names the setting and what to do.
	Contract(a *Account) (events.Contract, error)

	// Prepare turns one step of a request into the HTTP call for it. The
	// request has passed the account's contract; what Prepare refuses beyond
	// that is an [*events.InvalidError] and ends the request as rejected.
	Prepare(a *Account, r *events.Request, s Step) (*Call, error)

	// Judge says what the answer to a step means. It must obey the order of
	// judgement: transport, throttle signs, the body's own verdict, the HTTP
	// status, the shape. [JudgeTransport] and [JudgeStatus] are the tables
	// that all providers share.
	Judge(a *Account, r *events.Request, s Step, ans *Answer) Verdict

	// Parse reads the events out of an answer that was judged OK. It is what
	// collectors run, again and again over stored results, so the same input
	// must give the same output. An error makes a dead letter.
	Parse(a *Account, r *events.Request, s Step, ans *Answer) (*Harvest, error)
}

// A Step is one call of a request that may need several, such as the pages of
// a report. Cursor is the provider package's own, from the Verdict.Next of the
// step before; the first step has none.
type Step struct {
	Number int // from 1
	Cursor string
}

// Class is what happened to a call.
type Class string

const (
	OK        Class = "ok"        // carried out
	Retry     Class = "retry"     // not carried out, may work later
	Throttled Class = "throttled" // not carried out: too many calls
	Auth      Class = "auth"      // not carried out: the credential was refused
	Permanent Class = "permanent" // not carried out, and never will be
	Ambiguous Class = "ambiguous" // may or may not have been carried out
)

// A Verdict is a provider package's judgement of one answer. The zero Verdict
// is no judgement and is treated as [Ambiguous].
type Verdict struct {
	Class  Class
	Reason string // stable snake_case code, listed in docs/reasons.md
	Detail string // a sentence for a person, without secrets

	ProviderCode string // verbatim
	ProviderText string // verbatim; the client has removed the secrets

	// Cooldown asks for silence of the whole account, as the provider told it.
	// Zero on a throttle leaves the time to the dispatcher: a second, doubled for
	// each throttle in a row up to a minute.
	Cooldown int64 // milliseconds

	// Untold says that Cooldown is not the provider's word but what is known to be
	// enough for the first throttle: it doubles for each in a row, up to an hour.
	Untold bool

	// Usage is how much of its allowance the provider says is used, in percent,
	// the highest that any of its headers names; 0 where it says nothing. RegainMS
	// is when it expects to allow more, in milliseconds from the answer on, 0
	// where it does not say. Both come with verdicts of any class.
	Usage    float64
	RegainMS int64

	Evidence  events.Evidence // of an OK send
	MessageID string          // the provider's id of an OK send
	Next      string          // cursor of the next step; "" when this one was the last
	Warnings  []string

	// ProviderFault says that the provider itself is in trouble, which is what
	// circuit breakers count; a refusal of one request is not.
	ProviderFault bool
}

// A Harvest is what one answer holds. The collector fills in what it knows
// itself: About, Page, FetchedMS, and Key of stats.
type Harvest struct {
	Stats   []events.Stat
	Records []events.Record
	Result  string // a command's answer, as JSON text
}
