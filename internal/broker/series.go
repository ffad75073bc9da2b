package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// A Series reads a stream on from where it stopped before, by a consumer on the
// server that remembers the place. To begin costs the server as much as reading
// a few hundred messages; then each costs it a fifth of what it does by
// [Reader.NextBySubject], which finds the place anew, counts what is left and
// writes all headers again. A Series is not safe for concurrent use.
type Series struct {
	nc       *nats.Conn
	next     string // subject that asks for more
	remove   string // subject that deletes the consumer
	inbox    *nats.Subscription
	answers  chan *nats.Msg
	consumed uint64 // the consumer's sequence of the last message
	from     uint64 // every message before has been read
}

// Series returns one from sequence from of stream, of the messages that match
// filter. It must be closed.
func (r *Reader) Series(ctx context.Context, stream, filter string, from uint64) (*Series, error) {
	ctx, cancel := context.WithTimeout(ctx, feedCreate)
	defer cancel()
	consumer, err := passingConsumer(ctx, r.js, stream, from, filter)
	if err != nil {
		return nil, fmt.Errorf("read %s: create consumer: %w", stream, err)
	}
	s := &Series{
		nc: r.nc, next: r.api + "CONSUMER.MSG.NEXT." + stream + "." + consumer,
		remove: r.api + "CONSUMER.DELETE." + stream + "." + consumer, answers: make(chan *nats.Msg, maxBatch+1), from: from,
	}
	// A channel, because NextMsg takes a stored message for a status.
	if s.inbox, err = r.nc.ChanSubscribe(r.nc.NewInbox(), s.answers); err != nil {
		s.delete()
		return nil, fmt.Errorf("read %s: subscribe: %w", stream, err)
	}
	return s, nil
}

// From returns the sequence from which on Next reads.
func (s *Series) From() uint64 { return s.from }

// Next returns the next messages, up to batch of them (at most 1024). Fewer mean
// that the replica which has the consumer has no more yet. After an error there
// is nothing to do but to close s: the next messages still are those at From.
func (s *Series) Next(ctx context.Context, batch int) ([]*Stored, error) {
	batch = max(1, min(batch, maxBatch))
	fail := func(err error) ([]*Stored, error) { return nil, fmt.Errorf("read on: %w", err) }
	body, err := json.Marshal(struct {
		Batch  int  `json:"batch"`
		NoWait bool `json:"no_wait"`
	}{batch, true})
	if err != nil {
		return fail(err)
	}
	if err := s.nc.PublishRequest(s.next, s.inbox.Subject, body); err != nil {
		return fail(err)
	}
	silence := time.NewTimer(answerWait)
	defer silence.Stop()
	msgs, from := make([]*Stored, 0, batch), s.from
	for came := 0; came < batch; {
		var m *nats.Msg
		select {
		case m = <-s.answers:
			silence.Reset(answerWait)
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		case <-silence.C:
			return fail(nats.ErrTimeout)
		}
		if !strings.HasPrefix(m.Reply, "$JS.ACK.") { // a status: only the server sets the reply
			switch code := m.Header.Get("Status"); code {
			case "404", "408":
				s.from = from
				return msgs, nil
			default:
				return fail(fmt.Errorf("server answers %s %s", code, m.Header.Get("Description")))
			}
		}
		stored, consumed, _, err := consumedMessage(m)
		if err == nil && consumed != s.consumed+1 {
			err = errLost
		}
		if err != nil {
			return fail(err)
		}
		s.consumed = consumed
		if came++; stored.Seq >= from { // else the server has not come as far as it was told to start
			msgs, from = append(msgs, stored), stored.Seq+1
		}
	}
	s.from = from
	return msgs, nil
}

// Close deletes the consumer. Nobody waits for that: the server forgets an idle
// one anyway.
func (s *Series) Close() {
	_ = s.inbox.Unsubscribe() // fails only on a closed connection
	s.delete()
}

func (s *Series) delete() { _ = s.nc.PublishRequest(s.remove, s.nc.NewInbox(), nil) }
