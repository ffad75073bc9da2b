package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// unacknowledged is how many messages publish sends ahead of the broker's
// acknowledgements.
const unacknowledged = 1024

// publish publishes messages number from to to, and returns when all are
// stored. It holds the rate per second or, if that is 0, goes as fast as the
// broker stores them. A nil message ends it.
func (s *stage) publish(ctx context.Context, from, to int, rate float64, message func(i int) (*nats.Msg, error)) error {
	js, err := jetstream.New(s.nc, jetstream.WithPublishAsyncMaxPending(2*unacknowledged), jetstream.WithPublishAsyncTimeout(time.Minute))
	if err != nil {
		return err
	}
	var ahead [unacknowledged]jetstream.PubAckFuture
	stored := func(i int) error {
		f := ahead[i%unacknowledged]
		if f == nil {
			return nil
		}
		ahead[i%unacknowledged] = nil // it answers once
		select {
		case <-f.Ok():
			return nil
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	start := time.Now()
	for i := from; i < to; i++ {
		if rate > 0 {
			due := start.Add(time.Duration(float64(i-from) / rate * float64(time.Second)))
			if early := time.Until(due); early > 0 {
				time.Sleep(max(early, time.Millisecond)) // shorter sleeps cost more than they give
			}
		}
		if err := stored(i); err != nil {
			return err
		}
		m, err := message(i)
		if err != nil {
			return err
		}
		if m == nil {
			break
		}
		if ahead[i%unacknowledged], err = js.PublishMsgAsync(m); err != nil {
			return err
		}
	}
	for i := range ahead {
		if err := stored(i); err != nil {
			return err
		}
	}
	return nil
}

// fill publishes a backlog for a that lasts for a time at so many per second.
func (s *stage) fill(ctx context.Context, a account, perSecond float64, lasts time.Duration) error {
	from := s.filled
	s.filled += int(perSecond * lasts.Seconds())
	return s.publish(ctx, from, s.filled, 0, func(i int) (*nats.Msg, error) { return encode(sendTo(a, i)) })
}

// sendTo is a send of a to recipient number i.
func sendTo(a account, i int) *events.Request {
	content := events.Content{Kind: events.ContentText, Text: "Đơn hàng của bạn đã được xác nhận"}
	if a.provider() == "ahachat" {
		content = events.Content{Kind: events.ContentBlock, BlockName: "order_confirmed"}
	}
	return &events.Request{
		Meta: events.Meta{ID: sendID(i), Source: "/prove"}, Kind: events.KindSend,
		Provider: a.provider(), Account: a.Name, Class: events.Normal,
		Send: &events.Send{Recipient: events.Recipient{Kind: events.ByPhone, Value: phone(i)}, Content: content},
	}
}

// cancelTo takes back what sendTo made.
func cancelTo(a account, i int) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: fmt.Sprintf("cancel-%d", i), Source: "/prove"}, Kind: events.KindCancel,
		Provider: a.provider(), Account: a.Name, Class: events.Urgent, Cancel: &events.Cancel{ID: sendID(i)},
	}
}

// encode refuses what the library for producers would refuse.
func encode(r *events.Request) (*nats.Msg, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return events.EncodeRequest(r)
}

func sendID(i int) string { return fmt.Sprintf("order-%d", i) }
func phone(i int) string  { return fmt.Sprintf("09%08d", i) }

// publishSends publishes n sends as other services do, one after the other.
func (s *stage) publishSends(ctx context.Context, n int) error {
	pub := events.NewPublisher(s.js, events.PublisherConfig{Source: "/prove", Directory: events.NewDirectory(s.js)})
	for i := range n {
		r := sendTo(prover, i)
		// A dispatcher that has just been started has yet to tell the directory.
		var refusal error
		err := until(ctx, 10*time.Second, "the directory", func() (bool, error) {
			_, refusal = pub.Publish(ctx, r)
			return refusal == nil, alive(s.running...)
		})
		if err != nil {
			return fmt.Errorf("%w: %w", err, refusal)
		}
	}
	return nil
}

// finals reads EVENTS until n sends have a final delivery, and a little longer,
// to see whether any has a second one.
func (s *stage) finals(ctx context.Context, n int, patience time.Duration, check func() error) (map[string][]events.State, error) {
	ends := map[string][]events.State{}
	reader := broker.NewReader(s.js)
	next := uint64(1)
	read := func() error {
		return reader.Replay(ctx, broker.Events, "tram.delivery.>", next, func(m *broker.Stored) error {
			next = m.Seq + 1
			e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
			if err != nil {
				return err
			}
			if e.Delivery.Final {
				id := e.Delivery.RequestID
				ends[id] = append(ends[id], e.Delivery.State)
			}
			return nil
		})
	}
	err := until(ctx, patience, "the final deliveries", func() (bool, error) {
		if err := read(); err != nil {
			return false, err
		}
		return len(ends) >= n, check()
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %d of %d", err, len(ends), n)
	}
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
	}
	return ends, read()
}
