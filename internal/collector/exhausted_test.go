package collector_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
)

// Somebody has bounded the deliveries of the shared consumer, and a collector
// died with results that then count as delivered often enough. The broker would
// never bring them again; they must be told nevertheless.
func TestRun_DeliveriesAreExhausted(t *testing.T) {
	g := newRig(t)
	g.storeSends(1, 50)
	cons, err := g.JS.CreateOrUpdateConsumer(t.Context(), broker.Results, jetstream.ConsumerConfig{
		Durable: collector.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 100 * time.Millisecond, MaxDeliver: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cons.Fetch(20)
	if err != nil {
		t.Fatal(err)
	}
	for range batch.Messages() { // and dies
	}
	brokertest.Eventually(t, "the broker has given them up", func() bool {
		more, err := cons.Fetch(1, jetstream.FetchMaxWait(300*time.Millisecond)) // what may still come is brought
		if err != nil {
			return false
		}
		for range more.Messages() {
		}
		i, err := cons.Info(t.Context())
		return err == nil && i.NumPending == 0
	})
	g.run(g.config())
	g.storeSends(100, 50)
	brokertest.Eventually(t, "all are told", func() bool { return g.Count(broker.Events) == 100 })
	g.check()
}
