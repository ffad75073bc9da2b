// Package ledger has the records that the dispatcher writes and both sides
// read: intents, which say that calls are about to start, and results, which
// say what became of them. Together they are the truth about a request.
package ledger

import (
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// An IntentGroup is stored before the calls it names may start. The first one
// of an owner names no calls: it is the fence that keeps the owner before it
// from storing any more.
type IntentGroup struct {
	Owner string   `msgpack:"o"`
	Epoch uint64   `msgpack:"e"` // the lease's revision
	AtMS  int64    `msgpack:"t"`
	Calls []Intent `msgpack:"c,omitempty"`

	Format int `msgpack:"format,omitempty"` // see [Format]
}

// An Intent says that call number Call of the request at Seq in REQUESTS is
// about to start.
type Intent struct {
	Seq  uint64 `msgpack:"s"`
	Call int    `msgpack:"n"` // counts every call of the request from 1

	// Plan says that no call is about to start after all: the request is about to
	// be put off, into LATER.
	Plan bool `msgpack:"p,omitempty"`

	// Void says that no call is about to start: the request was taken back, and is
	// about to end.
	Void bool `msgpack:"v,omitempty"`
}

// A Result is what became of one call, or of a request that needed none. It
// carries the request itself, so that events can be made from it alone.
type Result struct {
	Seq      uint64           `msgpack:"seq"`     // of the request in REQUESTS
	Call     int              `msgpack:"call"`    // 0: no call was made
	Attempt  int              `msgpack:"attempt"` // calls that counted as attempts, this one included
	Step     int              `msgpack:"step"`
	Cursor   string           `msgpack:"cursor,omitempty"`
	Request  Original         `msgpack:"request"`
	Answer   *channels.Answer `msgpack:"answer,omitempty"`
	State    events.State     `msgpack:"state,omitempty"` // "" when the request goes on with its next step
	Why      events.Why       `msgpack:"why"`
	Evidence events.Evidence  `msgpack:"evidence,omitempty"`
	AtMS     int64            `msgpack:"at"` // when the state was decided

	MessageID string   `msgpack:"message_id,omitempty"`
	Warnings  []string `msgpack:"warnings,omitempty"`
	RetryAtMS int64    `msgpack:"retry_at,omitempty"`
	Planned   bool     `msgpack:"planned,omitempty"` // deferred: the request comes back by itself, as another one in REQUESTS
	SilenceMS int64    `msgpack:"silence,omitempty"` // from AtMS on, in which the account must not be called
	Next      string   `msgpack:"next,omitempty"`    // cursor of the step that follows
	Stats     int      `msgpack:"stats,omitempty"`   // events of all steps so far
	Records   int      `msgpack:"records,omitempty"`

	// Parse says that Answer was judged OK, so that it holds events.
	Parse bool `msgpack:"parse,omitempty"`
	// Dead names the dead-letter group that the request goes to; "" is none.
	Dead DeadGroup `msgpack:"dead,omitempty"`

	// Prev is the sequence in RESULTS of the result before this one of the same
	// request, 0 if there is none or the dispatcher does not know it.
	Prev  uint64 `msgpack:"prev,omitempty"`
	Stack string `msgpack:"stack,omitempty"` // of a provider package that panicked, see [Stack]

	// Trace names the span that stored this, as a traceparent header does. "" if
	// its dispatcher makes no spans, or the request's trace is not sampled.
	Trace string `msgpack:"trace,omitempty"`

	// Resolved says that no call led to this: an operator has found out what
	// became of a request that had ended as unknown.
	Resolved bool `msgpack:"resolved,omitempty"`

	Format int `msgpack:"format,omitempty"` // see [Format]
}

// Original is a message of REQUESTS as it was published.
type Original struct {
	Subject string              `msgpack:"subject"` // public form: tram.send.…
	Header  map[string][]string `msgpack:"header,omitempty"`
	Data    []byte              `msgpack:"data"`
	TimeMS  int64               `msgpack:"time"` // when the broker stored it

	// Seq is where the request stands in REQUESTS, or stood before it waited in LATER
	// until it was due. Dispatchers up to November 2026 store none.
	Seq uint64 `msgpack:"seq,omitempty"`
}

// EventIDs returns what the ids of the events about the request are made of, beside
// what each of them tells: how it is named, and where it was stored. A name alone
// is not enough, for who publishes it again, after the broker has forgotten it or
// without Nats-Msg-Id, has made another request.
func (o *Original) EventIDs(source, id string) []string {
	if o.Seq == 0 {
		return []string{source, id}
	}
	return []string{source, id, Place(o.Seq)}
}

// Place names a request by its sequence, for want of a better name.
func Place(seq uint64) string { return "seq:" + strconv.FormatUint(seq, 10) }

// DeadGroup keeps apart what needs a person for different reasons.
type DeadGroup string

const (
	DeadEvent   DeadGroup = "event"   // the request was invalid
	DeadRefused DeadGroup = "refused" // the provider refused it, or every attempt failed
	DeadUnknown DeadGroup = "unknown" // nobody knows whether it was carried out
	DeadAnswer  DeadGroup = "answer"  // the provider's answer could not be read
)

// DeadGroups are all of them.
var DeadGroups = []DeadGroup{DeadEvent, DeadRefused, DeadUnknown, DeadAnswer}

// A DeadLetter is what a person needs to decide about one request.
type DeadLetter struct {
	Group   DeadGroup        `msgpack:"group"`
	Seq     uint64           `msgpack:"seq"`
	Request Original         `msgpack:"request"`
	State   events.State     `msgpack:"state"`
	Why     events.Why       `msgpack:"why"`
	Attempt int              `msgpack:"attempt"`
	Call    int              `msgpack:"call"`
	AtMS    int64            `msgpack:"at"`
	Answer  *channels.Answer `msgpack:"answer,omitempty"` // its body cut to a head
	Stack   string           `msgpack:"stack,omitempty"`  // of a provider package that panicked

	// Attempts are the calls of the request, the last one last. Where the
	// numbers of two that follow each other leave a gap, those between are left
	// out. If the first is not number 1, Missing says why.
	Attempts []Attempt `msgpack:"attempts,omitempty"`
	Missing  string    `msgpack:"missing,omitempty"`

	Format int `msgpack:"format,omitempty"` // see [Format]
}

// An Attempt is one call of a request as a dead letter tells it, without its
// answer's body.
type Attempt struct {
	Call   int          `msgpack:"call"`
	Step   int          `msgpack:"step"`
	AtMS   int64        `msgpack:"at"`              // when the call began, or was given up uncalled
	TookUS int64        `msgpack:"took,omitempty"`  // microseconds
	State  events.State `msgpack:"state,omitempty"` // "": the step was done, and the request went on
	Why    events.Why   `msgpack:"why"`             // its texts cut to 512 bytes each
}

// maxAttemptText bounds each text of an attempt, in bytes.
const maxAttemptText = 512

// AttemptOf returns the call of r as a dead letter tells it.
func AttemptOf(r *Result) Attempt {
	a := Attempt{Call: r.Call, Step: r.Step, AtMS: r.AtMS, State: r.State, Why: r.Why}
	if r.Answer != nil {
		a.AtMS, a.TookUS, a.Why.HTTPStatus = r.Answer.StartedMS, r.Answer.TookUS, r.Answer.Status
	}
	for _, text := range []*string{&a.Why.Detail, &a.Why.ProviderCode, &a.Why.ProviderText} {
		if len(*text) > maxAttemptText {
			*text = strings.ToValidUTF8((*text)[:maxAttemptText], "") + "…"
		}
	}
	return a
}
