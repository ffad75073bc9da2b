package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
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
	js       jetstream.JetStream
	reader   *broker.Reader
	pub      *broker.Publisher // while the dispatcher runs
	giveUp   time.Duration     // well under the window in which the broker remembers ids
	maxWait  time.Duration     // between tries
	outage   *broker.Outage
	observer Observer
	crew     *crew // which rests while results wait: what cannot be told must not be called
}

func newResultStore(cfg *Config, r *broker.Reader, c *crew) *resultStore {
	return &resultStore{
		js: cfg.JS, reader: r, giveUp: cfg.DedupWindow / 2, maxWait: 2 * time.Second,
		outage: broker.NewOutage(cfg.Log, "results cannot be stored"), observer: cfg.Observer, crew: c,
	}
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

// put stores r under subject and returns when the stream has it. It does not stop trying until
// ctx is done, and no new call starts meanwhile: a stream that is full costs
// time, never an answer. It gives up only when the call might have a second
// result otherwise: when for half of the window in which the broker remembers
// ids somebody else may have stored one, because mine says that the partition
// is not ours any more, or this one may have been stored without our knowing.
func (s *resultStore) put(ctx context.Context, subject string, r *ledger.Result, mine func() bool) (stored, error) {
	o := outgoings.Get().(*outgoing)
	defer o.release()
	data, err := ledger.AppendResult(o.msg.Data[:0], r)
	if err != nil {
		return stored{}, err
	}
	fail := func(err error) (stored, error) {
		return stored{}, fmt.Errorf("store result of %d/%d: %w", r.Seq, r.Call, err)
	}
	m := o.message(subject, resultID(r.Seq, r.Call), data)
	var doubt time.Time // since when there may be one
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, s.maxWait) {
		tried := time.Now()
		ack, err := s.publish(ctx, m)
		if err == nil {
			s.outage.Worked()
			return ack, nil
		}
		s.outage.Failed(err)
		s.observer.StoreFailed()
		if doubt.IsZero() && !(noRoom(err) && mine()) {
			doubt = tried
		}
		if tooLarge(err) || !doubt.IsZero() && time.Since(doubt) > s.giveUp {
			return fail(fmt.Errorf("gave up: %w", err))
		}
		if wait == 50*time.Millisecond {
			s.crew.hold()
			defer s.crew.resume()
		}
		select {
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// An outgoing is a message with an id that is used again, with the memory of its
// data: the client has written it out when it returns.
type outgoing struct {
	msg nats.Msg
	id  [1]string
}

var outgoings = sync.Pool{New: func() any {
	o := new(outgoing)
	o.msg.Header = nats.Header{jetstream.MsgIDHeader: o.id[:]}
	return o
}}

func (o *outgoing) message(subject, id string, data []byte) *nats.Msg {
	o.msg.Subject, o.msg.Data, o.id[0] = subject, data, id
	return &o.msg
}

// maxOutgoing keeps one huge answer from pinning its memory for ever.
const maxOutgoing = 64 << 10

func (o *outgoing) release() {
	if cap(o.msg.Data) > maxOutgoing {
		o.msg.Data = nil
	}
	outgoings.Put(o)
}

// noRoom reports whether the stream has refused a message, so that it has not
// been stored, and may take it later: the stream, the account or the disk is
// full.
func noRoom(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains([]jetstream.ErrorCode{codeNoResources, codeNoStorage, codeNotStored}, e.ErrorCode)
}

// tooLarge reports whether the broker will never take the message.
func tooLarge(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return errors.Is(err, nats.ErrMaxPayload) || ok && e.ErrorCode == codeTooLarge
}

// What the server answers, as its errors.json has it.
const (
	codeNoResources jetstream.ErrorCode = 10023
	codeNoStorage   jetstream.ErrorCode = 10047
	codeTooLarge    jetstream.ErrorCode = 10054
	codeNotStored   jetstream.ErrorCode = 10077 // "maximum bytes exceeded" and the like
)

func (s *resultStore) publish(ctx context.Context, m *nats.Msg) (stored, error) {
	// The client would keep it, and store it at the reconnect: maybe long after
	// somebody else has told another end, and the broker has forgotten its id.
	if !s.js.Conn().IsConnected() {
		return stored{}, nats.ErrDisconnected
	}
	ack, err := s.pub.Publish(m)
	if err != nil {
		return stored{}, err
	}
	select {
	case <-ack.Done():
		seq, duplicate := ack.Seq()
		return stored{seq, duplicate}, ack.Err()
	case <-ctx.Done():
		return stored{}, context.Cause(ctx)
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
