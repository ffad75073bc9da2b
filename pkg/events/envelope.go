package events

import (
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Header names. NATS headers keep their case, so these are written exactly so.
const (
	HeaderSpecVersion     = "ce-specversion"
	HeaderID              = "ce-id"
	HeaderSource          = "ce-source"
	HeaderType            = "ce-type"
	HeaderTime            = "ce-time"
	HeaderDataContentType = "ce-datacontenttype"
	HeaderMsgID           = "Nats-Msg-Id"
	HeaderAncestorID      = "ce-ancestorid"
	HeaderReplay          = "ce-replay"
	HeaderTraceparent     = "traceparent"
	HeaderTracestate      = "tracestate"
)

// ContentType is the ce-datacontenttype that the relay writes. It reads
// application/x-msgpack and application/vnd.msgpack as well.
const ContentType = "application/msgpack"

// Source is the ce-source of the events that the relay publishes.
const Source = "/tram"

// specVersion is the CloudEvents version of the envelope.
const specVersion = "1.0"

// Meta is an event's envelope: its CloudEvents attributes and trace context.
//
// ID must be unique within Source; both are 1 to 128 printable ASCII
// characters other than space, '"' and '%', so that no client needs to escape
// them. Neither may carry personal data: they stand in headers and logs.
type Meta struct {
	ID          string
	Source      string
	Time        time.Time // when the fact came to be; zero is left out
	Traceparent string
	Tracestate  string

	// AncestorID is set on a request that an operator has published anew, and
	// on the events about it: the ID, within the same Source, of the request
	// that the producer published. See `tram dead redrive`.
	AncestorID string

	// Replay is set on an event that was published again from stored results:
	// the name of the job that an operator ran. Its ID is that of the first
	// time. See `tram replay events`.
	Replay string
}

// MsgID returns the Nats-Msg-Id by which the stream recognises the event when
// it is published again. It carries the source because the broker's memory of
// ids is one for the whole stream, not one per producer.
func (m Meta) MsgID() string { return m.Source + "/" + m.ID }

// header writes the envelope of an event of kind k.
func (m Meta) header(k Kind) nats.Header {
	h := make(nats.Header, 8)
	v := make([]string, 0, 11) // the values of all headers, in one array
	set := func(name, value string) {
		v = append(v, value)
		h[name] = v[len(v)-1 : len(v) : len(v)]
	}
	// What is put together here is put into one string.
	b := make([]byte, 0, 128)
	b = append(append(append(b, TypePrefix...), k...), TypeVersion...)
	typ := len(b)
	b = append(append(append(b, m.Source...), '/'), m.ID...)
	msgID := len(b)
	if !m.Time.IsZero() {
		b = m.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	}
	made := string(b)
	set(HeaderSpecVersion, specVersion)
	set(HeaderID, m.ID)
	set(HeaderSource, m.Source)
	set(HeaderType, made[:typ])
	set(HeaderDataContentType, ContentType)
	set(HeaderMsgID, made[typ:msgID])
	if !m.Time.IsZero() {
		set(HeaderTime, made[msgID:])
	}
	if m.AncestorID != "" {
		set(HeaderAncestorID, m.AncestorID)
	}
	if m.Replay != "" {
		set(HeaderReplay, m.Replay)
	}
	if m.Traceparent != "" {
		set(HeaderTraceparent, m.Traceparent)
	}
	if m.Tracestate != "" {
		set(HeaderTracestate, m.Tracestate)
	}
	return h
}

// check says what is wrong with an envelope that is to be written.
func (m Meta) check(f *faults) {
	checkAttribute(HeaderID, m.ID, f)
	checkAttribute(HeaderSource, m.Source, f)
	if m.AncestorID != "" {
		checkAttribute(HeaderAncestorID, m.AncestorID, f)
	}
	if m.Replay != "" {
		checkAttribute(HeaderReplay, m.Replay, f)
	}
	if m.Traceparent != "" && !isTraceHeader(m.Traceparent) {
		f.add(HeaderTraceparent, "must be 1 to %d printable ASCII characters", maxTraceLen)
	}
	if m.Tracestate != "" && !isTraceHeader(m.Tracestate) {
		f.add(HeaderTracestate, "must be 1 to %d printable ASCII characters", maxTraceLen)
	}
}

// An attribute is one header of an envelope that is read.
type attribute struct {
	given bool
	once  bool // and so has a value
	value string
}

// readMeta reads the envelope. Trace context that is not well formed is
// dropped, as W3C Trace Context demands, section 3.3.
func readMeta(k Kind, h nats.Header, f *faults) Meta {
	var version, id, source, typ, at, contentType, ancestor, replay, parent, state attribute
	for name, values := range h {
		a := attribute{given: true}
		if len(values) == 1 {
			a.once, a.value = true, values[0]
		} else if len(name) > 3 && strings.EqualFold(name[:3], "ce-") {
			f.add(strings.ToLower(name), "is given %d times", len(values))
		}
		switch name {
		case HeaderSpecVersion:
			version = a
		case HeaderID:
			id = a
		case HeaderSource:
			source = a
		case HeaderType:
			typ = a
		case HeaderTime:
			at = a
		case HeaderDataContentType:
			contentType = a
		case HeaderAncestorID:
			ancestor = a
		case HeaderReplay:
			replay = a
		case HeaderTraceparent:
			parent = a
		case HeaderTracestate:
			state = a
		default:
			if strings.EqualFold(name, "content-type") && len(values) > 0 && strings.HasPrefix(strings.ToLower(values[0]), "application/cloudevents") {
				f.add(name, "announces a structured event: only binary mode is read, with ce-* headers and a msgpack body")
			}
		}
	}
	needAttribute(h, HeaderSpecVersion, version, f)
	if version.once && version.value != specVersion {
		f.add(HeaderSpecVersion, "must be %s", specVersion)
	}
	needAttribute(h, HeaderType, typ, f)
	if typ.once && typ.value != k.Type() {
		f.add(HeaderType, "must be %s", k.Type())
	}
	needAttribute(h, HeaderID, id, f)
	if id.once {
		checkAttribute(HeaderID, id.value, f)
	}
	needAttribute(h, HeaderSource, source, f)
	if source.once {
		checkAttribute(HeaderSource, source.value, f)
	}
	if ancestor.value != "" {
		checkAttribute(HeaderAncestorID, ancestor.value, f)
	}
	// Of replay whatever it says: who reads it wants to know whether, not which.
	m := Meta{ID: id.value, Source: source.value, AncestorID: ancestor.value, Replay: replay.value}
	if at.value != "" {
		var err error
		if m.Time, err = time.Parse(time.RFC3339, at.value); err != nil {
			f.add(HeaderTime, "must be a time like 2026-11-21T08:00:00Z (RFC 3339)")
		}
	}
	if ct := contentType.value; ct != "" && ct != ContentType {
		switch media, _, _ := mime.ParseMediaType(ct); media {
		case ContentType, "application/x-msgpack", "application/vnd.msgpack":
		default:
			f.add(HeaderDataContentType, "must be %s or left out", ContentType)
		}
	}
	if isTraceHeader(parent.value) {
		m.Traceparent = parent.value
		if isTraceHeader(state.value) {
			m.Tracestate = state.value
		}
	}
	return m
}

func needAttribute(h nats.Header, name string, a attribute, f *faults) {
	if !a.given {
		f.add(name, "is missing%s", otherCase(h, name))
	}
}

// otherCase helps with the mistake that everybody used to HTTP makes.
func otherCase(h nats.Header, name string) string {
	for n := range h {
		if strings.EqualFold(n, name) {
			return fmt.Sprintf(": NATS headers keep their case, and %s is another one", n)
		}
	}
	return ""
}

const (
	maxAttributeLen = 128
	maxTraceLen     = 512
)

// checkAttribute says what is wrong with a ce-id or ce-source. The characters
// are those that need no percent-encoding in any CloudEvents binding.
func checkAttribute(name, v string, f *faults) {
	ok := v != "" && len(v) <= maxAttributeLen
	for i := range len(v) {
		c := v[i]
		ok = ok && c > ' ' && c <= '~' && c != '"' && c != '%'
	}
	if !ok {
		f.add(name, `must be 1 to %d printable ASCII characters other than space, " and %%`, maxAttributeLen)
	}
}

func isTraceHeader(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			return false
		}
	}
	return v != "" && len(v) <= maxTraceLen
}
