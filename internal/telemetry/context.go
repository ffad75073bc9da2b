package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tramhq/tram/pkg/events"
)

// carrier reads trace context from the header of a message. The names of NATS
// headers keep their case, so [propagation.HeaderCarrier], which writes
// Traceparent, would neither find what others write nor be found by them.
type carrier nats.Header

func (c carrier) Get(name string) string { return nats.Header(c).Get(name) }

func (c carrier) Set(name, value string) { nats.Header(c).Set(name, value) }

func (c carrier) Keys() []string { return []string{events.HeaderTraceparent, events.HeaderTracestate} }

var w3c propagation.TraceContext

// Remote returns ctx with the span that the header names as its span, if there
// is one that is well formed.
func Remote(ctx context.Context, h nats.Header) context.Context { return w3c.Extract(ctx, carrier(h)) }

// Traceparent names a span in the way that [Parent] reads.
func Traceparent(sc trace.SpanContext) string {
	h := nats.Header{}
	w3c.Inject(trace.ContextWithSpanContext(context.Background(), sc), carrier(h))
	return h.Get(events.HeaderTraceparent)
}

// Parent returns ctx with the span that traceparent names as its span.
func Parent(ctx context.Context, traceparent string) context.Context {
	return Remote(ctx, nats.Header{events.HeaderTraceparent: {traceparent}})
}

// Child names the span that sends what, and is a child of the one that parent
// names. The same names give the same child: an event that is made again is the
// same event. It returns "" if parent names no span.
func Child(parent, what string) string {
	sc := trace.SpanContextFromContext(Parent(context.Background(), parent))
	if !sc.IsValid() {
		return ""
	}
	var id trace.SpanID
	_, _ = hex.Decode(id[:], []byte(events.DeterministicID("span", parent, what))[:2*len(id)])
	return Traceparent(sc.WithSpanID(id))
}

// Root returns ctx in which the next span begins the trace of a request that
// came without one: the same trace for all who carry the request out, at
// whatever try, so that nobody has to remember it.
func Root(ctx context.Context, source, id string) context.Context {
	traceID, _ := trace.TraceIDFromHex(events.DeterministicID("trace", source, id))
	return context.WithValue(ctx, idsKey{}, ids{trace: traceID})
}

// Named returns ctx in which the next span that is started has the id of the one
// that traceparent names.
func Named(ctx context.Context, traceparent string) context.Context {
	sc := trace.SpanContextFromContext(Parent(context.Background(), traceparent))
	return context.WithValue(ctx, idsKey{}, ids{sc.TraceID(), sc.SpanID()})
}

// ids are those that the next span has; zero is any.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

type idsKey struct{}

// A generator gives a span the ids that its context wants, and random ones to
// all others.
type generator struct{}

func (g generator) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	want, _ := ctx.Value(idsKey{}).(ids)
	for !want.trace.IsValid() {
		binary.NativeEndian.PutUint64(want.trace[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(want.trace[8:], rand.Uint64())
	}
	return want.trace, g.NewSpanID(ctx, want.trace)
}

func (generator) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	want, _ := ctx.Value(idsKey{}).(ids)
	for !want.span.IsValid() {
		binary.NativeEndian.PutUint64(want.span[:], rand.Uint64())
	}
	return want.span
}
