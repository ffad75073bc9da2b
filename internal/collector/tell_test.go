package collector_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/internal/telemetry/telemetrytest"
	"github.com/tramhq/tram/pkg/events"
)

// However many events an answer holds, each kind has one span, which all of its
// events name.
func TestEachKindOfEventHasASpan(t *testing.T) {
	g, to := newRig(t), telemetrytest.Start(t)
	tracer, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: to.URL, Service: "collector", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const trace, stored = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
	g.store(&ledger.Result{
		Seq: 8, Call: 1, Attempt: 1, Step: 1, Request: original(t, reportRequest("r-1")), Trace: "00-" + trace + "-" + stored + "-01",
		Answer: script{Stats: 5, Records: []int{3, 4}}.answer(), Parse: true, Stats: 5, Records: 2, State: events.StateDone, AtMS: start + 300,
	})
	g.storeSends(100, 1) // whose dispatcher makes no spans
	c := g.config()
	c.Tracer = tracer
	stop := g.run(c)
	g.collected()
	stop()
	tracer.Close()

	named := map[string]int{} // events by the span that they name
	for _, m := range g.each[0] {
		named[m.Header.Get(events.HeaderTraceparent)]++
	}
	var process telemetrytest.Span
	sends := 0
	for _, s := range to.Spans() {
		if s.TraceID != trace || s.Ended.Before(s.Started) || time.Since(s.Ended) > time.Hour {
			t.Errorf("got %+v, want the trace of the result", s)
		}
		if s.Name == "process TRAM_RESULTS" {
			process = s
			continue
		}
		sends++
		if s.Parent != process.SpanID || named["00-"+trace+"-"+s.SpanID+"-01"] == 0 {
			t.Errorf("got %+v, want a child of %+v that events name: %v", s, process, named)
		}
	}
	if process.Parent != stored || sends != 3 || len(named) != 3 {
		t.Errorf("got %+v and %d spans of sending, want a child of the span that stored the result and 3: %v", process, sends, named)
	}
}
