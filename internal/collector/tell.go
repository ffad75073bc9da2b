package collector

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/events"
)

// told is what those who run the relay are told of one result: how long its
// events took and, where its dispatcher and this collector make spans, one that
// it was processed and one for each kind of event that was sent. There may be
// thousands of events of a kind, and they carry the name of one span all alike.
//
// It is told when all events are stored. A result that comes again is told
// again, with the same spans of sending.
type told struct {
	decided time.Time // when the result was
	process trace.Span
	sends   []trace.Span
}

// tell begins what is told of r, which was begun to be read at the given time
// and has these events. It returns nil if that is nothing.
func (l *lane) tell(r *ledger.Result, begun time.Time, msgs []*nats.Msg) *told {
	if r == nil {
		return nil
	}
	t := &told{decided: time.UnixMilli(r.AtMS)}
	if l.Tracer == nil || r.Trace == "" {
		return t
	}
	_, t.process = l.Tracer.Start(traceOf(r), telemetry.Process+" "+broker.Results, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(begun), trace.WithAttributes(telemetry.Messaging(telemetry.Process, broker.Results)...),
		trace.WithAttributes(telemetry.MessagingGroup.String(Durable), telemetry.Call.Int(r.Call), telemetry.State.String(string(r.State))))
	parent := trace.ContextWithSpan(context.Background(), t.process)
	for len(msgs) > 0 {
		kind, name := kindOf(msgs[0]), msgs[0].Header.Get(events.HeaderTraceparent)
		n := slices.IndexFunc(msgs, func(m *nats.Msg) bool { return kindOf(m) != kind })
		if n < 0 {
			n = len(msgs)
		}
		if name != "" { // dead letters have none: they are for people
			to := "tram." + kind
			_, send := l.Tracer.Start(telemetry.Named(parent, name), telemetry.Send+" "+to, trace.WithSpanKind(trace.SpanKindProducer),
				trace.WithAttributes(telemetry.Messaging(telemetry.Send, to)...), trace.WithAttributes(telemetry.MessagingBatch.Int(n)))
			t.sends = append(t.sends, send)
		}
		msgs = msgs[n:]
	}
	return t
}

// kindOf returns the second token of the subject: tram.<kind>.…
func kindOf(m *nats.Msg) string {
	_, rest, _ := strings.Cut(m.Subject, ".")
	kind, _, _ := strings.Cut(rest, ".")
	return kind
}

// traceOf is the context that what happens to r is told in.
func traceOf(r *ledger.Result) context.Context {
	if r.Trace == "" {
		return telemetry.Remote(context.Background(), r.Request.Header)
	}
	return telemetry.Parent(context.Background(), r.Trace)
}

// end tells that all events are stored.
func (t *told) end(o Observer) {
	if t == nil {
		return
	}
	traceID := ""
	for _, send := range t.sends {
		send.End()
	}
	if t.process != nil {
		t.process.End()
		if sc := t.process.SpanContext(); sc.IsSampled() {
			traceID = sc.TraceID().String()
		}
	}
	o.Collected(time.Since(t.decided), traceID)
}
