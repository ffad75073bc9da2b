package collector_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
)

func BenchmarkEvents(b *testing.B) {
	for name, r := range map[string]*ledger.Result{"delivery": accepted(b, 1), "page of 140 stats": page(b, 1, 2, 140)} {
		data, err := ledger.EncodeResult(r)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := ledger.DecodeResult(data)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := collector.Events(r, collector.History{}, fake{}, account()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRun collects stored results of sends: broker and collector share
// the machine.
func BenchmarkRun(b *testing.B) {
	g := newRig(b)
	for i := range b.N {
		data, err := ledger.EncodeResult(accepted(b, uint64(i)))
		if err != nil {
			b.Fatal(err)
		}
		m := nats.NewMsg(broker.ResultSubject(i%broker.DefaultPartitions, "fake", "shop"))
		m.Data = data
		for {
			_, err := g.JS.PublishMsgAsync(m)
			if err == nil {
				break
			}
			<-g.JS.PublishAsyncComplete()
		}
	}
	<-g.JS.PublishAsyncComplete()
	if n := g.Count(broker.Results); n != b.N {
		b.Fatalf("%d results stored, want %d", n, b.N)
	}
	c := g.config()
	c.Log, c.Workers = slog.New(slog.DiscardHandler), 0
	b.ReportAllocs()
	b.ResetTimer()
	stop := g.run(c)
	for g.Count(broker.Events) < b.N {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "results/s")
	stop()
}
