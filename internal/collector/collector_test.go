package collector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestRun(t *testing.T) {
	g := newRig(t)
	g.store(rejectedSend(t, 500))
	g.store(unknownSend(t, 501))
	for i, s := range []script{{Fail: "no data"}, {Panic: "no"}, {Records: []int{10, tooLarge}}} {
		r := page(t, 510+uint64(i), 2, 0)
		r.Answer = s.answer()
		g.store(r)
	}
	stop := g.run(g.config())
	g.storeSends(1, 300)
	for i := range uint64(20) {
		g.store(page(t, 400+i, 1, 30))
		g.store(page(t, 400+i, 2, 30))
	}
	g.collected()
	g.check()
	stop()

	// A collector that starts over tells nothing twice.
	if err := g.JS.DeleteConsumer(t.Context(), broker.Results, collector.Durable); err != nil {
		t.Fatal(err)
	}
	g.run(g.config())
	g.collected()
	g.check()
}

// page is the result of page n of 2 of a report, with so many stats.
func page(t testing.TB, seq uint64, n, stats int) *ledger.Result {
	r := &ledger.Result{
		Seq: seq, Call: n, Attempt: n, Step: n, Request: original(t, reportRequest(fmt.Sprintf("r-%d", seq))),
		Answer: script{Stats: stats, Records: []int{100}}.answer(), Parse: true, Stats: n * stats, Records: n, AtMS: start,
	}
	if n == 2 {
		r.State = events.StateDone
	}
	return r
}

func rejectedSend(t testing.TB, seq uint64) *ledger.Result {
	r := rejected(original(t, sendRequest(fmt.Sprintf("s-%d", seq))), events.ReasonMalformed)
	r.Seq, r.Request.Data = seq, []byte{0xdf, 0xff, 0xff, 0xff, 0xff}
	return r
}

func unknownSend(t testing.TB, seq uint64) *ledger.Result {
	r := accepted(t, seq)
	r.State, r.Evidence, r.Dead = events.StateUnknown, "", ledger.DeadUnknown
	r.Why = events.Why{Class: "ambiguous", Reason: "timeout"}
	return r
}

// The events of one request come in order: an outcome after the stats it counts.
func TestRun_OrderWithinARequest(t *testing.T) {
	g := newRig(t)
	for i := range uint64(10) {
		g.store(page(t, i, 1, 20))
		g.store(page(t, i, 2, 20))
	}
	g.run(g.config())
	g.collected()
	told := make(map[string]int)
	for _, m := range g.All(broker.Events) {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		id := e.About().RequestID
		if o := e.Outcome; o != nil && told[id] != o.Stats+o.Records {
			t.Errorf("%s: %d events before the outcome that counts %d", id, told[id], o.Stats+o.Records)
		}
		told[id]++
	}
}

func TestRun_PageLargerThanTheWindow(t *testing.T) {
	g := newRig(t)
	g.store(page(t, 1, 1, 1500))
	g.store(page(t, 1, 2, 1500))
	g.storeSends(2, 10)
	c := g.config()
	c.Workers, c.Window = 1, 4
	g.run(c)
	g.collected()
	g.check()
}

func TestRun_UnreadableRecords(t *testing.T) {
	g := newRig(t)
	bad := [][]byte{{0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, []byte("no msgpack at all"), {}, {0x80}}
	for i, data := range bad {
		g.storeRaw("fake", "shop", data, fmt.Sprint("bad-", i))
		g.storeSends(uint64(100*i+1), 5)
	}
	g.run(g.config())
	g.collected()
	letters := g.All(broker.Dead)
	if len(letters) != len(bad) {
		t.Fatalf("%d dead letters, want %d", len(letters), len(bad))
	}
	for _, m := range letters {
		d, err := ledger.DecodeDeadLetter(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if d.Group != ledger.DeadAnswer || d.Why.Reason != "unreadable_result" || d.Why.Detail == "" {
			t.Errorf("dead letter %s %+v", d.Group, d.Why)
		}
		g.want[m.Header.Get(events.HeaderMsgID)] = nil
	}
	if n := len(g.All(broker.Events)); n != 5*len(bad) {
		t.Errorf("%d deliveries, want %d", n, 5*len(bad))
	}
}

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

func TestRun_Replicas(t *testing.T) {
	g := newRig(t)
	for range 3 {
		g.run(g.config())
	}
	g.storeSends(1, 1000)
	g.collected()
	g.check()
}

// An event that the broker does not take holds up no other, and its result is
// not acknowledged.
func TestRun_EventIsRefused(t *testing.T) {
	g := newRig(t)
	s, err := g.JS.Stream(t.Context(), broker.Events)
	if err != nil {
		t.Fatal(err)
	}
	conf := s.CachedInfo().Config
	conf.MaxMsgSize = 2000
	if _, err := g.JS.UpdateStream(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	req := sendRequest("s-large")
	req.Send.Metadata["large"] = strings.Repeat("x", 3000)
	large := accepted(t, 1)
	large.Request = original(t, req)
	g.store(large)
	clear(g.want)
	g.storeSends(2, 50)
	g.run(g.config())
	brokertest.Eventually(t, "the others are told", func() bool { return g.Count(broker.Events) == 50 })
	brokertest.Eventually(t, "only one result is left", func() bool {
		cons, err := g.JS.Consumer(t.Context(), broker.Results, collector.Durable)
		return err == nil && cons.CachedInfo().NumAckPending == 1
	})
	g.check()
}

func TestRun_NoStreams(t *testing.T) {
	b := brokertest.StartEmpty(t)
	col, err := collector.New(collector.Config{JS: b.JS})
	if err != nil {
		t.Fatal(err)
	}
	err = col.Run(t.Context())
	if !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "tram setup") {
		t.Errorf("run: %v, want what is missing and what to do", err)
	}
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

func TestNew_NamesGivenTwice(t *testing.T) {
	if _, err := collector.New(collector.Config{Providers: []channels.Provider{fake{}, fake{}}}); err == nil {
		t.Error("two providers of one name")
	}
	if _, err := collector.New(collector.Config{Accounts: []*channels.Account{account(), account()}}); err == nil {
		t.Error("two accounts of one name")
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
