package collector_test

import (
	"testing"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
)

// A result that a newer version wrote waits for a collector that can read it. It
// becomes no dead letter, and what comes after it is told.
func TestRun_ResultOfANewerVersion(t *testing.T) {
	g := newRig(t)
	newer := accepted(t, 1)
	newer.Format = ledger.Format + 1
	data, err := ledger.EncodeResult(newer)
	if err != nil {
		t.Fatal(err)
	}
	g.storeRaw("fake", "shop", data, "newer")
	g.each = append(g.each, nil)
	g.storeSends(100, 20)
	g.run(g.config())
	brokertest.Eventually(t, "all but the newer one are acknowledged", func() bool {
		cons, err := g.JS.Consumer(t.Context(), broker.Results, collector.Durable)
		if err != nil {
			return false
		}
		i := cons.CachedInfo()
		return i.NumPending == 0 && i.NumAckPending == 1 && i.AckFloor.Stream == 0
	})
	if n := len(g.All(broker.Events)); n != 20 {
		t.Errorf("%d deliveries, want those of the 20 others", n)
	}
	if n := len(g.All(broker.Dead)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
