package ops

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

var update = flag.Bool("update", false, "write the table of docs/operations.md")

// still is a dispatcher in which nothing moves.
type still struct{}

func (still) Load() dispatcher.Load {
	return dispatcher.Load{Partitions: 64, InFlight: 3, MaxInFlight: 1024}
}

func (still) Figures() dispatcher.Figures {
	return dispatcher.Figures{
		Partitions: 64, Outages: map[string]bool{"results": true, "intents": false},
		ClockAhead: -1500 * time.Millisecond, ClockKnown: true, SchedulesSkipped: 2,
	}
}

func (still) Lanes() []ledger.Lane {
	return []ledger.Lane{
		{Provider: "caresoft", Account: "hotline", State: events.LaneWorking, InFlight: 2, Concurrency: 16, Queued: [3]int{0, 7, 0}, OldestMS: [3]int64{1: time.Now().UnixMilli()}, Runnable: 3},
		{Provider: "facebook", Account: "page", State: events.LaneBreakerOpen, Behind: [3]bool{2: true}, UsagePercent: 85},
	}
}

func ready() Readiness {
	return Readiness{Ready: false, Parts: map[string]string{"broker": "no server is connected", "dispatcher": "ok"}}
}

// used returns metrics of which each has a value.
func used() (*Metrics, *DispatcherMetrics) {
	m := newMetrics("v1", ready)
	d, c := m.Dispatcher(), m.Collector()
	d.Watch(still{})
	d.TookOver()
	d.StoreFailed()
	d.Meter("caresoft", "hotline").Called(dispatcher.Called{Answer: channels.OK, Took: 30 * time.Millisecond, Class: events.Urgent, Waited: time.Second, TraceID: "0af7651916cd43dd8448eb211c80319c"})
	d.Meter("caresoft", "hotline").Called(dispatcher.Called{Answer: channels.Throttled, Took: 10 * time.Millisecond})
	d.Meter("caresoft", "hotline").Stored(events.StateAccepted)
	d.Meter("caresoft", "hotline").Stored("")
	d.Meter("facebook", "page").Stored(events.StateDeferred)
	d.Meter("", "").Stored(events.StateRejected)
	c.Read()
	c.Stored("tram.delivery.caresoft.hotline.accepted")
	c.Stored("tram.dead.unknown.caresoft.hotline")
	c.Stored("tram.dead.made-up.caresoft.hotline")
	c.Collected(time.Millisecond, "")
	c.Waiting(12)
	m.Spans()(telemetry.Dropped, 3)
	m.Stream("TRAM_REQUESTS", 10, 900, 1000)
	m.Stream("TRAM_EVENTS", 5, 400, 1000)
	m.Stream("TRAM_EVENTS", 6, 500, -1) // its limit was lifted
	return m, d
}

func TestMetrics(t *testing.T) {
	m, d := used()
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	expect := func(want string, names ...string) {
		t.Helper()
		if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	}
	const calls = `
# HELP tram_dispatcher_calls_total Calls to providers, by what their answer was judged as.
# TYPE tram_dispatcher_calls_total counter
`
	expect(calls+`
tram_dispatcher_calls_total{account="hotline",class="ok",provider="caresoft"} 1
tram_dispatcher_calls_total{account="hotline",class="throttled",provider="caresoft"} 1
`, "tram_dispatcher_calls_total")
	expect(`
# HELP tram_collector_dead_letters_total Dead letters stored, those that were there already included.
# TYPE tram_collector_dead_letters_total counter
tram_collector_dead_letters_total{group="answer"} 0
tram_collector_dead_letters_total{group="event"} 0
tram_collector_dead_letters_total{group="refused"} 0
tram_collector_dead_letters_total{group="unknown"} 1
`, "tram_collector_dead_letters_total")

	const parts = `
# HELP tram_ready_part 1 for each part of readiness that is as it should be, else 0: broker, dispatcher, collector, process.
# TYPE tram_ready_part gauge
tram_ready_part{part="broker"} 0
tram_ready_part{part="dispatcher"} 1
`
	expect(parts, "tram_ready_part")
	const limits = `
# HELP tram_stream_limit_bytes Size at which a stream refuses what comes; one without a limit is not here. All processes tell the same: take the greatest, not the sum.
# TYPE tram_stream_limit_bytes gauge
tram_stream_limit_bytes{stream="TRAM_REQUESTS"} 1000
`
	expect(limits, "tram_stream_limit_bytes")

	// An account that is configured no more leaves nothing behind.
	old := d.Meter("caresoft", "hotline")
	d.Keep(func(_, account string) bool { return account != "hotline" })
	old.Called(dispatcher.Called{Answer: channels.OK, Took: time.Millisecond}) // of a call that was under way
	expect("", "tram_dispatcher_calls_total")
	if n, err := testutil.GatherAndCount(m.registry, "tram_dispatcher_results_total"); n != 2 || err != nil {
		t.Errorf("%d series of results are left, %v, want those of the other account and of none", n, err)
	}
	d.Meter("caresoft", "hotline").Called(dispatcher.Called{Answer: channels.OK, Took: time.Millisecond})
	expect(calls+`
tram_dispatcher_calls_total{account="hotline",class="ok",provider="caresoft"} 1
`, "tram_dispatcher_calls_total")
}

// TestDocs_metrics holds the table in docs/operations.md against the metrics.
// With -update it writes it.
func TestDocs_metrics(t *testing.T) {
	const file, head, foot = "../../docs/operations.md", "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n", "\n"
	m, _ := used()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "tram_") {
			fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), labels(f), f.GetHelp())
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), head)
	if !found {
		t.Fatalf("%s has no table of metrics", file)
	}
	old, after, _ := strings.Cut(rest, "|\n"+foot)
	if old+"|\n" == table.String() {
		return
	}
	if !*update {
		t.Fatalf("the table of metrics in %s is not up to date: go test ./internal/ops -update", file)
	}
	if err := os.WriteFile(file, []byte(before+head+table.String()+foot+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func labels(f *dto.MetricFamily) string {
	var names []string
	for _, m := range f.Metric {
		for _, l := range m.Label {
			names = append(names, "`"+l.GetName()+"`")
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// Who looks while calls end sees whole calls, and in the end all of them.
func TestMeters_whileTheyCount(t *testing.T) {
	t.Parallel()
	m := newMetrics("v1", ready)
	d := m.Dispatcher()
	const each = 1000
	var calling sync.WaitGroup
	for i := range 8 {
		calling.Go(func() {
			for range each {
				of := d.Meter("caresoft", fmt.Sprint("a", i%2))
				of.Called(dispatcher.Called{Answer: channels.OK, Took: time.Second})
				of.Stored(events.StateAccepted)
			}
		})
	}
	value := func(family string) (sum float64) {
		families, err := m.registry.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range families {
			for _, series := range f.Metric {
				if f.GetName() == family {
					sum += series.GetCounter().GetValue()
				}
			}
		}
		return sum
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		calling.Wait()
	}()
	for last, counting := 0.0, true; counting; {
		select {
		case <-done:
			counting = false
		default:
		}
		now := value("tram_dispatcher_calls_total")
		if now < last {
			t.Fatalf("%v calls are counted, and were %v", now, last)
		}
		last = now
	}
	for _, family := range []string{"tram_dispatcher_calls_total", "tram_dispatcher_call_seconds_total", "tram_dispatcher_results_total"} {
		if n := value(family); n != 8*each {
			t.Errorf("%s is %v, want %v", family, n, 8*each)
		}
	}
}

func BenchmarkMeter(b *testing.B) {
	m := newMetrics("v1", ready).Dispatcher().Meter("caresoft", "hotline")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Called(dispatcher.Called{Answer: channels.OK, Took: 30 * time.Millisecond})
			m.Stored(events.StateAccepted)
		}
	})
}

// A scrape that asks for OpenMetrics gets, with a histogram, the trace of a
// request to look at.
func TestExemplars(t *testing.T) {
	m, _ := used()
	o := &Ops{Health: newHealth(slog.New(slog.DiscardHandler)), Metrics: m}
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	o.handler().ServeHTTP(w, r)
	for _, want := range []string{
		`tram_dispatcher_call_duration_seconds_bucket{provider="caresoft",le="0.05"} 2 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.03 `,
		`tram_dispatcher_wait_seconds_bucket{class="urgent",provider="caresoft",le="1.0"} 1 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 1.0 `,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want) {
			t.Errorf("%s\nis not in\n%s", want, w.Body)
		}
	}
}
