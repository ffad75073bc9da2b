package events

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is the second token of a subject and the stem of the event's type.
type Kind string

const (
	KindSend    Kind = "send"
	KindReport  Kind = "report"
	KindCommand Kind = "command"
	KindCancel  Kind = "cancel"

	KindDelivery Kind = "delivery"
	KindStat     Kind = "stat"
	KindRecord   Kind = "record"
	KindOutcome  Kind = "outcome"
	KindLane     Kind = "lane"
)

// RequestKinds are the kinds that other services publish.
var RequestKinds = []Kind{KindSend, KindReport, KindCommand, KindCancel}

// EventKinds are the kinds that the relay publishes.
var EventKinds = []Kind{KindDelivery, KindStat, KindRecord, KindOutcome, KindLane}

// TypePrefix and TypeVersion frame a kind to make its ce-type:
// io.github.tramhq.send.v1.
const (
	TypePrefix  = "io.github.tramhq."
	TypeVersion = ".v1"
)

// Type returns the ce-type of events of kind k.
func (k Kind) Type() string { return TypePrefix + string(k) + TypeVersion }

// Class decides what may pass what inside one account: an urgent request
// passes everything, normal and bulk share what is left by weight.
type Class string

const (
	Urgent Class = "urgent"
	Normal Class = "normal"
	Bulk   Class = "bulk"
)

// Classes lists all classes, the most pressing first.
var Classes = []Class{Urgent, Normal, Bulk}

// Valid reports whether c is one of [Classes].
func (c Class) Valid() bool { return slices.Contains(Classes, c) }

// A Subject is the address of an event:
//
//	tram.<kind>.<provider>.<account>.<last>
//
// Last is the class of a request, the state of a delivery or outcome, the
// report of a stat, the kind of a record, the state of a lane.
type Subject struct {
	Kind     Kind
	Provider string
	Account  string
	Last     string
}

// String returns the subject as NATS wants it.
func (s Subject) String() string {
	return "tram." + string(s.Kind) + "." + s.Provider + "." + s.Account + "." + s.Last
}

// ParseSubject is the reverse of [Subject.String]. It fails unless s has five
// tokens of which the first is tram.
func ParseSubject(s string) (Subject, error) {
	var t [5]string
	n := 0
	for token := range strings.SplitSeq(s, ".") {
		if n < len(t) {
			t[n] = token
		}
		n++
	}
	if n != len(t) || t[0] != "tram" {
		return Subject{}, fmt.Errorf("subject %q: want tram.<kind>.<provider>.<account>.<last>", s)
	}
	return Subject{Kind: Kind(t[1]), Provider: t[2], Account: t[3], Last: t[4]}, nil
}

// maxNameLen bounds provider and account names, in bytes.
const maxNameLen = 64

// ValidName reports whether s can name a provider or an account: 1 to 64 of
// the characters a-z, A-Z, 0-9, '-' and '_'. Names are subject tokens, so a
// phone number or a user id must never be one.
func ValidName(s string) bool {
	if s == "" || len(s) > maxNameLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !ok {
			return false
		}
	}
	return true
}

// Token makes one token of a subject out of a name of the contract, such as
// the name of a report: what cannot stand in a token becomes '_'.
//
//	momo.messages_report → momo_messages_report
func Token(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && ValidName(string(r)) {
			return r
		}
		return '_'
	}, name)
}

// Subject returns the subject that the delivery is published on.
func (d *Delivery) Subject() Subject {
	return Subject{KindDelivery, d.Provider, d.Account, string(d.State)}
}

// Subject returns the subject that the stat is published on.
func (s *Stat) Subject() Subject {
	return Subject{KindStat, s.Provider, s.Account, Token(s.Report)}
}

// Subject returns the subject that the record is published on.
func (r *Record) Subject() Subject {
	return Subject{KindRecord, r.Provider, r.Account, Token(r.Kind)}
}

// Subject returns the subject that the outcome is published on.
func (o *Outcome) Subject() Subject {
	return Subject{KindOutcome, o.Provider, o.Account, string(o.State)}
}

// Subject returns the subject that the change of a lane is published on.
func (l *Lane) Subject() Subject {
	return Subject{KindLane, l.Provider, l.Account, string(l.State)}
}
