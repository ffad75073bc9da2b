package events

import (
	"errors"

	"github.com/nats-io/nats.go"
)

// EncodeRequest writes r as the message to publish. It checks the envelope and
// the address, but neither the body ([Request.Validate]) nor what the account
// takes ([Contract.Check]). Its error is an [*InvalidError].
func EncodeRequest(r *Request) (*nats.Msg, error) {
	var f faults
	l, body := r.body()
	if body == nil {
		f.add("kind", "must be %s with the body of that name", choice(kindNames(RequestKinds)))
	}
	r.checkAddress(&f)
	return encode(r.Meta, r.Subject(), l, body, f)
}

// EncodeDelivery writes d as the message to publish.
func EncodeDelivery(m Meta, d *Delivery) (*nats.Msg, error) {
	return encode(m, d.Subject(), deliveryLayout, d, nil)
}

// EncodeStat writes s as the message to publish.
func EncodeStat(m Meta, s *Stat) (*nats.Msg, error) {
	return encode(m, s.Subject(), statLayout, s, nil)
}

// EncodeRecord writes r as the message to publish.
func EncodeRecord(m Meta, r *Record) (*nats.Msg, error) {
	return encode(m, r.Subject(), recordLayout, r, nil)
}

// EncodeOutcome writes o as the message to publish.
func EncodeOutcome(m Meta, o *Outcome) (*nats.Msg, error) {
	return encode(m, o.Subject(), outcomeLayout, o, nil)
}

// EncodeLane writes l as the message to publish.
func EncodeLane(m Meta, l *Lane) (*nats.Msg, error) {
	return encode(m, l.Subject(), laneLayout, l, nil)
}

func encode(m Meta, s Subject, l *layout, body any, f faults) (*nats.Msg, error) {
	m.check(&f)
	if !ValidName(s.Provider) || !ValidName(s.Account) || !ValidName(s.Last) {
		f.add("subject", "has a part that is not 1 to %d of a-z, A-Z, 0-9, - and _", maxNameLen)
	}
	if f != nil {
		return nil, &InvalidError{s.Kind, f}
	}
	data, err := encodeBody(l, body)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBody {
		f.add("body", "has %d bytes, at most %d are allowed", len(data), MaxBody)
		return nil, &InvalidError{s.Kind, f}
	}
	return &nats.Msg{Subject: s.String(), Header: m.header(s.Kind), Data: data}, nil
}

// DecodeRequest reads a request from a message of the given subject, which
// must be in its public form. It checks the envelope and the types of the
// fields; what the fields say is for [Request.Validate] or [Contract.Check].
//
// The error is a [*DecodeError] if the message is none, an [*InvalidError] if
// fields have wrong types. Even then the request holds what could be read, so
// that its producer can be told: it is nil only if the subject is none of a
// request, and has no body only if the message's body is unreadable.
//
// All texts of its body are parts of one string, which stays in memory as long
// as one of them does: whoever keeps a text for longer than the request clones it.
func DecodeRequest(subject string, header nats.Header, data []byte) (*Request, error) {
	s, err := ParseSubject(subject)
	if err != nil {
		return nil, &DecodeError{ReasonEnvelope, []Fault{{"subject", "must be tram.<kind>.<provider>.<account>.<class>"}}}
	}
	r := &Request{Kind: s.Kind, Provider: s.Provider, Account: s.Account, Class: Class(s.Last)}
	switch s.Kind {
	case KindSend:
		r.Send = new(Send)
	case KindReport:
		r.Report = new(Report)
	case KindCommand:
		r.Command = new(Command)
	case KindCancel:
		r.Cancel = new(Cancel)
	default:
		return nil, unknownKind(s.Kind, RequestKinds)
	}
	var env faults
	r.Meta = readMeta(s.Kind, header, &env)
	r.checkAddress(&env)
	l, body := r.body()
	fields, err := decodeBody(data, l, body, shared)
	err = refusal(s.Kind, env, fields, err)
	if reason := ReasonOf(err); reason == ReasonMalformed || reason == ReasonOversize {
		r.Send, r.Report, r.Command, r.Cancel = nil, nil, nil, nil
	}
	return r, err
}

// An Event is one event that came out, decoded. Exactly one of the pointers is
// set, as Subject.Kind says.
type Event struct {
	Meta
	Subject Subject
	Seq     uint64 // in [EventsStream]; set by [Subscribe]

	Delivery *Delivery
	Stat     *Stat
	Record   *Record
	Outcome  *Outcome
	Lane     *Lane
}

// About returns which request the event belongs to. An event about a lane
// belongs to none, and has only provider and account.
func (e *Event) About() About {
	switch {
	case e.Delivery != nil:
		return e.Delivery.About
	case e.Stat != nil:
		return e.Stat.About
	case e.Record != nil:
		return e.Record.About
	case e.Outcome != nil:
		return e.Outcome.About
	case e.Lane != nil:
		return About{Provider: e.Lane.Provider, Account: e.Lane.Account}
	}
	return About{}
}

// DecodeEvent reads an event that the relay published. The error is a
// [*DecodeError] or [*InvalidError].
func DecodeEvent(subject string, header nats.Header, data []byte) (*Event, error) {
	s, err := ParseSubject(subject)
	if err != nil {
		return nil, &DecodeError{ReasonEnvelope, []Fault{{"subject", "must be tram.<kind>.<provider>.<account>.<last>"}}}
	}
	e := &Event{Subject: s}
	var l *layout
	var body any
	switch s.Kind {
	case KindDelivery:
		e.Delivery = new(Delivery)
		l, body = deliveryLayout, e.Delivery
	case KindStat:
		e.Stat = new(Stat)
		l, body = statLayout, e.Stat
	case KindRecord:
		e.Record = new(Record)
		l, body = recordLayout, e.Record
	case KindOutcome:
		e.Outcome = new(Outcome)
		l, body = outcomeLayout, e.Outcome
	case KindLane:
		e.Lane = new(Lane)
		l, body = laneLayout, e.Lane
	default:
		return nil, unknownKind(s.Kind, EventKinds)
	}
	var env faults
	e.Meta = readMeta(s.Kind, header, &env)
	fields, err := decodeBody(data, l, body, apart) // readers may keep an id for long
	if err := refusal(s.Kind, env, fields, err); err != nil {
		return nil, err
	}
	return e, nil
}

func unknownKind(k Kind, known []Kind) error {
	var f faults
	f.oneOf("subject", string(k), kindNames(known)...)
	return &DecodeError{ReasonUnknownKind, f}
}

func kindNames(kinds []Kind) []string {
	var s []string
	for _, k := range kinds {
		s = append(s, string(k))
	}
	return s
}

// refusal returns the error for what is wrong with an envelope, with fields and
// with a body as such. Its reason is the gravest one: an unreadable body before a
// bad envelope before a wrong field.
func refusal(k Kind, env, fields faults, body error) error {
	all := append(env, fields...)
	switch {
	case body != nil:
		e, _ := errors.AsType[*DecodeError](body)
		return &DecodeError{e.Reason, append(e.Faults, all...)}
	case env != nil:
		return &DecodeError{ReasonEnvelope, all}
	case fields != nil:
		return &InvalidError{k, all}
	}
	return nil
}
