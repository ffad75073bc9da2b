// Package telemetry makes what happens to a request visible from outside of the
// process: as spans of a trace, which go to an OpenTelemetry collector, and as
// the trace's id in the log.
//
// A trace is found by what is stored, never by what a process remembers: a
// request names its producer's span in its header, a result names the span that
// stored it, an event names the span that sent it. So a request stays in one
// trace whoever carries it out and however often, and events made again carry
// the same names.
package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config is what a [Tracer] is started with.
type Config struct {
	Endpoint string // URL that spans are posted to, as OTLP in protobuf
	Service  string // name of the process; OTEL_SERVICE_NAME goes before it
	Version  string
	Log      *slog.Logger
	Count    Count // may be nil
}

// Count is told how many spans have come to an end: [Exported], [Failed] or
// [Dropped]. It returns at once.
type Count func(end string, spans int)

// What becomes of spans.
const (
	Exported = "exported" // the endpoint took them
	Failed   = "failed"   // the endpoint did not take them
	Dropped  = "dropped"  // the queue was full: the endpoint is too slow, or away
)

// A Tracer makes spans and exports them. Whoever makes none has nil, which can be
// closed.
type Tracer struct {
	trace.Tracer
	provider *sdk.TracerProvider
}

// Start returns a tracer that exports to c.Endpoint. Whether a trace is sampled
// its producer decides, and about those without one OTEL_TRACES_SAMPLER; headers,
// certificates and the like are the standard OTEL_EXPORTER_OTLP variables, too. It
// does not ask whether the endpoint is there, and fails on a setting only. The
// caller closes the tracer.
func Start(ctx context.Context, c Config) (*Tracer, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Log.Warn("telemetry", "error", err) }))
	to, err := newClient(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("start traces: %w", err)
	}
	exporter, err := otlptrace.New(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("start traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(ServiceName.String(c.Service), ServiceVersion.String(c.Version), ServiceInstance.String(instance())),
		resource.WithFromEnv()) // the last one holds
	if err != nil {
		return nil, fmt.Errorf("start traces: read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if u, err := url.Parse(c.Endpoint); err == nil {
		c.Log.Info("traces are exported", "to", u.Host) // its path may be a secret of its owner's
	}
	return newTracer(exporter, about, c), nil
}

func newTracer(exporter sdk.SpanExporter, about *resource.Resource, c Config) *Tracer {
	provider := sdk.NewTracerProvider(
		sdk.WithResource(about), sdk.WithIDGenerator(generator{}), sdk.WithSpanProcessor(newQueue(exporter, c.Log, c.Count)))
	return &Tracer{provider.Tracer("github.com/tramhq/tram"), provider}
}

// closing is how long the last spans may take to be exported.
const closing = 3 * time.Second

// Close exports what has ended, for some seconds at most. What the endpoint has
// not taken then is dropped.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // it has been counted
}

// instance tells processes of one service apart.
func instance() string {
	host, _ := os.Hostname()
	return cmp.Or(host, "unknown") + "/" + strconv.Itoa(os.Getpid())
}
