package events_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/pkg/events"
)

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
