package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Window is a part of a stream: what matches any of its subjects (none is
// all), from sequence From to sequence To, both included; To 0 is the end.
type Window struct {
	Subjects    []string
	From, To    uint64
	HeadersOnly bool // the server keeps the bodies to itself
}

// Scan calls fn for every message of the window that the stream has when Scan is
// called, in order. An error of fn ends it and is returned as it is. It waits
// for a broker that is away, for two minutes at most.
//
// Of a million messages it is three times as fast as [Reader.Replay], and it
// costs the server a consumer, which ends with it.
func (r *Reader) Scan(ctx context.Context, stream string, w Window, fn func(*Stored) error) error {
	s := &scan{Reader: r, stream: stream, window: w, fn: fn}
	s.window.From = max(w.From, 1)
	moved, at := time.Now(), s.window.From
	for {
		err := s.run(ctx)
		switch {
		case err == nil, s.failed != nil:
			return s.failed
		case ctx.Err() != nil:
			return fmt.Errorf("scan %s: %w", stream, context.Cause(ctx))
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, nats.ErrConnectionClosed), s.window.From == at && time.Since(moved) > scanPatience:
			return fmt.Errorf("scan %s: %w", stream, err)
		case s.window.From != at:
			moved, at = time.Now(), s.window.From
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

const (
	scanPatience = 2 * time.Minute
	scanSilence  = 5 * time.Second // after which it is asked whether anything is left
	scanMessages = 8192
	scanBytes    = 32 << 20
)

// A scan is one call of [Reader.Scan].
type scan struct {
	*Reader
	stream string
	window Window // From is what comes next; To is known after the first run
	fn     func(*Stored) error
	failed error // of fn
}

// run reads on from where the scan stands. It returns nil when nothing is left.
func (s *scan) run(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if s.window.To == 0 {
		info, err := s.js.Stream(asked, s.stream)
		if err != nil {
			return err
		}
		if s.window.To = info.CachedInfo().State.LastSeq; s.window.To == 0 {
			return nil
		}
	}
	if s.window.From > s.window.To {
		return nil
	}
	cons, err := s.js.OrderedConsumer(asked, s.stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: s.window.Subjects, HeadersOnly: s.window.HeadersOnly, InactiveThreshold: 30 * time.Second, MaxResetAttempts: 1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.window.From,
	})
	if err != nil {
		return err
	}
	defer s.remove(cons)
	if cons.CachedInfo().NumPending == 0 {
		return s.over(ctx)
	}
	all, err := cons.Messages(jetstream.PullMaxMessagesWithBytesLimit(s.ahead, max(scanBytes, 2*int(s.nc.MaxPayload()))))
	if err != nil {
		return err
	}
	defer all.Stop()
	for {
		waiting, cancel := context.WithTimeout(ctx, scanSilence) // a context for each message would be dear
		err := s.some(waiting, all)
		silent := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case errors.Is(err, errScanned):
			return s.over(ctx)
		case err == nil:
			continue
		case s.failed != nil || !silent:
			return err
		}
		// What was left may have grown too old since.
		info, err := cons.Info(ctx)
		if err != nil {
			return err
		}
		if info.NumPending == 0 && info.Delivered.Stream < s.window.From {
			return s.over(ctx)
		}
	}
}

// errBehind says that the consumer's replica has not got all that the leader has.
var errBehind = errors.New("a replica is behind its leader")

// over returns nil if nothing of the window is left, as the stream's leader
// knows it.
func (s *scan) over(ctx context.Context) error {
	if s.window.From > s.window.To {
		return nil
	}
	filters := s.window.Subjects
	if len(filters) == 0 {
		filters = []string{">"}
	}
	for _, filter := range filters {
		m, err := s.next(ctx, s.stream, filter, s.window.From)
		if err == nil && m.Seq <= s.window.To {
			return errBehind
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
	}
	return nil
}

// remove ends a consumer now rather than when the server misses it.
func (s *scan) remove(cons jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, s.stream, cons.CachedInfo().Name)
}

// errScanned says that nothing of the window is left.
var errScanned = errors.New("nothing is left")

// some reads some messages, or fewer when ctx is done.
func (s *scan) some(ctx context.Context, all jetstream.MessagesContext) error {
	for range 1000 {
		m, err := all.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		md, err := m.Metadata()
		if err != nil {
			return err
		}
		seq := md.Sequence.Stream
		if seq > s.window.To {
			return errScanned
		}
		if s.failed = s.fn(&Stored{Seq: seq, Subject: m.Subject(), Header: m.Headers(), Data: m.Data(), Time: md.Timestamp}); s.failed != nil {
			return s.failed
		}
		if s.window.From = seq + 1; md.NumPending == 0 || seq == s.window.To {
			return errScanned
		}
	}
	return nil
}

// SeqAt returns the sequence from which on the stream stored its messages at or
// after a time. No message need be there, nor any after it.
func (r *Reader) SeqAt(ctx context.Context, stream string, at time.Time) (uint64, error) {
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	state := s.CachedInfo().State
	low, high := max(state.FirstSeq, 1), state.LastSeq+1 // the answer is in [low, high]
	for low < high {
		middle := low + (high-low)/2
		m, err := r.next(ctx, stream, ">", middle)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			high = middle
		case err != nil:
			return 0, err
		case m.Time.Before(at):
			low = m.Seq + 1
		default:
			high = middle
		}
	}
	return low, nil
}
