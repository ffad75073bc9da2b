package collector_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/pkg/events"
)

func TestRun_BrokerRestarts(t *testing.T) {
	g := newRig(t)
	stop := g.run(g.config())
	g.storeSends(1, 200)
	g.collected()
	for round := range uint64(2) {
		g.storeSends(1000*(round+1), 200) // some of it under way when the broker goes
		g.Stop()
		g.Restart()
		back := time.Now()
		brokertest.Eventually(t, "the test's own connection is back", func() bool { return g.Conn.IsConnected() })
		g.storeSends(1000*(round+1)+500, 50)
		g.collected()
		if d := time.Since(back); d > 10*time.Second {
			t.Errorf("collected %s after the broker was back", d)
		}
	}
	g.check()
	stop()
}

func TestRun_ConsumerIsDeleted(t *testing.T) {
	g := newRig(t)
	g.run(g.config())
	g.storeSends(1, 50)
	g.collected()
	if err := g.JS.DeleteConsumer(t.Context(), broker.Results, collector.Durable); err != nil {
		t.Fatal(err)
	}
	g.storeSends(100, 50)
	g.collected()
	g.check()
}

// What a collector has taken when it is told to stop it finishes; the rest is
// there for the next one. Nothing is lost or told twice.
func TestRun_StopsUnderLoad(t *testing.T) {
	g := newRig(t)
	g.storeSends(1, 1500)
	for range 5 {
		stop := g.run(g.config())
		before := g.Count(broker.Events)
		brokertest.Eventually(t, "some events are there", func() bool {
			n := g.Count(broker.Events)
			return n > before || n == 1500
		})
		begun := time.Now()
		stop()
		if d := time.Since(begun); d > 3*time.Second {
			t.Errorf("stopped after %s", d)
		}
		cons, err := g.JS.Consumer(t.Context(), broker.Results, collector.Durable)
		if err != nil {
			t.Fatal(err)
		}
		if n := cons.CachedInfo().NumAckPending; n > 0 {
			t.Logf("%d results are left to come again", n)
		}
	}
	g.run(g.config())
	brokertest.Eventually(t, "all events are there", func() bool { return g.Count(broker.Events) == 1500 })
	g.check()
}

// A collector that is cut off in the middle has acknowledged no result of which
// an event is missing.
func TestRun_IsCutOff(t *testing.T) {
	g := newRig(t)
	for i := range uint64(100) {
		g.store(page(t, i, 1, 20))
	}
	c := g.config()
	c.Grace, c.Window = time.Nanosecond, 8
	for range 8 {
		stop := g.run(c)
		before := g.Count(broker.Events)
		var cons jetstream.Consumer
		brokertest.Eventually(t, "some events are there", func() bool {
			var err error
			cons, err = g.JS.Consumer(t.Context(), broker.Results, collector.Durable)
			n := g.Count(broker.Events)
			return err == nil && (n > before || n == 100*21)
		})
		stop()
		info, err := cons.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stored := make(map[string]bool)
		for _, m := range g.All(broker.Events) {
			stored[m.Header.Get(events.HeaderMsgID)] = true
		}
		for seq := range info.AckFloor.Stream {
			for _, m := range g.each[seq] {
				if !stored[m.Header.Get(events.HeaderMsgID)] {
					t.Fatalf("result %d is acknowledged, %s is missing", seq+1, m.Subject)
				}
			}
		}
		// What was on its way would come again only after the ack wait.
		if err := g.JS.DeleteConsumer(t.Context(), broker.Results, collector.Durable); err != nil {
			t.Fatal(err)
		}
	}
	g.run(g.config())
	g.collected()
	g.check()
}

func TestRun_StopsWhileTheBrokerIsAway(t *testing.T) {
	g := newRig(t)
	c := g.config()
	c.Grace = 200 * time.Millisecond
	stop := g.run(c)
	g.storeSends(1, 20)
	g.collected()
	g.Stop()
	begun := time.Now()
	stop()
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("stopped after %s", d)
	}
	g.Restart()
}

func TestRun_ConnectionIsClosed(t *testing.T) {
	g := newRig(t)
	nc := g.Connect()
	c := g.config()
	c.JS = g.JetStream(nc)
	col, err := collector.New(c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- col.Run(t.Context()) }()
	g.storeSends(1, 10)
	g.collected()
	nc.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("run ended without an error")
		}
	case <-time.After(10 * time.Second):
		t.Error("run goes on without a connection")
	}
}

// A server that is cut off from its cluster answers pings but has no results.
func TestRun_MovesOnToAServerThatServes(t *testing.T) {
	g := newRig(t)
	g.storeSends(1, 3)
	c := g.config()
	c.JS = g.JetStream(g.ConnectCutOff())
	g.run(c)
	g.collected()
	g.check()
}
