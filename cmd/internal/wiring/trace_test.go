package wiring

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/internal/telemetry/telemetrytest"
	"github.com/tramhq/tram/pkg/events"
)

const followed = `dispatcher: {lease: 30s} # not lost on a machine that stalls
log: {format: json, calls: all}
ops: {listen: "127.0.0.1:0"}
telemetry: {traces: {endpoint: %s}}
accounts:
  - provider: caresoft
    name: hotline
    base_url: %s/caresoft
    settings: {domain: sandbox, oa_id: "1600190000000000001"}
`

// TestOneSendFollowed sends a message through processes of its own, of which the
// provider refuses the first try, and holds what can be seen from outside
// against docs/operations.md: the trace, the log, the metrics and the event.
// With -update it writes it there.
func TestOneSendFollowed(t *testing.T) {
	t.Parallel()
	b, receiver := brokertest.Start(t), telemetrytest.Start(t)
	box := sandbox.New(sandbox.Options{})
	if _, err := box.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	if _, err := box.AddFault(sandbox.Fault{Operation: "caresoft.send_message", Nth: 1, Status: 503, Header: map[string]string{"Retry-After": "1"}}); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "tram.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, followed, receiver.URL, box.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	dispatcher, collector := startWorker(t, "dispatcher", config, b.URL), startWorker(t, "collector", config, b.URL)
	before, after := map[string]string{}, map[string]string{}
	brokertest.Eventually(t, "both count", func() bool {
		dispatcher.metrics(before)
		collector.metrics(before)
		return before["collector\ttram_collector_results_total"] != "" &&
			before["dispatcher\ttram_dispatcher_call_duration_seconds_count{provider=\"caresoft\"}"] != ""
	})

	// The producer and the reader are services that make spans themselves.
	shop, crm := tracer(t, "shop", receiver.URL), tracer(t, "crm", receiver.URL)
	_, sending := shop.Start(t.Context(), "send tram.send", trace.WithSpanKind(trace.SpanKindProducer))
	const phone = "0900000017"
	receipt, err := events.NewPublisher(b.JS, events.PublisherConfig{Source: "/acme/shop"}).Publish(t.Context(), &events.Request{
		Meta: events.Meta{ID: "order-17", Traceparent: telemetry.Traceparent(sending.SpanContext()), Tracestate: "acme=17"},
		Kind: events.KindSend, Provider: "caresoft", Account: "hotline", Class: events.Urgent,
		Send: &events.Send{Recipient: events.Recipient{Kind: events.ByPhone, Value: phone}, Content: events.Content{Kind: events.ContentText, Text: "Đơn 17 đã giao"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	sending.End()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	err = events.Subscribe(ctx, b.JS, events.SubscribeConfig{Kinds: []events.Kind{events.KindDelivery}}, func(_ context.Context, e *events.Event) error {
		_, span := crm.Start(telemetry.Parent(t.Context(), e.Meta.Traceparent), "process tram.delivery", trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(telemetry.State.String(string(e.Delivery.State))))
		span.End()
		if e.Delivery.Final {
			stop()
		}
		return nil
	})
	if err != nil || ctx.Err() != context.Canceled {
		t.Fatalf("no end of %s came: %v, %v", receipt.ID, err, ctx.Err())
	}

	const spans = 1 + 2*(3+2+1)
	brokertest.Eventually(t, "the spans come", func() bool { return len(receiver.Spans()) >= spans })
	var examples []string
	brokertest.Eventually(t, "all spans are counted", func() bool {
		examples = append(dispatcher.metrics(after), collector.metrics(after)...)
		const exported = `tram_telemetry_spans_total{end="exported"}`
		return after["dispatcher\t"+exported] == "6.0" && after["collector\t"+exported] == "4.0"
	})
	all, traceID := receiver.Spans(), sending.SpanContext().TraceID().String()
	if len(all) != spans {
		t.Errorf("%d spans, want %d", len(all), spans)
	}
	for _, s := range all {
		if s.TraceID != traceID {
			t.Errorf("%s of %s is in the trace %s, want that of the producer, %s", s.Name, s.Service, s.TraceID, traceID)
		}
	}
	lines := append(dispatcher.logged(traceID), collector.logged(traceID)...)
	for _, secret := range []string{phone, "sandbox-caresoft-token", "Đơn 17"} {
		if receiver.Has(secret) || strings.Contains(dispatcher.log.String()+collector.log.String(), secret) {
			t.Errorf("%q stands in a span or the log", secret)
		}
	}
	// What a replay makes of the results is the same, traces and all.
	brokertest.Eventually(t, "both results are collected", func() bool {
		again := &replay.Diff{JS: b.JS, Maker: replay.NewMaker(Providers(), nil)}
		found, err := again.Run(t.Context())
		return err == nil && found.Empty() && found.Made == 2 && found.Same == 2
	})
	document(t, map[string]string{
		"trace": tree(all), "log": strings.Join(lines, "\n"), "metrics": difference(before, after),
		"example": first(examples, "tram_dispatcher_call_duration_seconds", traceID), "event": lastEvent(t, b),
	})
}

func tracer(t *testing.T, service, endpoint string) *telemetry.Tracer {
	t.Helper()
	tr, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: endpoint, Service: service, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}
