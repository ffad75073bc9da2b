package brokertest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
)

// Publish stores m and returns its sequence.
func (b *Broker) Publish(m *nats.Msg) uint64 {
	b.t.Helper()
	ack, err := b.JS.PublishMsg(b.t.Context(), m)
	if err != nil {
		b.t.Fatalf("publish %s: %v", m.Subject, err)
	}
	return ack.Sequence
}

// All returns every message of a stream.
func (b *Broker) All(stream string) (all []*broker.Stored) {
	b.t.Helper()
	err := broker.NewReader(b.JS).Scan(b.t.Context(), stream, broker.Window{}, func(m *broker.Stored) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		b.t.Fatalf("read %s: %v", stream, err)
	}
	return all
}

// Count returns how many messages a stream has.
func (b *Broker) Count(stream string) int {
	b.t.Helper()
	s, err := b.JS.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatalf("count %s: %v", stream, err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// AwaitAcknowledged waits until a durable consumer has acknowledged every message
// of a stream.
func (b *Broker) AwaitAcknowledged(stream, durable string) {
	b.t.Helper()
	Eventually(b.t, "all of "+stream+" is acknowledged", func() bool {
		s, err := b.JS.Stream(b.t.Context(), stream)
		if err != nil {
			return false
		}
		c, err := s.Consumer(b.t.Context(), durable)
		return err == nil && c.CachedInfo().AckFloor.Stream == s.CachedInfo().State.LastSeq
	})
}

// patience is far more than anything takes that does happen: only a test that
// fails waits for so long, however slow the machine.
const patience = time.Minute

// Eventually waits until ok returns true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
