package dispatcher

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/internal/telemetry/telemetrytest"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// traced configures a dispatcher that exports to the receiver. The function it
// returns exports the rest.
func traced(t *testing.T, to *telemetrytest.Receiver, n *noisy) (change func(*Config), flush func()) {
	tracer, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: to.URL, Service: "dispatcher", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		c.Tracer, c.LogCalls, c.Log = tracer, LogAll, slog.New(telemetry.LogHandler(slog.NewTextHandler(n, nil)))
		c.Retry.Base = time.Second
		c.Lease = 5 * time.Second
	}, tracer.Close
}

// A request that came without a trace has one of its own, and a dispatcher that
// takes over goes on in it.
func TestAllTriesAreInOneTrace(t *testing.T) {
	r, to, n := newRig(t), telemetrytest.Start(t), new(noisy)
	r.answers(func(n int, _ call) (int, channels.Verdict) {
		if n == 1 {
			return 200, channels.Verdict{Class: channels.Retry, Reason: "busy"}
		}
		return 200, channels.Verdict{Class: channels.OK}
	})
	change, flush := traced(t, to, n)
	stop := r.start(change)
	seq := r.send("shop", events.Normal, "traced", nil)
	r.eventually(func() string {
		if got := r.results()[seq]; len(got) == 0 {
			return "no result of the first try"
		}
		return ""
	})
	stop()
	flush()
	change, flush = traced(t, to, n)
	stop = r.start(change)
	r.ends(seq)
	stop()
	flush()

	spans := map[string]telemetrytest.Span{}
	var tries []telemetrytest.Span
	for _, s := range to.Spans() {
		spans[s.SpanID] = s
		if refused := s.Attributes["tram.answer"] == "retry"; s.Failed != refused {
			t.Errorf("%s: it failed is %v, the call was refused is %v", s.Name, s.Failed, refused)
		}
		if s.Name == "process tram.send" {
			tries = append(tries, s)
		}
	}
	if len(tries) != 2 || len(spans) != 6 {
		t.Fatalf("got %d tries in %d spans, want 2 in 6: %+v", len(tries), len(spans), spans)
	}
	first, second := tries[0].Attributes, tries[1].Attributes
	if tries[0].TraceID != tries[1].TraceID || first["tram.owner"] == second["tram.owner"] {
		t.Errorf("want one trace and two owners, got\n%+v\n%+v", tries[0], tries[1])
	}
	if first["tram.state"] != "deferred" || second["tram.state"] != "accepted" || second["tram.attempt"] != "2" || fmt.Sprint(tries[1].Events) != "[intent stored limits passed]" {
		t.Errorf("got\n%+v\n%+v", tries[0], tries[1])
	}
	for i, res := range r.results()[seq] {
		_, rest, _ := strings.Cut(res.Trace, "-"+tries[0].TraceID+"-")
		id, _, _ := strings.Cut(rest, "-")
		if s := spans[id]; s.Name != "send TRAM_RESULTS" || s.Parent != tries[i].SpanID {
			t.Errorf("result %d names the span %q, which is %+v; want the one that stored it", i, res.Trace, s)
		}
		line := fmt.Sprintf("attempt=%d step=1 status=200", i+1)
		if !strings.Contains(n.text(), line) || n.said("trace_id="+tries[i].TraceID+" span_id="+tries[i].SpanID) != 1 {
			t.Errorf("no line with %s and span %s in\n%s", line, tries[i].SpanID, n.text())
		}
	}
	if n.said("09traced") > 0 || to.Has("09traced") {
		t.Error("the recipient stands in the log or in a span")
	}
}

func TestWhichCallsTheLogTells(t *testing.T) {
	r := newRig(t)
	r.answers(func(n int, c call) (int, channels.Verdict) {
		if strings.Contains(c.body, "bad") {
			return 200, channels.Verdict{Class: channels.Permanent, Reason: "no_such_user"}
		}
		return 200, channels.Verdict{Class: channels.OK}
	})
	for calls, want := range map[CallLog][2]int{LogAll: {1, 1}, LogFailed: {0, 1}, LogNone: {}, "": {0, 1}} {
		n := new(noisy)
		stop := r.start(func(c *Config) { c.Log, c.LogCalls = slog.New(slog.NewTextHandler(n, nil)), calls })
		good, bad := "good-"+string(calls), "bad-"+string(calls)
		ends := r.ends(r.send("shop", events.Normal, good, nil), r.send("shop", events.Normal, bad, nil))
		stop()
		if got := [2]int{n.said("level=INFO msg=call "), n.said("level=WARN msg=call ")}; got != want {
			t.Errorf("%q: got %d lines of the good call and %d of the bad one, want %v:\n%s", calls, got[0], got[1], want, n.text())
		}
		if ends[0].Trace != "" {
			t.Errorf("without a tracer a result names the span %q", ends[0].Trace)
		}
	}
}

// A producer that does not want its trace sampled is heeded: the result names no
// span, so that the events carry the producer's header as it came.
func TestATraceThatIsNotSampled(t *testing.T) {
	r, to, n := newRig(t), telemetrytest.Start(t), new(noisy)
	change, flush := traced(t, to, n)
	stop := r.start(change)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "quiet", Source: "/test", Traceparent: "00-" + trace + "-b7ad6b7169203331-00"},
		Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Normal,
		Send: &events.Send{Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900"}, Content: events.Content{Kind: events.ContentText, Text: "xin chào"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	end := r.ends(r.b.Publish(m))[0]
	stop()
	flush()
	if spans := to.Spans(); len(spans) > 0 || end.Trace != "" {
		t.Errorf("got the spans %+v, and the result names %q", spans, end.Trace)
	}
	if n.said("trace_id="+trace) != 1 { // the log knows it all the same
		t.Errorf("no line of the call with the trace %s:\n%s", trace, n.text())
	}
}
