package collector_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// A rig is a broker with results in it, and what should come of them.
type rig struct {
	*brokertest.Broker
	t    testing.TB
	want map[string]*nats.Msg // by Nats-Msg-Id
	each [][]*nats.Msg        // by sequence in RESULTS, from 1
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{Broker: brokertest.Start(t), t: t, want: make(map[string]*nats.Msg)}
}

// store puts r into RESULTS as a dispatcher does.
func (g *rig) store(r *ledger.Result) {
	g.t.Helper()
	data, err := ledger.EncodeResult(r)
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := events.ParseSubject(r.Request.Subject)
	if err != nil {
		g.t.Fatal(err)
	}
	g.storeRaw(s.Provider, s.Account, data, fmt.Sprintf("%d/%d", r.Seq, r.Call))
	msgs, _ := collector.Events(r, collector.History{}, fake{}, account())
	for _, m := range msgs {
		g.want[m.Header.Get(events.HeaderMsgID)] = m
	}
	g.each = append(g.each, msgs)
}

func (g *rig) storeRaw(provider, acct string, data []byte, id string) {
	g.t.Helper()
	m := nats.NewMsg(broker.ResultSubject(broker.Partition(provider, acct, broker.DefaultPartitions), provider, acct))
	m.Data = data
	m.Header.Set(jetstream.MsgIDHeader, id)
	g.Publish(m)
}

// storeSends stores the results of n sends that went well, from seq on.
func (g *rig) storeSends(seq uint64, n int) {
	g.t.Helper()
	for i := range uint64(n) {
		g.store(accepted(g.t, seq+i))
	}
}

func accepted(t testing.TB, seq uint64) *ledger.Result {
	return &ledger.Result{
		Seq: seq, Call: 1, Attempt: 1, Step: 1, Request: original(t, sendRequest(fmt.Sprintf("s-%d", seq))),
		Answer: script{}.answer(), Parse: true, State: events.StateAccepted, Evidence: events.Strong, AtMS: start + int64(seq),
	}
}

func (g *rig) config() collector.Config {
	return collector.Config{
		JS: g.JetStream(g.Connect()), Providers: []channels.Provider{fake{}}, Accounts: []*channels.Account{account()},
		Log: slog.New(slog.NewTextHandler(g.t.Output(), nil)), Workers: 2,
	}
}

// run starts a collector. The function it returns stops it and waits.
func (g *rig) run(c collector.Config) (stop func()) {
	g.t.Helper()
	col, err := collector.New(c)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- col.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				g.t.Errorf("run: %v", err)
			}
		case <-time.After(15 * time.Second):
			g.t.Error("the collector does not stop")
		}
	}
	g.t.Cleanup(stop)
	return stop
}

// collected waits until all results are acknowledged.
func (g *rig) collected() {
	g.t.Helper()
	g.AwaitAcknowledged(broker.Results, collector.Durable)
}

// check compares what EVENTS and DEAD have with what should be there: every
// message once, byte for byte, and nothing else.
func (g *rig) check() {
	g.t.Helper()
	seen := make(map[string]bool)
	for _, stream := range []string{broker.Events, broker.Dead} {
		for _, m := range g.All(stream) {
			id := m.Header.Get(events.HeaderMsgID)
			want, ok := g.want[id]
			switch {
			case seen[id]:
				g.t.Errorf("%s is there twice", m.Subject)
			case !ok:
				g.t.Errorf("%s should not be there", m.Subject)
			case !sameBytes(g.t, []*nats.Msg{want}, []*nats.Msg{{Subject: m.Subject, Header: m.Header, Data: m.Data}}):
				g.t.Errorf("%s differs", m.Subject)
			}
			seen[id] = true
		}
	}
	for id, m := range g.want {
		if !seen[id] {
			g.t.Errorf("%s is missing", m.Subject)
		}
	}
}
