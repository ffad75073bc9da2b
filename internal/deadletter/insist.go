package deadletter

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
)

const maxPatience = 2 * time.Minute

// insist calls fn until it succeeds, is refused, or the box's patience is at its
// end.
func (b *Box) insist(ctx context.Context, what string, fn func(context.Context) error) error {
	return broker.Insist(ctx, b.patience, what, fn)
}

// A sending is a message on its way into a stream. Several that begin together
// cost the broker and this process far less than one after the other.
type sending struct {
	*Box
	m   *nats.Msg
	ack jetstream.PubAckFuture // nil: not begun, or its first try has failed
}

// send begins to store m.
func (b *Box) send(m *nats.Msg) *sending {
	ack, err := b.js.PublishMsgAsync(m)
	if err != nil {
		ack = nil // the reason shows again when it is tried again
	}
	return &sending{b, m, ack}
}

// stored returns when the message is stored or refused. Until then it is tried
// again, as insist says.
func (s *sending) stored(ctx context.Context, what string) error {
	return s.insist(ctx, what, func(ctx context.Context) error {
		first := s.ack
		if s.ack = nil; first == nil {
			_, err := s.js.PublishMsg(ctx, s.m, jetstream.WithRetryAttempts(0))
			return err
		}
		select {
		case <-first.Ok():
			return nil
		case err := <-first.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}
