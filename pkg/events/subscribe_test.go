package events_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
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

func TestSubscribe_Durable(t *testing.T) {
	b := newBroker(t)
	b.emit(t, "main", "1")
	b.emit(t, "main", "2")
	r := b.read(t, events.SubscribeConfig{Durable: "crm"}, nil)
	want(t, r.ids(t, 2), "1", "2")
	r.stop(t)

	b.emit(t, "main", "3")
	r = b.read(t, events.SubscribeConfig{Durable: "crm"}, nil)
	want(t, r.ids(t, 1), "3")
	r.stop(t)

	// A changed filter holds for what is still to come.
	r = b.read(t, events.SubscribeConfig{Durable: "crm", Account: "second", Kinds: []events.Kind{events.KindDelivery}}, nil)
	for filtered := false; !filtered; {
		cons, err := b.js.Consumer(t.Context(), events.EventsStream, "crm")
		if err != nil {
			t.Fatal(err)
		}
		filtered = slices.Equal(cons.CachedInfo().Config.FilterSubjects, []string{"tram.delivery.*.second.*"})
	}
	b.emit(t, "main", "4")
	b.emit(t, "second", "5")
	want(t, r.ids(t, 1), "5")
	r.stop(t)
}

func TestSubscribe_FailedHandler(t *testing.T) {
	b := newBroker(t)
	for i := range 3 {
		b.emit(t, "main", fmt.Sprint(i))
	}
	failures := 2
	r := b.read(t, events.SubscribeConfig{Durable: "crm"}, func(e *events.Event) error {
		if e.ID == "0" && failures > 0 {
			failures--
			return errors.New("the database is away")
		}
		return nil
	})
	want(t, r.ids(t, 5), "0", "1", "2", "0", "0") // others go on meanwhile
	r.stop(t)
	if log := r.log.String(); strings.Count(log, "event handler failed") != 2 || !strings.Contains(log, "the database is away") {
		t.Errorf("log:\n%s", log)
	}
	r = b.read(t, events.SubscribeConfig{Durable: "crm"}, nil)
	b.emit(t, "main", "3")
	want(t, r.ids(t, 1), "3") // and none of those before
	r.stop(t)
}

func TestSubscribe_UnreadableMessage(t *testing.T) {
	b := newBroker(t)
	m := nats.NewMsg("tram.delivery.caresoft.main.accepted")
	m.Data = []byte{0xdf, 0xff, 0xff, 0xff, 0xff}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.emit(t, "main", "1")
	r := b.read(t, events.SubscribeConfig{Durable: "crm"}, nil)
	want(t, r.ids(t, 1), "1")
	r.stop(t)
	if log := r.log.String(); !strings.Contains(log, "reason=malformed_body") || !strings.Contains(log, "seq=1") {
		t.Errorf("log:\n%s", log)
	}
	cons, err := b.js.Consumer(t.Context(), events.EventsStream, "crm")
	if err != nil {
		t.Fatal(err)
	}
	if i := cons.CachedInfo(); i.NumAckPending != 0 || i.AckFloor.Stream != 2 {
		t.Errorf("consumer still waits for something: %+v", i)
	}
}

func TestSubscribe_WithoutName(t *testing.T) {
	b := newBroker(t)
	b.emit(t, "main", "1")
	b.emit(t, "second", "2")
	b.emit(t, "main", "3")
	b.emit(t, "main", "4")
	r := b.read(t, events.SubscribeConfig{FromSeq: 2, Account: "main"}, nil)
	want(t, r.ids(t, 2), "3", "4")
	r.stop(t)

	r = b.read(t, events.SubscribeConfig{FromTime: time.Now(), Provider: "caresoft"}, nil)
	s, err := b.js.Stream(t.Context(), events.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return consumers(t, s) == 1 })
	b.emit(t, "main", "5")
	want(t, r.ids(t, 1), "5")
	r.stop(t)
	if n := consumers(t, s); n != 0 {
		t.Errorf("%d consumers are left behind", n)
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

// The broker goes away and comes back: both sorts of subscription go on where
// they were.
func TestSubscribe_Restart(t *testing.T) {
	b := newBroker(t)
	b.emit(t, "main", "1")
	named := b.read(t, events.SubscribeConfig{Durable: "crm"}, nil)
	unnamed := b.read(t, events.SubscribeConfig{}, nil)
	want(t, named.ids(t, 1), "1")
	want(t, unnamed.ids(t, 1), "1")
	if err := b.start(b.stop()); err != nil {
		t.Fatal(err)
	}
	b.emit(t, "main", "2")
	for _, r := range []*reader{named, unnamed} {
		// What was handled just before the crash may come again.
		if id := r.ids(t, 1)[0]; id == "1" {
			want(t, r.ids(t, 1), "2")
		} else if id != "2" {
			t.Errorf("got event %s", id)
		}
		r.stop(t)
	}
}

// An operator deletes the consumer of a subscription without a name while a
// failed event waits for its repeat: nothing is lost.
func TestSubscribe_LostConsumer(t *testing.T) {
	b := newBroker(t)
	for i := range 3 {
		b.emit(t, "main", fmt.Sprint(i))
	}
	deleted := false
	r := b.read(t, events.SubscribeConfig{}, func(e *events.Event) error {
		switch {
		case deleted:
			return nil
		case e.ID == "1":
			return errors.New("not now")
		case e.ID == "2":
			deleted = true
			s, err := b.js.Stream(t.Context(), events.EventsStream)
			if err != nil {
				return err
			}
			for name := range s.ConsumerNames(t.Context()).Name() {
				if err := s.DeleteConsumer(t.Context(), name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	seen := r.ids(t, 3)
	want(t, seen, "0", "1", "2")
	b.emit(t, "main", "3")
	for !slices.Contains(seen, "3") {
		seen = append(seen, r.ids(t, 1)...)
	}
	if !slices.Contains(seen[3:], "1") {
		t.Errorf("got %v: the failed event did not come again", seen)
	}
	r.stop(t)
}

func TestSubscribe_NotSetUp(t *testing.T) {
	b := emptyBroker(t)
	for _, durable := range []string{"", "crm"} {
		err := events.Subscribe(t.Context(), b.js, events.SubscribeConfig{Durable: durable}, nil)
		if !errors.Is(err, events.ErrNotSetUp) {
			t.Errorf("durable %q: got %v", durable, err)
		}
	}
}

func TestSubscribe_ConnectionClosed(t *testing.T) {
	b := newBroker(t)
	r := b.read(t, events.SubscribeConfig{Durable: "crm"}, nil)
	b.emit(t, "main", "1")
	want(t, r.ids(t, 1), "1")
	b.js.Conn().Close()
	select {
	case err := <-r.ended:
		if err == nil {
			t.Error("a closed connection ends a subscription without an error")
		}
	case <-time.After(20 * time.Second):
		t.Error("subscription goes on without a connection")
	}
}
