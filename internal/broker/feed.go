package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	feedBatch     = 100              // messages asked for at once, at most
	feedFirst     = 10               // and at first: who jumps soon has no use for more
	feedExpires   = 30 * time.Second // how long one pull waits for them
	feedHeartbeat = time.Second      // how often the server says that it still does
	feedSilence   = 2500 * time.Millisecond
	feedCreate    = 2 * time.Second
	feedCheck     = 5 * time.Second // without a message, after which the stream is asked whether that is right
	feedLook      = time.Second     // that the stream has to answer
)

// A Feed reads the messages of a stream that match one of its filters, in order,
// each once, and goes on as they come.
type Feed struct {
	// Log gets what interrupts the feed. Defaults to nothing.
	Log *slog.Logger

	js     jetstream.JetStream
	nc     *nats.Conn
	api    string
	reader *Reader
	stream string
	fn     func(m *Stored, pending uint64)
	jumped chan struct{} // wakes a feed that waits
	check  time.Duration

	mu      sync.Mutex
	filters []string // never changed in place
	next    uint64
	jump    uint64 // counts jumps
}

// NewFeed returns a feed from sequence from of stream, which waits for
// [Feed.Refilter] if filter is "". It calls fn with each
// message and with how many more match in the stream; the next message waits
// until fn returns, in the server beyond a hundred of them.
func NewFeed(js jetstream.JetStream, stream, filter string, from uint64, fn func(m *Stored, pending uint64)) *Feed {
	var filters []string
	if filter != "" {
		filters = []string{filter}
	}
	return &Feed{
		js: js, nc: js.Conn(), api: apiPrefix(js.Options()), reader: NewReader(js),
		stream: stream, filters: filters, fn: fn, next: max(from, 1), jumped: make(chan struct{}, 1), check: feedCheck,
	}
}

// Jump makes the feed go on at seq, forwards or backwards. When fn calls it,
// no other message comes before.
func (f *Feed) Jump(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jumpLocked(seq)
}

// Refilter makes the feed go on at seq, as [Feed.Jump] does, with other filters, of
// which no two may match the same subject. With none it waits.
func (f *Feed) Refilter(filters []string, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filters = slices.Clone(filters)
	f.jumpLocked(seq)
}

func (f *Feed) jumpLocked(seq uint64) {
	f.next = max(seq, 1)
	f.jump++
	select {
	case f.jumped <- struct{}{}:
	default:
	}
}

var (
	errJumped  = errors.New("jumped")
	errLost    = errors.New("a message was lost on the way")
	errSilence = errors.New("no heartbeat")
	errStale   = errors.New("the stream has messages that do not come")
)

// Run feeds until ctx is done and returns why. Nothing else ends it: it reads
// on at the message after the last one when the server, its consumer or the
// connection are there again.
func (f *Feed) Run(ctx context.Context) error {
	log := cmp.Or(f.Log, slog.New(slog.DiscardHandler))
	const shortest, longest = 50 * time.Millisecond, time.Second
	for wait := shortest; ctx.Err() == nil; {
		before := f.Next()
		err := f.read(ctx)
		if errors.Is(err, errJumped) || ctx.Err() != nil {
			continue
		}
		if f.Next() != before {
			wait = shortest
		}
		if wait == shortest { // once, not again for each try
			log.Warn("feed interrupted, going on", "stream", f.stream, "next_seq", f.Next(), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-f.jumped:
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, longest)
	}
	return context.Cause(ctx)
}

// Next returns the sequence at which the feed goes on: while fn runs, the one after
// its message, unless the feed has jumped since.
func (f *Feed) Next() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

// read feeds through one consumer until it fails or the feed jumps.
//
// It is a pull consumer that is spoken to by hand. The client library tells
// messages from statuses by their headers and body, which a producer chooses;
// here the reply subject tells, which only the server sets.
func (f *Feed) read(ctx context.Context) error {
	f.mu.Lock()
	r := reading{f: f, jump: f.jump}
	from, filters := f.next, f.filters
	f.mu.Unlock()
	if len(filters) == 0 {
		return f.await(ctx)
	}

	create, cancel := context.WithTimeout(ctx, feedCreate)
	defer cancel()
	status := f.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer f.nc.RemoveStatusListener(status)
	var err error
	if r.consumer, err = passingConsumer(create, f.js, f.stream, from, filters...); err != nil {
		return fmt.Errorf("create consumer: %w", err)
	}
	// Nobody waits for the answer: the server forgets an idle consumer anyway.
	defer f.nc.PublishRequest(f.api+"CONSUMER.DELETE."+f.stream+"."+r.consumer, f.nc.NewInbox(), nil) //nolint:errcheck

	answers := make(chan *nats.Msg, 2*feedBatch)
	sub, err := f.nc.ChanSubscribe(f.nc.NewInbox(), answers)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only on a closed connection
	r.inbox = sub.Subject

	silence := time.NewTimer(feedSilence)
	defer silence.Stop()
	check := time.NewTicker(f.check)
	defer check.Stop()
	stood, missed := f.Next(), false
	for {
		if r.left == 0 {
			if err := r.pull(); err != nil {
				return err
			}
		}
		silence.Reset(feedSilence)
		select {
		case m := <-answers:
			if err := r.take(m); err != nil {
				return err
			}
		case <-f.jumped: // take and read compare the count; this one only wakes
			if f.hasJumped(r.jump) {
				return errJumped
			}
		case <-status:
			return nats.ErrDisconnected
		case <-silence.C:
			return errSilence
		case <-check.C:
			// The consumer lives on one replica, which may be far behind the
			// leader: then the messages do not come although all is well there.
			if at := f.Next(); at != stood {
				stood, missed = at, false
				continue
			}
			look, cancel := context.WithTimeout(ctx, feedLook) // the connection may be lost while it looks
			behind, err := f.behind(look, stood, filters)
			cancel()
			if err != nil || !behind {
				continue
			}
			if missed { // and not just on its way
				return errStale
			}
			missed = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// await returns when the feed has jumped.
func (f *Feed) await(ctx context.Context) error {
	select {
	case <-f.jumped:
		return errJumped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// behind reports whether the stream's leader has something for the feed from seq on.
func (f *Feed) behind(ctx context.Context, seq uint64, filters []string) (bool, error) {
	for _, filter := range filters {
		if last, err := f.reader.lastSeq(ctx, f.stream, filter); err != nil || last >= seq {
			return err == nil, err
		}
	}
	return false, nil
}

func (f *Feed) hasJumped(since uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jump != since
}
