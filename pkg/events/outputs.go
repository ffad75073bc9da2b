package events

// About says which request an event belongs to. It stands in every event that
// the relay publishes.
type About struct {
	Provider      string `msgpack:"provider" json:"provider"`
	Account       string `msgpack:"account" json:"account"`
	RequestID     string `msgpack:"request_id" json:"request_id"`
	RequestSource string `msgpack:"request_source" json:"request_source"`
	AncestorID    string `msgpack:"ancestor_id,omitempty" json:"ancestor_id,omitempty"` // of a redriven request: the id that its producer gave it
	Context       `msgpack:",inline"`
}

// State is where a request stands.
type State string

const (
	StateDeferred State = "deferred" // waits: throttled, refused credential, retry; the only state that is not final

	StateAccepted  State = "accepted"  // a send: the provider took it
	StateDone      State = "done"      // a report or command: complete; a cancel: the other request will not be called
	StateFailed    State = "failed"    // the provider refused it, or every attempt failed
	StateRejected  State = "rejected"  // invalid or impossible; the provider was never called
	StateUnknown   State = "unknown"   // the call may or may not have been carried out
	StateExpired   State = "expired"   // its time ran out before it was called
	StateCancelled State = "cancelled" // taken back before it was called
)

// Final reports whether s ends a request.
func (s State) Final() bool { return s != StateDeferred }

// Evidence says how sure an accepted send is.
type Evidence string

const (
	Strong  Evidence = "strong"  // the provider said so
	Weak    Evidence = "weak"    // the provider did not say no
	Assumed Evidence = "assumed" // nobody knows; the request's on_ambiguous said to take it as sent

	Operator Evidence = "operator" // a person found out, after the send had ended as unknown
)

// Why explains a state: stable codes for programs, the provider's words for
// people, secrets removed.
type Why struct {
	Class        string `msgpack:"class,omitempty" json:"class,omitempty"`   // retry, throttled, auth, permanent or ambiguous
	Reason       string `msgpack:"reason,omitempty" json:"reason,omitempty"` // docs/reasons.md has one entry for each
	Detail       string `msgpack:"detail,omitempty" json:"detail,omitempty"` // a sentence for a person
	HTTPStatus   int    `msgpack:"http_status,omitempty" json:"http_status,omitempty"`
	ProviderCode string `msgpack:"provider_code,omitempty" json:"provider_code,omitempty"`
	ProviderText string `msgpack:"provider_text,omitempty" json:"provider_text,omitempty"`
}

// Delivery says what became of a send. Each send has exactly one delivery that
// is final.
type Delivery struct {
	About             `msgpack:",inline"`
	State             State     `msgpack:"state" json:"state"`
	Final             bool      `msgpack:"final" json:"final"`
	Attempt           int       `msgpack:"attempt" json:"attempt"` // calls made so far, throttled ones not counted
	AtMS              int64     `msgpack:"at_ms" json:"at_ms"`
	Recipient         Recipient `msgpack:"recipient" json:"recipient"`
	Evidence          Evidence  `msgpack:"evidence,omitempty" json:"evidence,omitempty"`
	ProviderMessageID string    `msgpack:"provider_message_id,omitempty" json:"provider_message_id,omitempty"`
	RetryAtMS         int64     `msgpack:"retry_at_ms,omitempty" json:"retry_at_ms,omitempty"` // deferred only: not before
	Warnings          []string  `msgpack:"warnings,omitempty" json:"warnings,omitempty"`
	Why               `msgpack:",inline"`
}

// Outcome says how a report, command or cancel ended. Each has exactly one that
// is final.
type Outcome struct {
	About     `msgpack:",inline"`
	Kind      Kind     `msgpack:"kind" json:"kind"` // report, command or cancel
	Name      string   `msgpack:"name" json:"name"` // momo.messages_report, conversation.assign; of a cancel the id of the other request
	State     State    `msgpack:"state" json:"state"`
	Final     bool     `msgpack:"final" json:"final"`
	Attempt   int      `msgpack:"attempt" json:"attempt"`
	AtMS      int64    `msgpack:"at_ms" json:"at_ms"`
	Pages     int      `msgpack:"pages,omitempty" json:"pages,omitempty"`     // answers fetched
	Stats     int      `msgpack:"stats,omitempty" json:"stats,omitempty"`     // stat events published over all pages
	Records   int      `msgpack:"records,omitempty" json:"records,omitempty"` // record events published over all pages
	Result    string   `msgpack:"result,omitempty" json:"result,omitempty"`   // a command's answer, as JSON text
	RetryAtMS int64    `msgpack:"retry_at_ms,omitempty" json:"retry_at_ms,omitempty"`
	Warnings  []string `msgpack:"warnings,omitempty" json:"warnings,omitempty"`
	Why       `msgpack:",inline"`
}

// Unit says what a stat's value counts.
type Unit string

const (
	UnitCount   Unit = "count"
	UnitRatio   Unit = "ratio"
	UnitMoney   Unit = "money" // Currency says which
	UnitSeconds Unit = "seconds"
	UnitMillis  Unit = "ms"
	UnitUnknown Unit = "unknown"
)

// Agg says how values of one metric may be put together. Only AggSum may be
// added up over time.
type Agg string

const (
	AggSum        Agg = "sum"
	AggUnique     Agg = "unique"
	AggAvg        Agg = "avg"
	AggRatio      Agg = "ratio"
	AggSnapshot   Agg = "snapshot"   // how it stood when fetched
	AggCumulative Agg = "cumulative" // grows from fetch to fetch: the newest replaces
)

// Origin says whether a unit or zone was told by the provider or assumed.
type Origin string

const (
	Declared   Origin = "declared"
	Configured Origin = "configured"
	Guessed    Origin = "assumed"
)

// Bucket is the time that a stat covers. Snapshots have only AtMS.
type Bucket struct {
	StartMS     int64  `msgpack:"start_ms,omitempty" json:"start_ms,omitempty"`
	EndMS       int64  `msgpack:"end_ms,omitempty" json:"end_ms,omitempty"` // exclusive
	AtMS        int64  `msgpack:"at_ms,omitempty" json:"at_ms,omitempty"`
	Granularity string `msgpack:"granularity,omitempty" json:"granularity,omitempty"`
	Zone        string `msgpack:"zone,omitempty" json:"zone,omitempty"`
	ZoneSource  Origin `msgpack:"zone_source,omitempty" json:"zone_source,omitempty"`
	Label       string `msgpack:"label,omitempty" json:"label,omitempty"` // the provider's own words for it
}

// Stat is one statistics point in the form that is the same for all providers.
// A repeated fetch yields the same Key: upsert by it, never add up.
type Stat struct {
	About      `msgpack:",inline"`
	Key        string            `msgpack:"key" json:"key"`
	Report     string            `msgpack:"report" json:"report"`
	Metric     string            `msgpack:"metric" json:"metric"` // the provider's own name
	Alias      string            `msgpack:"alias,omitempty" json:"alias,omitempty"`
	Value      *string           `msgpack:"value" json:"value"`                 // decimal text; nil: the provider said null, which is not 0
	Raw        string            `msgpack:"raw,omitempty" json:"raw,omitempty"` // the JSON token as it stood in the answer
	Unit       Unit              `msgpack:"unit" json:"unit"`
	Currency   string            `msgpack:"currency,omitempty" json:"currency,omitempty"`
	UnitSource Origin            `msgpack:"unit_source,omitempty" json:"unit_source,omitempty"`
	Agg        Agg               `msgpack:"agg" json:"agg"`
	Bucket     Bucket            `msgpack:"bucket" json:"bucket"`
	Dims       map[string]string `msgpack:"dims,omitempty" json:"dims,omitempty"`
	Flags      []string          `msgpack:"flags,omitempty" json:"flags,omitempty"` // in_development, approximate, derived, not_measured, scale_unknown, zone_assumed, unit_assumed
	Path       string            `msgpack:"path" json:"path"`                       // JSON pointer into the answer
	Page       int               `msgpack:"page" json:"page"`                       // which answer of the request, from 1
	FetchedMS  int64             `msgpack:"fetched_at_ms" json:"fetched_at_ms"`
}

// Record is one object of the provider: a campaign, conversation, message,
// customer, page, capability.
type Record struct {
	About     `msgpack:",inline"`
	Key       string            `msgpack:"key" json:"key"` // upsert by it
	Report    string            `msgpack:"report" json:"report"`
	Kind      string            `msgpack:"kind" json:"kind"`
	ID        string            `msgpack:"id" json:"id"`                           // the provider's id of the object
	Attrs     map[string]string `msgpack:"attrs,omitempty" json:"attrs,omitempty"` // parts with a meaning of their own, times as unix ms with the suffix _ms
	Object    string            `msgpack:"object" json:"object"`                   // the provider's object as JSON text, secrets removed
	Path      string            `msgpack:"path" json:"path"`
	Page      int               `msgpack:"page" json:"page"`
	FetchedMS int64             `msgpack:"fetched_at_ms" json:"fetched_at_ms"`
}

// LaneState says whether an account is called, and if not why.
type LaneState string

const (
	LaneWorking           LaneState = "working"            // called, when there is something to do
	LanePaused            LaneState = "paused"             // by an operator, until an operator resumes it
	LaneCredentialRefused LaneState = "credential_refused" // until another credential is configured, or an operator resumes it
	LaneBreakerOpen       LaneState = "breaker_open"       // the provider fails: not called at all
	LaneBreakerProbing    LaneState = "breaker_probing"    // the next call shows whether the provider still fails
	LaneSilenced          LaneState = "silenced"           // the provider has told how long it wants no call
)

// Lane says that the state of an account has changed: that it is not called any
// more and why, or that it is again. Changes that undo each other within seconds
// may be left out.
type Lane struct {
	Provider string    `msgpack:"provider" json:"provider"`
	Account  string    `msgpack:"account" json:"account"`
	State    LaneState `msgpack:"state" json:"state"`
	Was      LaneState `msgpack:"was" json:"was"` // as the event before had it; working if there was none
	SinceMS  int64     `msgpack:"since_ms" json:"since_ms"`
	UntilMS  int64     `msgpack:"until_ms,omitempty" json:"until_ms,omitempty"` // not called before; 0: nobody knows
	By       string    `msgpack:"by,omitempty" json:"by,omitempty"`             // the operator who has paused or resumed it
	Why      `msgpack:",inline"`
}
