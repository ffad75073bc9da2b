package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	parent  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ignored = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// An endpoint takes spans, as it is told to.
type endpoint struct {
	take func(ctx context.Context, n int) error

	mu    sync.Mutex
	spans []sdk.ReadOnlySpan
}

func (e *endpoint) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if e.take != nil {
		if err := e.take(ctx, len(spans)); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spans = append(e.spans, spans...)
	return nil
}

func (e *endpoint) Shutdown(context.Context) error { return nil }

type counts struct {
	mu  sync.Mutex
	all map[string]int
}

func (c *counts) count(end string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]int{}
	}
	c.all[end] += n
}

func (c *counts) of(end string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[end]
}

func started(e *endpoint, log *slog.Logger) (*Tracer, *counts) {
	c := new(counts)
	return newTracer(e, resource.Empty(), Config{Log: log, Count: c.count}), c
}

func TestSpansAreExportedSoonAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(endpoint)
		tr, c := started(e, slog.New(slog.DiscardHandler))
		_, a := tr.Start(t.Context(), "a")
		a.End()
		time.Sleep(exportEvery)
		synctest.Wait()
		if n := c.of(Exported); n != 1 {
			t.Errorf("%d spans were exported after %v, want 1", n, exportEvery)
		}
		for range 3 * maxBatch {
			_, b := tr.Start(t.Context(), "b")
			b.End()
		}
		tr.Close()
		if n := c.of(Exported); n != 1+3*maxBatch || len(e.spans) != n {
			t.Errorf("%d spans were exported at the end, want %d", n, 1+3*maxBatch)
		}
	})
}

// Whoever ends a span goes on at once, and no more spans are kept than the queue
// holds.
func TestAnEndpointThatHangsStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		}
		log := new(strings.Builder)
		tr, c := started(&endpoint{take: hang}, slog.New(slog.NewTextHandler(log, nil)))
		const spans = 10 * maxQueued
		begun := time.Now()
		for range spans {
			_, s := tr.Start(t.Context(), "a")
			s.End()
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("to end spans took %v of a clock that stands while anybody runs", took)
		}
		if n := c.of(Dropped); n < spans-maxQueued-2*maxBatch {
			t.Errorf("%d spans were dropped of %d, the others are kept", n, spans)
		}
		time.Sleep((maxQueued/maxBatch + 2) * exportTime)
		synctest.Wait()
		if n := c.of(Failed) + c.of(Dropped); n != spans {
			t.Errorf("%d spans are counted as failed or dropped, want %d", n, spans)
		}
		if n := strings.Count(log.String(), "traces cannot be exported, trying again"); n < 1 || n > 2 {
			t.Errorf("said %d times in a minute, want once and when it is over at most:\n%s", n, log)
		}

		_, s := tr.Start(t.Context(), "the last")
		s.End()
		begun = time.Now()
		tr.Close()
		if took := time.Since(begun); took > closing {
			t.Errorf("to close took %v", took)
		}
	})
}

func TestAnEndpointThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("connection refused")
		tr, c := started(&endpoint{take: func(context.Context, int) error { return away }}, slog.New(slog.DiscardHandler))
		defer tr.Close()
		for _, end := range []string{Failed, Exported} {
			_, s := tr.Start(t.Context(), "a")
			s.End()
			time.Sleep(exportEvery)
			synctest.Wait()
			if n := c.of(end); n != 1 {
				t.Errorf("%d spans %s, want 1", n, end)
			}
			away = nil
		}
	})
}

func TestTheProducerDecidesWhatIsSampled(t *testing.T) {
	e := new(endpoint)
	tr, _ := started(e, slog.New(slog.DiscardHandler))
	for _, header := range []string{parent, ignored} {
		_, s := tr.Start(Parent(t.Context(), header), "a")
		if got := s.IsRecording(); got != (header == parent) {
			t.Errorf("%s: recorded is %v", header, got)
		}
		s.End()
	}
	tr.Close()
	if len(e.spans) != 1 || Traceparent(e.spans[0].Parent()) != parent {
		t.Errorf("got %v, want the child of %s", e.spans, parent)
	}
}

// NATS headers keep their case: what an HTTP carrier would write nobody finds.
func TestTheHeaderIsLowerCase(t *testing.T) {
	sc := trace.SpanContextFromContext(Remote(t.Context(), nats.Header{"traceparent": {parent}, "tracestate": {"a=b"}}))
	if got := Traceparent(sc); got != parent || sc.TraceState().String() != "a=b" || !sc.IsRemote() {
		t.Errorf("got %s and %s", got, sc.TraceState())
	}
	for _, h := range []nats.Header{nil, {"Traceparent": {parent}}, {"traceparent": {"00-x"}}, {"traceparent": {strings.ToUpper(parent)[:36] + parent[36:] + "-more"}}} {
		if sc := trace.SpanContextFromContext(Remote(t.Context(), h)); sc.IsValid() {
			t.Errorf("%v: got %v, want none", h, sc)
		}
	}
}

func TestAChildHasTheSameNameEachTime(t *testing.T) {
	got := Child(parent, "delivery")
	if want := "00-0af7651916cd43dd8448eb211c80319c-6956cff616a9ee02-01"; got != want {
		t.Errorf("got %s, want %s: events that are made again would differ from those that are stored", got, want)
	}
	if Child(parent, "stat") == got || Child(ignored, "delivery") == got || Child("garbage", "delivery") != "" {
		t.Error("want another child of another parent or kind, and none of what is no name")
	}
	e := new(endpoint)
	tr, _ := started(e, slog.New(slog.DiscardHandler))
	_, s := tr.Start(Named(Parent(t.Context(), parent), got), "send")
	s.End()
	tr.Close()
	if len(e.spans) != 1 || Traceparent(e.spans[0].SpanContext()) != got || Traceparent(e.spans[0].Parent()) != parent {
		t.Errorf("got %v, want the span %s of %s", e.spans, got, parent)
	}
}

// All tries of a request that came without a trace are in one, whoever makes
// them.
func TestARequestWithoutATraceHasOneOfItsOwn(t *testing.T) {
	var ids []trace.SpanContext
	for range 2 {
		tr, _ := started(new(endpoint), slog.New(slog.DiscardHandler))
		for _, id := range []string{"order-17", "order-18"} {
			_, s := tr.Start(Root(t.Context(), "/acme", id), "process")
			ids = append(ids, s.SpanContext())
			s.End()
		}
		tr.Close()
	}
	if ids[0].TraceID() != ids[2].TraceID() || ids[0].SpanID() == ids[2].SpanID() || ids[0].TraceID() == ids[1].TraceID() {
		t.Errorf("got %v", ids)
	}
}

func TestTheLogNamesTheTrace(t *testing.T) {
	out := new(strings.Builder)
	log := slog.New(LogHandler(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))).With("partition", 7)
	log.InfoContext(Parent(t.Context(), parent), "call", "status", 200)
	log.Info("ready")
	want := `level=INFO msg=call partition=7 status=200 trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331
level=INFO msg=ready partition=7
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}
