package events

import (
	"cmp"
	"time"
)

// Context travels through the relay untouched: what a request carries here
// stands again in every event about it.
type Context struct {
	Tenant        string            `msgpack:"tenant,omitempty" json:"tenant,omitempty"`
	CorrelationID string            `msgpack:"correlation_id,omitempty" json:"correlation_id,omitempty"`
	Metadata      map[string]string `msgpack:"metadata,omitempty" json:"metadata,omitempty"`
}

// Timing bounds when a request may be carried out. Both are unix milliseconds;
// zero means no bound.
type Timing struct {
	NotBeforeMS int64 `msgpack:"not_before_ms,omitempty" json:"not_before_ms,omitempty"` // never called earlier
	ExpiresAtMS int64 `msgpack:"expires_at_ms,omitempty" json:"expires_at_ms,omitempty"` // never called at or after it: ends as expired
}

// Send asks for one message to one recipient.
type Send struct {
	Recipient   Recipient   `msgpack:"recipient" json:"recipient"`
	Content     Content     `msgpack:"content" json:"content"`
	Sender      Sender      `msgpack:"sender,omitempty" json:"sender,omitzero"`
	Attributes  []Attribute `msgpack:"attributes,omitempty" json:"attributes,omitempty"`
	Policy      Policy      `msgpack:"policy,omitempty" json:"policy,omitzero"`
	OnAmbiguous OnAmbiguous `msgpack:"on_ambiguous,omitempty" json:"on_ambiguous,omitempty"` // "" takes the account's default
	OrderKey    string      `msgpack:"order_key,omitempty" json:"order_key,omitempty"`       // sends of one account with the same key go out in order
	Timing      `msgpack:",inline"`
	Context     `msgpack:",inline"`
}

// RecipientKind says what a recipient's value is.
type RecipientKind string

const (
	ByMessengerUserID RecipientKind = "messenger_user_id"
	ByPhone           RecipientKind = "phone"
	ByContactID       RecipientKind = "contact_id"
)

// Recipient is the person a message goes to. Value is always text: an id read
// as a number loses digits.
type Recipient struct {
	Kind  RecipientKind `msgpack:"kind" json:"kind"`
	Value string        `msgpack:"value" json:"value"`
}

// ContentKind says which fields of a [Content] are meant.
type ContentKind string

const (
	ContentBlock    ContentKind = "block"    // BlockName
	ContentTemplate ContentKind = "template" // TemplateRef, Params
	ContentText     ContentKind = "text"     // Text
)

// Content is what is said: a block prepared at the provider, a template
// (script) with parameters, or text.
type Content struct {
	Kind        ContentKind       `msgpack:"kind" json:"kind"`
	BlockName   string            `msgpack:"block_name,omitempty" json:"block_name,omitempty"`
	TemplateRef string            `msgpack:"template_ref,omitempty" json:"template_ref,omitempty"`
	Params      map[string]string `msgpack:"params,omitempty" json:"params,omitempty"`
	Text        string            `msgpack:"text,omitempty" json:"text,omitempty"`
}

// Sender overrides who the message comes from: at CareSoft the Zalo OA id.
type Sender struct {
	ID string `msgpack:"id,omitempty" json:"id,omitempty"`
}

// Attribute is a value that the provider stores on the recipient.
type Attribute struct {
	Name  string `msgpack:"name" json:"name"`
	Value string `msgpack:"value" json:"value"`
}

// Policy is what the sender knows about its right to send.
type Policy struct {
	MessageTag string `msgpack:"message_tag,omitempty" json:"message_tag,omitempty"` // AhaChat, passed verbatim
	ExpectKind string `msgpack:"expect_kind,omitempty" json:"expect_kind,omitempty"` // consultation, transaction or promotion
	Precheck   string `msgpack:"precheck,omitempty" json:"precheck,omitempty"`       // none (default) or user_status
}

// OnAmbiguous says what to do with a send of which nobody can know whether the
// provider carried it out.
type OnAmbiguous string

const (
	Hold       OnAmbiguous = "hold"        // end as unknown, with a dead letter for a person to decide
	Resend     OnAmbiguous = "resend"      // call again: the recipient may get it twice
	AssumeSent OnAmbiguous = "assume_sent" // end as accepted with evidence "assumed"
)

// Report asks for statistics or records.
type Report struct {
	Report      string            `msgpack:"report" json:"report"`                   // e.g. momo.messages_report
	Pages       []string          `msgpack:"pages,omitempty" json:"pages,omitempty"` // provider page ids; empty means the account's own
	Range       Range             `msgpack:"range,omitempty" json:"range,omitzero"`
	Granularity string            `msgpack:"granularity,omitempty" json:"granularity,omitempty"` // hour, day, week, month, days_28 or range
	GroupBy     []string          `msgpack:"group_by,omitempty" json:"group_by,omitempty"`
	Metrics     []string          `msgpack:"metrics,omitempty" json:"metrics,omitempty"`
	Filters     map[string]string `msgpack:"filters,omitempty" json:"filters,omitempty"`
	Recipient   Recipient         `msgpack:"recipient,omitempty" json:"recipient,omitzero"` // for reports about one person
	Sender      Sender            `msgpack:"sender,omitempty" json:"sender,omitzero"`
	OrderBy     string            `msgpack:"order_by,omitempty" json:"order_by,omitempty"`
	Page        Paging            `msgpack:"page,omitempty" json:"page,omitzero"`
	Timing      `msgpack:",inline"`
	Context     `msgpack:",inline"`
}

// Range is the half-open time [from, to) of a report, given as instants, as
// local dates with a zone, or as a preset of the provider.
type Range struct {
	FromMS   int64  `msgpack:"from_ms,omitempty" json:"from_ms,omitempty"` // unix milliseconds
	ToMS     int64  `msgpack:"to_ms,omitempty" json:"to_ms,omitempty"`
	FromDate string `msgpack:"from_date,omitempty" json:"from_date,omitempty"` // 2026-11-21
	ToDate   string `msgpack:"to_date,omitempty" json:"to_date,omitempty"`
	Zone     string `msgpack:"zone,omitempty" json:"zone,omitempty"` // IANA name; "" means the account's zone
	Preset   string `msgpack:"preset,omitempty" json:"preset,omitempty"`
}

// Paging bounds how a report is fetched. Zero means the provider package's
// default for Size and no bound for MaxPages.
type Paging struct {
	Size     int `msgpack:"size,omitempty" json:"size,omitempty"`
	MaxPages int `msgpack:"max_pages,omitempty" json:"max_pages,omitempty"`
}

// Command asks for a change at the provider.
type Command struct {
	Command        string   `msgpack:"command" json:"command"` // e.g. conversation.tag.add
	PageID         string   `msgpack:"page_id,omitempty" json:"page_id,omitempty"`
	ConversationID string   `msgpack:"conversation_id,omitempty" json:"conversation_id,omitempty"`
	TagID          string   `msgpack:"tag_id,omitempty" json:"tag_id,omitempty"`
	AssigneeIDs    []string `msgpack:"assignee_ids,omitempty" json:"assignee_ids,omitempty"`
	Timing         `msgpack:",inline"`
	Context        `msgpack:",inline"`
}

// Cancel asks that another request of the same account is not carried out. It
// reaches what was published before it and has not been called, and its outcome
// says which of the two happened: done, or failed because it came too late.
type Cancel struct {
	ID      string `msgpack:"id" json:"id"`                             // ce-id of the other request
	Source  string `msgpack:"source,omitempty" json:"source,omitempty"` // its ce-source; "" means the cancel's own
	Context `msgpack:",inline"`
}

// A Request is one event that came in, decoded. Exactly one of Send, Report,
// Command and Cancel is set, as Kind says.
type Request struct {
	Meta
	Kind     Kind
	Provider string
	Account  string
	Class    Class

	Send    *Send
	Report  *Report
	Command *Command
	Cancel  *Cancel
}

// Subject returns the subject the request is published on.
func (r *Request) Subject() Subject {
	return Subject{Kind: r.Kind, Provider: r.Provider, Account: r.Account, Last: string(r.Class)}
}

// Timing returns the request's time bounds.
func (r *Request) Timing() Timing {
	switch {
	case r.Send != nil:
		return r.Send.Timing
	case r.Report != nil:
		return r.Report.Timing
	case r.Command != nil:
		return r.Command.Timing
	}
	return Timing{}
}

// Context returns what the request wants to see again.
func (r *Request) Context() Context {
	switch {
	case r.Send != nil:
		return r.Send.Context
	case r.Report != nil:
		return r.Report.Context
	case r.Command != nil:
		return r.Command.Context
	case r.Cancel != nil:
		return r.Cancel.Context
	}
	return Context{}
}

// Expired reports whether the request must no longer be carried out at t.
func (r *Request) Expired(t time.Time) bool {
	at := r.Timing().ExpiresAtMS
	return at != 0 && t.UnixMilli() >= at
}

// Target returns source and id of the request that a cancel is about.
func (r *Request) Target() (source, id string) {
	return cmp.Or(r.Cancel.Source, r.Source), r.Cancel.ID
}

// body returns the part of r that its kind names, with its layout; nil if r
// has not just that part.
func (r *Request) body() (l *layout, body any) {
	parts := 0
	part := func(k Kind, given bool, of *layout, b any) {
		if given {
			parts++
		}
		if given && r.Kind == k {
			l, body = of, b
		}
	}
	part(KindSend, r.Send != nil, sendLayout, r.Send)
	part(KindReport, r.Report != nil, reportLayout, r.Report)
	part(KindCommand, r.Command != nil, commandLayout, r.Command)
	part(KindCancel, r.Cancel != nil, cancelLayout, r.Cancel)
	if parts != 1 {
		return nil, nil
	}
	return l, body
}
