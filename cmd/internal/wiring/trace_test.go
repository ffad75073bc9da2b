package wiring

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/internal/telemetry/telemetrytest"
	"github.com/tramhq/tram/pkg/events"
)

var update = flag.Bool("update", false, "write what was seen of one send into docs/operations.md")

const processVariable = "TRAM_TEST_PROCESS"

// TestMain is the process that a test starts this program as.
func TestMain(m *testing.M) {
	switch os.Getenv(processVariable) {
	case "dispatcher":
		Main("dispatcher", RunDispatcher)
	case "collector":
		Main("collector", RunCollector)
	}
	os.Exit(m.Run())
}

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

// A worker is a process of the relay.
type worker struct {
	t    *testing.T
	name string
	log  lockedBuffer
	ops  string
}

func startWorker(t *testing.T, name, config, natsURL string) *worker {
	t.Helper()
	w := &worker{t: t, name: name}
	cmd := exec.Command(os.Args[0], "--config", config)
	cmd.Env = append(os.Environ(), processVariable+"="+name, "NATS_URL="+natsURL, "TRAM_SECRET_CARESOFT_HOTLINE_TOKEN=sandbox-caresoft-token")
	cmd.Stderr = &w.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v\n%s", name, err, w.log.String())
		}
	})
	listens := regexp.MustCompile(`health and metrics are served","url":"([^"]+)"`)
	brokertest.Eventually(t, "it listens", func() bool {
		if m := listens.FindStringSubmatch(w.log.String()); m != nil {
			w.ops = m[1]
		}
		return w.ops != ""
	})
	return w
}

// metrics adds what the process has counted to counted, by process and series,
// and returns the examples.
func (w *worker) metrics(counted map[string]string) (examples []string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.ops+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		series, example, ok := strings.Cut(line, " # ")
		if ok && strings.Contains(example, "trace_id") {
			examples = append(examples, line)
		}
		name, value, ok := strings.Cut(series, " ")
		family, _, _ := strings.Cut(name, "{")
		if ok && regexp.MustCompile(`^tram_(dispatcher_(calls|call_|wait|results)|collector_(results|events|age)|telemetry).*_(total|count)$`).MatchString(family) {
			counted[w.name+"\t"+name] = value
		}
	}
	return examples
}

// logged returns the lines of the log about a trace.
func (w *worker) logged(traceID string) (lines []string) {
	for line := range strings.Lines(w.log.String()) {
		var record struct {
			TraceID string `json:"trace_id"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.TraceID == traceID {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

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

// tree writes spans below their parents.
func tree(all []telemetrytest.Span) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AFTER\tTOOK\tSERVICE\tSPAN\tKIND\tSOME OF ITS ATTRIBUTES")
	shown := []string{"tram.attempt", "tram.queued_ms", "http.response.status_code", "tram.answer", "error.type", "tram.state", "tram.reason"}
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range all {
			if s.Parent != parent {
				continue
			}
			var attrs []string
			for _, name := range shown {
				if v := s.Attributes[name]; v != "" {
					attrs = append(attrs, name+"="+v)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\t%s\t%s\n", millis(s.Started.Sub(all[0].Started)), millis(s.Ended.Sub(s.Started)),
				s.Service, indent, s.Name, s.Kind, strings.Join(attrs, " "))
			below(s.SpanID, indent+"  ")
		}
	}
	below("", "")
	_ = w.Flush()
	return trimLines(b.String())
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000) }

func trimLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// difference tells the series that have changed, and how.
func difference(before, after map[string]string) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROCESS\tSERIES\tBEFORE\tAFTER")
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was := cmp.Or(before[name], "-"); was != after[name] {
			fmt.Fprintf(w, "%s\t%s\t%s\n", name, was, after[name])
		}
	}
	_ = w.Flush()
	return trimLines(b.String())
}

func first(lines []string, prefix, text string) string {
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) && strings.Contains(l, text) })
	if i < 0 {
		return "no such line"
	}
	return lines[i]
}

// lastEvent returns the newest delivery as the stream has it, without its body.
func lastEvent(t *testing.T, b *brokertest.Broker) string {
	t.Helper()
	m, err := broker.NewReader(b.JS).Last(t.Context(), broker.Events, "tram.delivery.>")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{m.Subject}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		lines = append(lines, name+": "+m.Header.Get(name))
	}
	return strings.Join(lines, "\n")
}

// document holds each block of docs/operations.md that follows a comment with
// its name against what was seen, but for numbers, or writes it.
func document(t *testing.T, seen map[string]string) {
	t.Helper()
	const page = "../../../docs/operations.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, got := range seen {
		head := "<!-- seen: " + name + " -->\n```text\n"
		before, rest, ok1 := strings.Cut(text, head)
		want, after, ok2 := strings.Cut(rest, "\n```\n")
		switch {
		case !ok1 || !ok2:
			t.Errorf("%s has no place for the %s", page, name)
		case *update:
			text = before + head + got + "\n```\n" + after
		case shape(want) != shape(got):
			t.Errorf("%s shows of the %s\n%s\nand seen was\n%s\ngo test ./cmd/internal/wiring -run OneSend -update writes it", page, name, want, got)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var varies = regexp.MustCompile(`00-[0-9a-f]{32}-[0-9a-f]{16}-01|[0-9a-f]{16,}|"owner":"\w+"|[0-9]+([.:T-][0-9]+)*(e-[0-9]+)?Z?| +`)

// shape is text without what differs each time.
func shape(text string) string { return varies.ReplaceAllString(text, "#") }
