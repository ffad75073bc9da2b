package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// RequestsStream is the stream that takes requests.
const RequestsStream = "TRAM_REQUESTS"

// ErrFull says that the requests stream has no room. It drops nothing that is
// unsent, so it refuses what is new: publish again later.
var ErrFull = errors.New("the requests stream is full")

// PublisherConfig configures a [Publisher].
type PublisherConfig struct {
	// Source is the ce-source of requests that have none, e.g. /acme/shop.
	Source string

	// Directory has the contracts that requests are checked against. Nil
	// leaves that to the relay, which answers with the state rejected.
	Directory *Directory

	// MaxInFlight bounds the calls of Publish that wait for the stream; more
	// of them wait for those. Defaults to 256.
	MaxInFlight int

	// Attempts is how often a request is published, always with the same id,
	// before Publish gives up. Defaults to 5.
	Attempts int

	// Timeout bounds the wait for the stream's answer to one attempt.
	// Defaults to 5 seconds.
	Timeout time.Duration
}

// A Publisher publishes requests and waits until they are stored. It is safe
// for concurrent use.
type Publisher struct {
	js    jetstream.JetStream
	cfg   PublisherConfig
	slots chan struct{}
}

// A Receipt says that a request is stored.
type Receipt struct {
	ID        string // the request's ce-id
	Stream    string
	Seq       uint64 // in the stream
	Duplicate bool   // it had been stored before; Seq is that of the first time
}

// NewPublisher returns a publisher to the relay that js leads to.
func NewPublisher(js jetstream.JetStream, cfg PublisherConfig) *Publisher {
	cfg.MaxInFlight = cmp.Or(cfg.MaxInFlight, 256)
	cfg.Attempts = cmp.Or(cfg.Attempts, 5)
	cfg.Timeout = cmp.Or(cfg.Timeout, 5*time.Second)
	return &Publisher{js: js, cfg: cfg, slots: make(chan struct{}, cfg.MaxInFlight)}
}

// Publish checks r, publishes it and waits until the stream has stored it.
//
// Where r has no ID, Source or Time it fills them in, so that publishing the
// same r again after an error is publishing the same request. The error is an
// [*InvalidError] if r cannot be carried out, [ErrFull] or [ErrNotSetUp] as
// those say, or the context's. After any other error r may have been stored or
// not: publish it again.
func (p *Publisher) Publish(ctx context.Context, r *Request) (Receipt, error) {
	r.ID = cmp.Or(r.ID, NewID())
	r.Source = cmp.Or(r.Source, p.cfg.Source)
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	if err := r.Validate(); err != nil {
		return Receipt{}, err
	}
	m, err := EncodeRequest(r)
	if err != nil {
		return Receipt{}, err
	}
	m.Header.Set(jetstream.ExpectedStreamHeader, RequestsStream)

	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
	for attempt := 1; ; attempt++ {
		ack, err := p.try(ctx, r, m)
		switch {
		case err == nil:
			return Receipt{ID: r.ID, Stream: ack.Stream, Seq: ack.Sequence, Duplicate: ack.Duplicate}, nil
		case !worthRetry(err):
			return Receipt{}, plainly(err)
		case attempt == p.cfg.Attempts:
			return Receipt{}, fmt.Errorf("publish request after %d attempts: %w", attempt, plainly(err))
		}
		if err := pause(ctx, backoff(attempt, 100*time.Millisecond, 5*time.Second)); err != nil {
			return Receipt{}, err
		}
	}
}

// try makes one attempt.
func (p *Publisher) try(ctx context.Context, r *Request, m *nats.Msg) (*jetstream.PubAck, error) {
	tryCtx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	if p.cfg.Directory != nil {
		c, err := p.cfg.Directory.Contract(tryCtx, r.Provider, r.Account)
		if invalid, ok := errors.AsType[*InvalidError](err); ok {
			invalid.Kind = r.Kind
		}
		if err == nil {
			err = c.Check(r)
		}
		if err != nil {
			return nil, err
		}
	}
	ack, err := p.js.PublishMsg(tryCtx, m, jetstream.WithRetryAttempts(0))
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	return ack, err
}

// JetStream error codes of a stream that cannot take a message.
const (
	codeAccountFull = 10002
	codeNoResources = 10023
	codeMemoryFull  = 10028
	codeStorageFull = 10047
	codeOtherStream = 10060
	codeStreamFull  = 10077 // over the stream's own limits
)

// JetStream error codes of a cluster that may take the same message a moment
// later: it is storing it, or it is electing a leader.
const (
	codeInProcess = 10158
	codeNoLeader  = 10008
)

// plainly turns the errors that have a remedy into ours.
func plainly(err error) error {
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return ErrNotSetUp
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return err // one of ours, the context's or the connection's, which say enough
	}
	switch api.ErrorCode {
	case codeAccountFull, codeNoResources, codeMemoryFull, codeStorageFull, codeStreamFull:
		return fmt.Errorf("%w: %s", ErrFull, api.Description)
	case codeOtherStream:
		return fmt.Errorf("%w: another stream than %s takes requests", ErrNotSetUp, RequestsStream)
	}
	return fmt.Errorf("publish request: %w", err)
}

// worthRetry reports whether the same message may be taken a moment later. A
// stream that does not answer may be one that is electing its leader.
func worthRetry(err error) bool {
	for _, final := range []error{ErrNotSetUp, context.Canceled, nats.ErrConnectionClosed, nats.ErrConnectionDraining, nats.ErrMaxPayload} {
		if errors.Is(err, final) {
			return false
		}
	}
	_, invalid := errors.AsType[*InvalidError](err)
	api, refused := errors.AsType[*jetstream.APIError](err)
	return !invalid && (!refused || api.ErrorCode == codeInProcess || api.ErrorCode == codeNoLeader)
}

// backoff returns the time to wait after the n-th failure in a row: it doubles
// from base up to limit, of which a random half is left out.
func backoff(n int, base, limit time.Duration) time.Duration {
	d := limit
	if n < 20 {
		d = min(base<<(n-1), limit)
	}
	return d/2 + rand.N(d/2)
}

// pause waits for d, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
