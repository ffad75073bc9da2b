// Package e2e has tests of the whole relay: broker, dispatcher, collector and
// sandbox in one process, with every provider and every operation.
package e2e

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/ahachat"
	"github.com/tramhq/tram/pkg/channels/caresoft"
	"github.com/tramhq/tram/pkg/channels/facebook"
	"github.com/tramhq/tram/pkg/channels/momo"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/channels/webhook"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

func providers() []channels.Provider {
	return []channels.Provider{ahachat.New(), caresoft.New(), facebook.New(), momo.New(), pancake.New(), webhook.New()}
}

// A rig is a relay under test.
type rig struct {
	*brokertest.Broker
	t    *testing.T
	logs *logs
	log  *slog.Logger
}

// logs are everything that is logged, at debug level, as text and as JSON.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

// calls says how a rig calls providers.
type calls struct {
	attempts int
	timeout  time.Duration
}

// patience is a timeout that no good call meets on the slowest machine.
const patience = 30 * time.Second

const partitions = 8

// startRig starts a relay with these accounts, each of which may be called as
// fast as it likes.
func startRig(t *testing.T, all []channels.Provider, accounts []channels.Account, c calls) *rig {
	t.Helper()
	r := &rig{t: t, logs: new(logs)}
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	r.log = slog.New(slog.NewMultiHandler(slog.NewTextHandler(r.logs, debug), slog.NewJSONHandler(r.logs, debug)))
	before := log.Writer()
	log.SetOutput(io.Discard) // as wiring.Logger does: through it net/http prints bytes of answers
	t.Cleanup(func() { log.SetOutput(before) })
	r.Broker = brokertest.Start(t, func(s *broker.Streams) { s.Partitions = partitions })

	client, err := channels.NewClient(channels.ClientConfig{Timeout: c.timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var called []*dispatcher.Account
	var known []*channels.Account
	for i := range accounts {
		known = append(known, &accounts[i])
		called = append(called, &dispatcher.Account{
			Account: accounts[i], Concurrency: 16, OnAmbiguous: events.Hold,
			Limits:  ratelimit.Limits{Windows: []ratelimit.Window{{Limit: 1000, Per: time.Second, Burst: 100}}},
			Breaker: dispatcher.Breaker{MinCalls: 10_000, Ratio: 1, Window: time.Minute, Open: time.Second},
		})
	}
	d, err := dispatcher.New(dispatcher.Config{
		JS: r.JetStream(r.Connect()), Client: client, Providers: all, Accounts: called, Log: r.log, LogCalls: dispatcher.LogAll,
		CallTimeout: c.timeout, MaxInFlight: 64, Partitions: partitions,
		Retry: dispatcher.RetryPolicy{MaxAttempts: c.attempts, Base: time.Millisecond, Max: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	col, err := collector.New(collector.Config{JS: r.JetStream(r.Connect()), Providers: all, Accounts: known, Log: r.log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { r.must(d.Run(ctx)) })
	running.Go(func() { r.must(col.Run(ctx)) })
	t.Cleanup(func() { stop(); running.Wait() })
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Error(err)
	}
}

// publish publishes requests past the library, which would wait for contracts.
func (r *rig) publish(requests ...*events.Request) {
	r.t.Helper()
	for _, req := range requests {
		m, err := events.EncodeRequest(req)
		if err != nil {
			r.t.Fatal(err)
		}
		if _, err := r.JS.PublishMsgAsync(m); err != nil {
			r.t.Fatal(err)
		}
	}
	<-r.JS.PublishAsyncComplete()
}

// settled waits until each request has ended, or stands still until its
// account's credential changes or the account may be called again. It returns
// the last delivery or outcome of each, by id.
func (r *rig) settled(requests []*events.Request) map[string]*events.Event {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 60*time.Second)
	defer cancel()
	missing, last := map[string]bool{}, map[string]*events.Event{}
	for _, req := range requests {
		missing[req.ID] = true
	}
	err := events.Subscribe(ctx, r.JS, events.SubscribeConfig{Kinds: []events.Kind{events.KindDelivery, events.KindOutcome}, FromSeq: 1},
		func(_ context.Context, e *events.Event) error {
			state, why := stateOf(e)
			id := e.About().RequestID
			if again := why.Class == string(channels.Retry) || why.Class == string(channels.Ambiguous); missing[id] && !(again && state == events.StateDeferred) {
				delete(missing, id)
				last[id] = e
			}
			if len(missing) == 0 {
				cancel()
			}
			return nil
		})
	if len(missing) > 0 {
		var ids []string
		for id := range missing {
			ids = append(ids, id)
		}
		r.t.Fatalf("%d requests have no end: %s (%v)", len(missing), strings.Join(ids[:min(len(ids), 10)], " "), err)
	}
	return last
}

func stateOf(e *events.Event) (events.State, events.Why) {
	if e.Delivery != nil {
		return e.Delivery.State, e.Delivery.Why
	}
	return e.Outcome.State, e.Outcome.Why
}

// deadLetters returns the dead letter of each request that has ended in need of
// a person, by the request's id. It comes a moment after the end.
func (r *rig) deadLetters(ends map[string]*events.Event) map[string]*ledger.DeadLetter {
	r.t.Helper()
	letters := map[string]*ledger.DeadLetter{}
	for id, e := range ends {
		if state, _ := stateOf(e); state == events.StateFailed || state == events.StateUnknown {
			letters[id] = nil
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	reader, missing := broker.NewReader(r.JS), len(letters)
	for seq := uint64(1); missing > 0; {
		err := reader.Replay(ctx, broker.Dead, ">", seq, func(m *broker.Stored) error {
			seq = m.Seq + 1
			d, err := ledger.DecodeDeadLetter(m.Data)
			if err != nil {
				return err
			}
			req, err := events.DecodeRequest(d.Request.Subject, d.Request.Header, d.Request.Data)
			if err != nil {
				return err
			}
			if before, expected := letters[req.ID]; expected && before == nil {
				letters[req.ID] = d
				missing--
			}
			return nil
		})
		if err != nil {
			r.t.Fatalf("%d dead letters are missing: %v", missing, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return letters
}

// startSandbox starts one with an account of each kind, all without limits and
// with these tokens.
func startSandbox(t *testing.T, token func(account string) string) *sandbox.Server {
	t.Helper()
	accounts := sandbox.DefaultAccounts()
	for i := range accounts {
		a := &accounts[i]
		a.PerSecond, a.PerHour, a.Token, a.Campaigns = -1, -1, token(a.Provider+"/"+a.ID), 3
	}
	s := sandbox.New(sandbox.Options{Accounts: accounts})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
