package ops

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// crowd is a dispatcher of many accounts.
type crowd struct {
	still
	lanes []ledger.Lane
}

func (c crowd) Lanes() []ledger.Lane { return c.lanes }

// What a scrape of a dispatcher of 5,000 accounts takes: it is all in memory at
// once.
func BenchmarkScrape(b *testing.B) {
	o := &Ops{Health: newHealth(slog.New(slog.DiscardHandler)), Metrics: newMetrics("v1", ready)}
	d := o.Dispatcher()
	var c crowd
	for i := range 5000 {
		name := fmt.Sprintf("a%04d", i)
		c.lanes = append(c.lanes, ledger.Lane{Provider: "caresoft", Account: name, State: events.LaneWorking})
		of := d.Meter("caresoft", name)
		of.Called(dispatcher.Called{Answer: channels.OK, Took: time.Millisecond})
		of.Stored(events.StateAccepted)
	}
	d.Watch(c)
	scrape := o.handler()
	b.ReportAllocs()
	for b.Loop() {
		scrape.ServeHTTP(nowhere{}, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

// nowhere takes an answer, and keeps nothing of it.
type nowhere struct{}

func (nowhere) Header() http.Header         { return make(http.Header) }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
