package events_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/pkg/events"
)

// emit publishes a delivery event as the relay does.
func (b *broker) emit(t *testing.T, account, id string) {
	t.Helper()
	m, err := events.EncodeDelivery(events.Meta{ID: id, Source: events.Source}, &events.Delivery{
		About: events.About{Provider: "caresoft", Account: account, RequestID: "r-" + id, RequestSource: "/acme/shop"},
		State: events.StateAccepted, Final: true, Attempt: 1, AtMS: 1795000000000,
		Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// A client that has not noticed a restart yet writes to a dead connection.
	until(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.js.PublishMsg(ctx, m)
		return err == nil
	})
}

// A reader subscribes in the background and tells what it gets.
type reader struct {
	got    chan *events.Event
	log    *lockedBuffer
	cancel context.CancelFunc
	ended  chan error
}

// read starts a subscription whose handler fails as fail says.
func (b *broker) read(t *testing.T, cfg events.SubscribeConfig, fail func(*events.Event) error) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{make(chan *events.Event, 1000), new(lockedBuffer), cancel, make(chan error, 1)}
	cfg.Log = slog.New(slog.NewTextHandler(r.log, nil))
	cfg.RetryDelay = 20 * time.Millisecond
	go func() {
		r.ended <- events.Subscribe(ctx, b.js, cfg, func(_ context.Context, e *events.Event) error {
			r.got <- e
			if fail != nil {
				return fail(e)
			}
			return nil
		})
	}()
	t.Cleanup(cancel)
	return r
}

// ids returns the ids of the next n events.
func (r *reader) ids(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	for range n {
		select {
		case e := <-r.got:
			ids = append(ids, e.ID)
		case err := <-r.ended:
			t.Fatalf("subscription ended after %v: %v", ids, err)
		case <-time.After(20 * time.Second):
			t.Fatalf("no more events after %v\n%s", ids, r.log)
		}
	}
	return ids
}

// stop ends the subscription as its owner would.
func (r *reader) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("subscription ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("subscription does not end")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got events %v, want %v", got, want)
	}
}

func consumers(t *testing.T, s jetstream.Stream) int {
	t.Helper()
	i, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i.State.Consumers
}

// until polls for cond.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to be")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
