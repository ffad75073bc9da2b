package events

import "time"

// Header names. NATS headers keep their case, so these are written exactly so.
const (
	HeaderSpecVersion     = "ce-specversion"
	HeaderID              = "ce-id"
	HeaderSource          = "ce-source"
	HeaderType            = "ce-type"
	HeaderTime            = "ce-time"
	HeaderDataContentType = "ce-datacontenttype"
	HeaderMsgID           = "Nats-Msg-Id"
	HeaderTraceparent     = "traceparent"
	HeaderTracestate      = "tracestate"
)

// ContentType is the ce-datacontenttype that the relay writes. It reads
// application/x-msgpack and application/vnd.msgpack as well.
const ContentType = "application/msgpack"

// Source is the ce-source of the events that the relay publishes.
const Source = "/tram"

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
}

// MsgID returns the Nats-Msg-Id by which the stream recognises the event when
// it is published again. It carries the source because the broker's memory of
// ids is one for the whole stream, not one per producer.
func (m Meta) MsgID() string { return m.Source + "/" + m.ID }
