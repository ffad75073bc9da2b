package events

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Stable codes for why an event was refused; docs/reasons.md explains each.
const (
	ReasonOversize    = "oversize"        // the body is over [MaxBody]
	ReasonMalformed   = "malformed_body"  // the body is not one msgpack map
	ReasonEnvelope    = "bad_envelope"    // the subject or a header is wrong
	ReasonUnknownKind = "unknown_kind"    // the subject names a kind that does not exist
	ReasonInvalid     = "invalid_request" // a field is wrong, or fields do not go together
)

// A Fault is one thing that is wrong with an event. Problem never quotes what
// may be personal: values of recipients, contents, parameters, attributes.
type Fault struct {
	Field   string // dotted path in the body, name of a header, "subject" or "body"
	Problem string
}

func (f Fault) String() string { return f.Field + ": " + f.Problem }

// An InvalidError says that a request cannot be carried out, or that fields of
// an event have wrong types, with all faults at once.
type InvalidError struct {
	Kind   Kind
	Faults []Fault
}

func (e *InvalidError) Error() string {
	return sentence("invalid "+cmp.Or(string(e.Kind), "request"), e.Faults)
}

// A DecodeError says that a message is not an event of this contract, with all
// faults that could be told apart.
type DecodeError struct {
	Reason string // one of the Reason constants but ReasonInvalid
	Faults []Fault
}

func (e *DecodeError) Error() string { return sentence(e.Reason, e.Faults) }

// ReasonOf returns the stable code of a [*DecodeError] or [*InvalidError], and
// "" for any other error.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*DecodeError](err); ok {
		return e.Reason
	}
	if _, ok := errors.AsType[*InvalidError](err); ok {
		return ReasonInvalid
	}
	return ""
}

// sentence writes "invalid send: sender.id: is missing", and numbers the
// faults when there are several.
func sentence(head string, faults []Fault) string {
	if len(faults) == 1 {
		return head + ": " + faults[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d faults:", head, len(faults))
	for i, f := range faults {
		fmt.Fprintf(&b, " (%d) %s", i+1, f)
	}
	return b.String()
}

// maxFaults bounds what one hostile body can make us write.
const maxFaults = 20

// faults gathers what is wrong.
type faults []Fault

func (f *faults) add(field, format string, args ...any) {
	if len(*f) < maxFaults {
		*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
	}
}

// oneOf adds a fault unless got is among the values.
func (f *faults) oneOf(field, got string, want ...string) {
	if slices.Contains(want, got) {
		return
	}
	switch {
	case got == "":
		f.add(field, "is missing: give %s", choice(want))
	case plain(got) != "":
		f.add(field, "must be %s, not %s", choice(want), got)
	default:
		f.add(field, "must be %s", choice(want))
	}
}

// maxTold bounds how many names one list in an error has.
const maxTold = 20

// choice writes "a, b or c".
func choice(s []string) string {
	if n := len(s); n > maxTold {
		return fmt.Sprintf("%s or one of %d others", strings.Join(s[:maxTold], ", "), n-maxTold)
	} else if n > 1 {
		return strings.Join(s[:n-1], ", ") + " or " + s[n-1]
	}
	return strings.Join(s, "")
}

// enumerate writes "a, b, c".
func enumerate(s []string) string {
	if n := len(s); n > maxTold {
		return fmt.Sprintf("%s and %d more", strings.Join(s[:maxTold], ", "), n-maxTold)
	}
	return strings.Join(s, ", ")
}

// plain returns s if it can be told in an error, since it looks like a name of
// the contract and not like a phone number, an id, a secret or a text; else "".
func plain(s string) string {
	if len(s) > maxNameLen {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '-' && (c < '0' || c > '9')) {
			return ""
		}
	}
	return s
}
