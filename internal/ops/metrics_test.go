package ops

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

var update = flag.Bool("update", false, "write the table of docs/operations.md")

// still is a dispatcher in which nothing moves.
type still struct{}

func (still) Load() dispatcher.Load {
	return dispatcher.Load{Partitions: 64, InFlight: 3, MaxInFlight: 1024}
}

func (still) Lanes() []ledger.Lane {
	return []ledger.Lane{
		{Provider: "caresoft", Account: "hotline", State: events.LaneWorking, InFlight: 2, Concurrency: 16, Queued: [3]int{0, 7, 0}},
		{Provider: "facebook", Account: "page", State: events.LaneBreakerOpen, Behind: [3]bool{2: true}, UsagePercent: 85},
	}
}

// used returns metrics of which each has a value.
func used() (*Metrics, *DispatcherMetrics) {
	m := newMetrics("v1", func() bool { return true })
	d, c := m.Dispatcher(), m.Collector()
	d.Watch(still{})
	d.TookOver()
	d.StoreFailed()
	d.Meter("caresoft", "hotline").Called(channels.OK, 30*time.Millisecond)
	d.Meter("caresoft", "hotline").Called(channels.Throttled, 10*time.Millisecond)
	d.Meter("caresoft", "hotline").Stored(events.StateAccepted)
	d.Meter("caresoft", "hotline").Stored("")
	d.Meter("facebook", "page").Stored(events.StateDeferred)
	d.Meter("", "").Stored(events.StateRejected)
	c.Read()
	c.Stored("tram.delivery.caresoft.hotline.accepted")
	c.Stored("tram.dead.unknown.caresoft.hotline")
	c.Stored("tram.dead.made-up.caresoft.hotline")
	c.Waiting(12)
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

	// An account that is configured no more leaves nothing behind.
	old := d.Meter("caresoft", "hotline")
	d.Keep(func(_, account string) bool { return account != "hotline" })
	old.Called(channels.OK, time.Millisecond) // of a call that was under way
	expect("", "tram_dispatcher_calls_total")
	if n := testutil.CollectAndCount(d.results); n != 2 {
		t.Errorf("%d series of results are left, want those of the other account and of none", n)
	}
	d.Meter("caresoft", "hotline").Called(channels.OK, time.Millisecond)
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

func BenchmarkMeter(b *testing.B) {
	m := newMetrics("v1", func() bool { return true }).Dispatcher().Meter("caresoft", "hotline")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Called(channels.OK, 30*time.Millisecond)
			m.Stored(events.StateAccepted)
		}
	})
}
