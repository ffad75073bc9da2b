package collector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

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

func TestNew_NamesGivenTwice(t *testing.T) {
	if _, err := collector.New(collector.Config{Providers: []channels.Provider{fake{}, fake{}}}); err == nil {
		t.Error("two providers of one name")
	}
	if _, err := collector.New(collector.Config{Accounts: []*channels.Account{account(), account()}}); err == nil {
		t.Error("two accounts of one name")
	}
}
