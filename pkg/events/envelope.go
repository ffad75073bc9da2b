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
	set(HeaderSpecVersion, specVersion)
	set(HeaderID, m.ID)
	set(HeaderSource, m.Source)
	set(HeaderType, k.Type())
	set(HeaderDataContentType, ContentType)
	set(HeaderMsgID, m.MsgID())
	if !m.Time.IsZero() {
		set(HeaderTime, m.Time.UTC().Format(time.RFC3339Nano))
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

// readMeta reads the envelope. Trace context that is not well formed is
// dropped, as W3C Trace Context demands, section 3.3.
func readMeta(k Kind, h nats.Header, f *faults) Meta {
	for name, values := range h {
		if len(values) != 1 && len(name) > 3 && strings.EqualFold(name[:3], "ce-") {
			f.add(strings.ToLower(name), "is given %d times", len(values))
		}
		if strings.EqualFold(name, "content-type") && len(values) > 0 && strings.HasPrefix(strings.ToLower(values[0]), "application/cloudevents") {
			f.add(name, "announces a structured event: only binary mode is read, with ce-* headers and a msgpack body")
		}
	}
	get := func(name string) string {
		if v := h[name]; len(v) == 1 {
			return v[0]
		}
		return ""
	}
	need := func(name, want string) {
		if _, given := h[name]; !given {
			f.add(name, "is missing%s", otherCase(h, name))
		} else if got := get(name); want != "" && got != want && len(h[name]) == 1 {
			f.add(name, "must be %s", want)
		}
	}
	need(HeaderSpecVersion, specVersion)
	need(HeaderType, k.Type())
	m := Meta{ID: get(HeaderID), Source: get(HeaderSource)}
	for _, a := range [...]struct{ name, value string }{{HeaderID, m.ID}, {HeaderSource, m.Source}} {
		if need(a.name, ""); len(h[a.name]) == 1 {
			checkAttribute(a.name, a.value, f)
		}
	}
	if m.AncestorID = get(HeaderAncestorID); m.AncestorID != "" {
		checkAttribute(HeaderAncestorID, m.AncestorID, f)
	}
	m.Replay = get(HeaderReplay) // whatever it says: who reads it wants to know whether, not which
	if t := get(HeaderTime); t != "" {
		var err error
		if m.Time, err = time.Parse(time.RFC3339, t); err != nil {
			f.add(HeaderTime, "must be a time like 2026-11-21T08:00:00Z (RFC 3339)")
		}
	}
	if ct := get(HeaderDataContentType); ct != "" && ct != ContentType {
		switch media, _, _ := mime.ParseMediaType(ct); media {
		case ContentType, "application/x-msgpack", "application/vnd.msgpack":
		default:
			f.add(HeaderDataContentType, "must be %s or left out", ContentType)
		}
	}
	if t := get(HeaderTraceparent); isTraceHeader(t) {
		m.Traceparent = t
		if s := get(HeaderTracestate); isTraceHeader(s) {
			m.Tracestate = s
		}
	}
	return m
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
