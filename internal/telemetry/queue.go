package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tramhq/tram/internal/broker"
)

const (
	maxQueued   = 2048 // spans that wait; one takes about 2 KiB
	maxBatch    = 512
	exportEvery = time.Second
	exportTime  = 10 * time.Second // for one batch, tries and all
)

// A queue exports spans in batches, in a goroutine of its own. It implements
// [sdk.SpanProcessor]. Whatever the endpoint does, who ends a span never waits:
// where the queue is full the span is dropped. The SDK's own processor does the
// same, but does not tell how many it has dropped.
type queue struct {
	exporter sdk.SpanExporter
	count    Count
	outage   *broker.Outage
	spans    chan sdk.ReadOnlySpan

	ctx     context.Context // of the exports
	abandon context.CancelFunc
	stop    chan struct{}
	once    sync.Once
	done    chan struct{}
}

func newQueue(exporter sdk.SpanExporter, log *slog.Logger, count Count) *queue {
	if count == nil {
		count = func(string, int) {}
	}
	q := &queue{
		exporter: exporter, count: count, outage: broker.NewOutage(log, "traces cannot be exported"),
		spans: make(chan sdk.ReadOnlySpan, maxQueued), stop: make(chan struct{}), done: make(chan struct{}),
	}
	q.ctx, q.abandon = context.WithCancel(context.Background())
	go q.run()
	return q
}

func (q *queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.count(Dropped, 1)
	}
}

// run exports until the queue is to stop, and then what is left.
func (q *queue) run() {
	defer close(q.done)
	tick := time.NewTicker(exportEvery)
	defer tick.Stop()
	batch := make([]sdk.ReadOnlySpan, 0, maxBatch)
	for {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) < maxBatch {
				continue
			}
		case <-tick.C:
		case <-q.stop:
			for len(q.spans) > 0 {
				if batch = append(batch, <-q.spans); len(batch) == maxBatch {
					batch = q.export(batch)
				}
			}
			q.export(batch)
			return
		}
		batch = q.export(batch)
		tick.Reset(exportEvery) // what has gathered meanwhile goes in full batches
	}
}

// export returns batch for the next one.
func (q *queue) export(batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	if len(batch) == 0 {
		return batch
	}
	ctx, cancel := context.WithTimeout(q.ctx, exportTime)
	defer cancel()
	if err := q.exporter.ExportSpans(ctx, batch); err != nil {
		q.count(Failed, len(batch))
		q.outage.Failed(err)
	} else {
		q.count(Exported, len(batch))
		q.outage.Worked()
	}
	clear(batch) // or they would be kept
	return batch[:0]
}

// ForceFlush implements [sdk.SpanProcessor]; the queue is never far behind.
func (q *queue) ForceFlush(context.Context) error { return nil }

// Shutdown exports what has ended, until ctx is done at the latest.
func (q *queue) Shutdown(ctx context.Context) error {
	q.once.Do(func() { close(q.stop) })
	defer context.AfterFunc(ctx, q.abandon)()
	<-q.done
	q.abandon()
	return q.exporter.Shutdown(ctx)
}
