package broker_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

// A series brings what a look at the stream brings, batch after batch, while
// others publish, messages are deleted, and a producer forges what the server
// says.
func TestSeries(t *testing.T) {
	b := brokertest.StartEmpty(t)
	js := b.JetStream(b.Connect())
	ctx := t.Context()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	forge := func(n int) {
		for i := range n {
			m := nats.NewMsg(fmt.Sprintf("s.%d", i%2))
			m.Data = fmt.Append(nil, i)
			m.Header.Set("Status", "404")
			if _, err := js.PublishMsg(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	forge(100)
	stream, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 15, 21, 31} {
		if err := stream.DeleteMsg(ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	r := broker.NewReader(js)
	s, err := r.Series(ctx, "S", "s.0", 11)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	next := func(batch, want int) {
		t.Helper()
		from := s.From()
		looked, _, err := r.NextBySubject(ctx, "S", "s.0", from, batch)
		if err != nil {
			t.Fatal(err)
		}
		msgs, err := s.Next(ctx, batch)
		if err != nil || len(msgs) != want || len(looked) != want {
			t.Fatalf("from %d: got %d messages and %v, a look brings %d, want %d", from, len(msgs), err, len(looked), want)
		}
		for i, m := range msgs {
			l := looked[i]
			if m.Seq != l.Seq || m.Subject != l.Subject || string(m.Data) != string(l.Data) || !m.Time.Equal(l.Time) ||
				fmt.Sprint(m.Header) != fmt.Sprint(l.Header) {
				t.Errorf("got %+v, a look brings %+v", m, l)
			}
		}
	}
	next(10, 10)
	next(20, 20)
	next(20, 12) // all there are
	next(20, 0)
	forge(50)
	next(20, 20)
	next(20, 5)
	if want := uint64(150); s.From() != want {
		t.Errorf("it stands at %d, want %d", s.From(), want)
	}
}

// One whose consumer is gone says so, and skips nothing.
func TestSeries_Lost(t *testing.T) {
	b := brokertest.StartEmpty(t)
	js := b.JetStream(b.Connect())
	ctx := t.Context()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := js.Publish(ctx, "s.0", nil); err != nil {
			t.Fatal(err)
		}
	}
	s, err := broker.NewReader(js).Series(ctx, "S", "s.0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if msgs, err := s.Next(ctx, 4); err != nil || len(msgs) != 4 {
		t.Fatalf("got %d messages, %v", len(msgs), err)
	}
	for name := range stream.ConsumerNames(ctx).Name() {
		if err := stream.DeleteConsumer(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if msgs, err := s.Next(ctx, 4); err == nil || len(msgs) != 0 || s.From() != 5 {
		t.Errorf("got %d messages, %v, and it stands at %d", len(msgs), err, s.From())
	}
}
