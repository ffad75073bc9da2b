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
	ack *broker.Ack // nil: not begun, or its first try has failed
}

// send begins to store m.
func (r *redrive) send(m *nats.Msg) *sending {
	ack, err := r.pub.Publish(m)
	if err != nil {
		ack = nil // the reason shows again when it is tried again
	}
	return &sending{r.Box, m, ack}
}

// stored returns when the message is stored, with its sequence, or is refused.
// Until then it is tried again, as insist says.
func (s *sending) stored(ctx context.Context, what string) (seq uint64, err error) {
	err = s.insist(ctx, what, func(ctx context.Context) error {
		first := s.ack
		if s.ack = nil; first == nil {
			ack, err := s.js.PublishMsg(ctx, s.m, jetstream.WithRetryAttempts(0))
			if err == nil {
				seq = ack.Sequence
			}
			return err
		}
		select {
		case <-first.Done():
			seq, _ = first.Seq()
			return first.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return seq, err
}
