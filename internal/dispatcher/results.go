package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// A resultStore keeps what calls came to. Nothing counts as done before its
// result is stored, and the result of one call is stored once: the broker
// knows it by its id, whoever publishes it. So when a partition changes hands
// while a call is under way, the old owner's answer and the new owner's
// "unknown" cannot both become events.
type resultStore struct {
	js      jetstream.JetStream
	reader  *broker.Reader
	log     *slog.Logger
	giveUp  time.Duration // well under the window in which the broker remembers ids
	maxWait time.Duration // between tries
}

// resultID names the result of call number call of a request. It is the same
// for every dispatcher.
func resultID(seq uint64, call int) string {
	return strconv.FormatUint(seq, 10) + "/" + strconv.Itoa(call)
}

// stored is where a result ended up.
type stored struct {
	seq       uint64 // in RESULTS
	duplicate bool   // a result of the same call was there already
}

// put stores r and returns when the stream has it. It does not stop trying
// while the broker is away, until ctx is done or the call is so old that the
// broker might have forgotten another owner's result of it.
func (s *resultStore) put(ctx context.Context, partition int, key laneKey, r *ledger.Result) (stored, error) {
	data, err := ledger.EncodeResult(r)
	if err != nil {
		return stored{}, err
	}
	started := time.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, s.maxWait) {
		m := nats.NewMsg(broker.ResultSubject(partition, key.provider, key.account))
		m.Data = data
		m.Header.Set(jetstream.MsgIDHeader, resultID(r.Seq, r.Call))
		ack, err := s.publish(ctx, m)
		if err == nil {
			return stored{seq: ack.Sequence, duplicate: ack.Duplicate}, nil
		}
		if time.Since(started) > s.giveUp {
			return stored{}, fmt.Errorf("store result of %d/%d: gave up: %w", r.Seq, r.Call, err)
		}
		s.log.Warn("result not stored, trying again", "seq", r.Seq, "call", r.Call, "error", err)
		select {
		case <-ctx.Done():
			return stored{}, fmt.Errorf("store result of %d/%d: %w", r.Seq, r.Call, context.Cause(ctx))
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

func (s *resultStore) publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	f, err := s.js.PublishMsgAsync(m)
	if err != nil {
		return nil, err
	}
	select {
	case ack := <-f.Ok():
		return ack, nil
	case err := <-f.Err():
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// get reads the result at sequence seq of RESULTS, see storedResult.
func (s *resultStore) get(ctx context.Context, seq uint64) (*ledger.Result, error) {
	m, err := s.reader.Get(ctx, broker.Results, seq)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	return storedResult(m)
}
