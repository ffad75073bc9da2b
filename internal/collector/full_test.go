package collector_test

import (
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

// A watcher counts tries in vain and keeps the log.
type watcher struct {
	failed, read atomic.Int64

	mu  sync.Mutex
	log strings.Builder
}

func (w *watcher) Read()                           { w.read.Add(1) }
func (w *watcher) Stored(string)                   {}
func (w *watcher) Collected(time.Duration, string) {}
func (w *watcher) StoreFailed()                    { w.failed.Add(1) }
func (w *watcher) Waiting(uint64)                  {}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *watcher) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// resize changes how many bytes EVENTS may have; -1 is no limit.
func (g *rig) resize(bytes int64) {
	g.t.Helper()
	st, err := g.JS.Stream(g.t.Context(), broker.Events)
	if err != nil {
		g.t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.MaxBytes = bytes
	if _, err := g.JS.UpdateStream(g.t.Context(), c); err != nil {
		g.t.Fatal(err)
	}
}

// While EVENTS is full the collector holds what it has begun and asks for no
// more, quietly; when there is room it goes on where it was.
func TestAFullStreamOfEventsHoldsTheCollectorBack(t *testing.T) {
	g := newRig(t)
	g.resize(1)
	const results = 1000
	g.storeSends(1, results)
	w := &watcher{}
	c := g.config()
	c.Window, c.Observer, c.Log = 16, w, slog.New(slog.NewTextHandler(w, nil))
	stop := g.run(c)
	fails := func(times int64) {
		t.Helper()
		goal := w.failed.Load() + times
		brokertest.Eventually(t, "events are tried in vain", func() bool { return w.failed.Load() >= goal })
	}
	fails(5) // tries come once a second: the heartbeats have been missed by now
	read, goroutines := w.read.Load(), runtime.NumGoroutine()
	fails(3)
	if got := w.read.Load(); got != read || got > 2*(16+3) {
		t.Errorf("%d results were read, then %d, want as many as the windows hold", read, got)
	}
	if got := runtime.NumGoroutine(); got > goroutines+20 {
		t.Errorf("%d goroutines, before %d", got, goroutines)
	}
	if said := w.said(); strings.Count(said, "\n") > 3 {
		t.Errorf("said too much:\n%s", said)
	}
	g.resize(-1)
	brokertest.Eventually(t, "all events are stored", func() bool { return g.Count(broker.Events) >= results })
	g.check()
	stop()
}
