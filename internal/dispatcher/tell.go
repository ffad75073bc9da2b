package dispatcher

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// What an execution tells those who run the relay: spans, if there is a tracer
// and the request's trace is sampled; a line of the log about its call; and what
// the meter counts. None of it holds who a message is to, what it says, or a
// credential.
//
// Each try of a request is a span of its own, a child of the producer's span, so
// it does not matter which dispatcher makes it. It ends when the result is
// stored; an execution that comes to no result leaves no span.

// CallLog says about which calls the log has a line.
type CallLog string

const (
	LogFailed CallLog = "failed" // those whose answer was not judged OK
	LogAll    CallLog = "all"
	LogNone   CallLog = "none"
)

// begin notes when x begins, and begins its span.
func (x *execution) begin() {
	x.began = time.Now()
	t := x.p.d.cfg.Tracer
	if t == nil {
		return
	}
	header := x.e.msg.Header
	ctx := telemetry.Remote(context.Background(), header)
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = telemetry.Root(ctx, header.Get(events.HeaderSource), cmp.Or(header.Get(events.HeaderAncestorID), header.Get(events.HeaderID)))
	}
	from := "tram.request" // of what cannot be read not even that is known
	if x.e.req != nil {
		from = "tram." + string(x.e.req.Kind)
	}
	_, span := t.Start(ctx, telemetry.Process+" "+from, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(x.began))
	if !span.IsRecording() { // it is not sampled, as most are not, and to describe it costs more than to begin it
		return
	}
	x.span = span
	span.SetAttributes(telemetry.Messaging(telemetry.Process, from)...)
	span.SetAttributes(
		telemetry.Provider.String(x.l.key.provider), telemetry.Account.String(x.l.key.account),
		telemetry.Class.String(string(x.l.key.class(x.e.class))), telemetry.Seq.Int64(int64(x.e.msg.Seq)),
		telemetry.Owner.String(x.p.intents.owner), telemetry.QueuedMS.Int64(x.queued().Milliseconds()))
	if req := x.e.req; req != nil {
		span.SetAttributes(telemetry.MessagingID.String(req.ID), telemetry.Source.String(req.Source))
	}
}

// context is what x is told about in: its own span, or its producer's.
func (x *execution) context() context.Context {
	if x.span != nil {
		return trace.ContextWithSpan(context.Background(), x.span)
	}
	return telemetry.Remote(context.Background(), x.e.msg.Header)
}

// queued returns how long the request has waited to be begun: since it was
// stored or, for another try, since that was due.
func (x *execution) queued() time.Duration {
	since := x.p.clock.local(x.e.msg.Time.UnixMilli())
	if x.e.retryAt.After(since) {
		since = x.e.retryAt
	}
	return max(x.began.Sub(since), 0)
}

// called tells of the call that was begun at the given time and is over.
func (x *execution) called(call *channels.Call, ans *channels.Answer, v channels.Verdict, d decision, begun time.Time) {
	took := time.Duration(ans.TookUS) * time.Microsecond
	count := Called{Answer: v.Class, Took: took}
	if x.e.calls == 1 {
		count.Class, count.Waited = events.Classes[x.e.class], x.queued()
	}
	if x.span != nil {
		x.spanCall(call, ans, v, begun, begun.Add(took))
		count.TraceID = x.span.SpanContext().TraceID().String()
	}
	x.known.meter.Called(count)

	failed := v.Class != channels.OK
	if log := x.p.d.cfg.LogCalls; log == LogNone || log != LogAll && !failed {
		return
	}
	level := slog.LevelInfo
	if failed {
		level = slog.LevelWarn
	}
	if !x.p.log.Enabled(x.p.work, level) { // or to gather it all would cost as much
		return
	}
	x.p.log.LogAttrs(x.context(), level, "call",
		slog.String("id", x.e.req.ID), slog.String("source", x.e.req.Source), slog.Uint64("seq", x.e.msg.Seq),
		slog.String("provider", x.l.key.provider), slog.String("account", x.l.key.account), slog.String("operation", call.Operation),
		slog.String("class", string(events.Classes[x.e.class])),
		slog.Int("call", x.e.calls), slog.Int("attempt", x.e.attempts), slog.Int("step", x.e.step.Number),
		slog.Int("status", ans.Status), slog.String("failure", string(ans.Failure)),
		slog.String("answer", string(v.Class)), slog.String("reason", d.why.Reason), slog.String("state", string(d.state)),
		slog.Float64("queued_ms", ms(x.queued())), slog.Float64("limited_ms", ms(x.admittedAt.Sub(x.intendedAt))), slog.Float64("call_ms", ms(took)),
		slog.Int("sent_bytes", len(call.Body)), slog.Int("received_bytes", len(ans.Body)), slog.String("owner", x.p.intents.owner))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// spanCall tells of the call as a span. The provider is not told of it: its
// header would be one more thing that leaves the company.
func (x *execution) spanCall(call *channels.Call, ans *channels.Answer, v channels.Verdict, begun, ended time.Time) {
	attrs := []attribute.KeyValue{
		telemetry.HTTPMethod.String(call.Method), telemetry.Operation.String(call.Operation),
		telemetry.Answer.String(string(v.Class)), telemetry.HTTPSent.Int(len(call.Body)), telemetry.HTTPReceived.Int(len(ans.Body)),
	}
	if u, err := url.Parse(call.URL); err == nil {
		attrs = append(attrs, telemetry.ServerAddress.String(u.Hostname()))
		if port, err := strconv.Atoi(u.Port()); err == nil {
			attrs = append(attrs, telemetry.ServerPort.Int(port))
		}
	}
	if ans.Status != 0 {
		attrs = append(attrs, telemetry.HTTPStatus.Int(ans.Status))
	}
	_, span := x.p.d.cfg.Tracer.Start(x.context(), call.Method+" "+call.Operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(begun), trace.WithAttributes(attrs...))
	if v.Class != channels.OK {
		why := string(ans.Failure)
		if why == "" && ans.Status >= 400 {
			why = strconv.Itoa(ans.Status)
		}
		if why == "" {
			why = v.Reason
		}
		span.SetAttributes(telemetry.ErrorType.String(why), telemetry.Reason.String(v.Reason))
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(ended))
}

// storing begins the span of storing r, and names it in r: from there collectors
// go on. It returns nil if x has no span.
func (x *execution) storing(r *ledger.Result) trace.Span {
	if x.span == nil {
		return nil
	}
	_, span := x.p.d.cfg.Tracer.Start(x.context(), telemetry.Send+" "+broker.Results, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(telemetry.Messaging(telemetry.Send, broker.Results)...))
	r.Trace = telemetry.Traceparent(span.SpanContext())
	return span
}

// stored ends the spans of x, and of storing r.
func (x *execution) stored(storing trace.Span, r *ledger.Result) {
	if storing == nil {
		return
	}
	storing.End()
	if !x.intendedAt.IsZero() {
		x.span.AddEvent("intent stored", trace.WithTimestamp(x.intendedAt))
	}
	if !x.admittedAt.IsZero() {
		x.span.AddEvent("limits passed", trace.WithTimestamp(x.admittedAt))
	}
	x.span.SetAttributes(telemetry.Call.Int(r.Call), telemetry.Attempt.Int(r.Attempt), telemetry.Step.Int(r.Step),
		telemetry.State.String(string(r.State)), telemetry.Reason.String(r.Why.Reason))
	switch r.State {
	case events.StateFailed, events.StateRejected, events.StateUnknown, events.StateExpired:
		x.span.SetAttributes(telemetry.ErrorType.String(r.Why.Reason))
		x.span.SetStatus(codes.Error, "")
	}
	x.span.End()
}
