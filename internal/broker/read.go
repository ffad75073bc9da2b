package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stored is a message as a stream keeps it.
type Stored struct {
	Seq     uint64
	Subject string
	Header  nats.Header // as it was published; nil if it has none or is not readable
	Data    []byte
	Time    time.Time // when the stream stored it
}

// readTimeout bounds one request to the server: an answer that was lost with
// its connection must not hold the caller for ever.
const readTimeout = 5 * time.Second

// lagWait is how long a replica that is behind its leader gets to catch up
// before it is asked again.
const lagWait = 20 * time.Millisecond

// A Reader reads streams without a consumer, so without state on the server.
// It is safe for concurrent use.
type Reader struct {
	js  jetstream.JetStream
	nc  *nats.Conn
	api string // prefix of the JetStream API, with its final dot

	ahead int // messages that Scan asks for before they are wanted
}

// NewReader returns a reader of the streams that js sees.
func NewReader(js jetstream.JetStream) *Reader {
	return &Reader{js: js, nc: js.Conn(), api: apiPrefix(js.Options()), ahead: scanMessages}
}

// Gently returns a reader whose Scan has a few messages sent at a time, so that
// nothing has to wait long for the server to be done with them.
func (r *Reader) Gently() *Reader {
	gentle := *r
	gentle.ahead = gentleAhead
	return &gentle
}

const gentleAhead = 64

func apiPrefix(o jetstream.JetStreamOptions) string {
	switch {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		return o.APIPrefix + "."
	}
	return jetstream.DefaultAPIPrefix
}

// getRequest asks for messages, in both forms of the API.
type getRequest struct {
	Seq       uint64   `json:"seq,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	LastFor   string   `json:"last_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
}

// Get returns the message at seq. The error wraps [jetstream.ErrMsgNotFound]
// if there is none. The stream's leader answers, so what was stored is found.
func (r *Reader) Get(ctx context.Context, stream string, seq uint64) (*Stored, error) {
	return r.leader(ctx, stream, getRequest{Seq: seq})
}

// Last returns the newest message that matches filter, as the stream's leader
// knows it. The error wraps [jetstream.ErrMsgNotFound] if there is none.
func (r *Reader) Last(ctx context.Context, stream, filter string) (*Stored, error) {
	return r.leader(ctx, stream, getRequest{LastFor: filter})
}

// First returns the oldest message that matches filter, as the stream's leader
// knows it. The error wraps [jetstream.ErrMsgNotFound] if there is none.
func (r *Reader) First(ctx context.Context, stream, filter string) (*Stored, error) {
	return r.next(ctx, stream, filter, 1)
}

// next returns the first message at or after seq that matches filter, as the
// stream's leader knows it.
func (r *Reader) next(ctx context.Context, stream, filter string, seq uint64) (*Stored, error) {
	return r.leader(ctx, stream, getRequest{Seq: seq, NextFor: filter})
}

// leader asks for one message in the form that only the stream's leader
// answers and that keeps what the server says apart from what the producer
// wrote. It costs a round trip for each message and base64.
func (r *Reader) leader(ctx context.Context, stream string, req getRequest) (*Stored, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	answer, err := r.nc.RequestWithContext(ctx, r.api+"STREAM.MSG.GET."+stream, body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	var reply struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		return nil, fmt.Errorf("read %s: decode answer: %w", stream, err)
	}
	if reply.Error != nil {
		return nil, fmt.Errorf("read %s: %w", stream, reply.Error)
	}
	if reply.Message == nil {
		return nil, fmt.Errorf("read %s: answer has no message", stream)
	}
	m := &Stored{Seq: reply.Message.Seq, Subject: reply.Message.Subject, Data: reply.Message.Data, Time: reply.Message.Time}
	if len(reply.Message.Header) > 0 {
		m.Header, _ = nats.DecodeHeadersMsg(reply.Message.Header) // nil when it is not readable
	}
	return m, nil
}

// Replay calls fn for every message of stream that matches filter, from
// sequence from to the newest one that the stream's leader has when Replay is
// called, in order. It waits for replicas that are behind, so what the leader
// had is not missed. An error of fn ends it and is returned as it is.
func (r *Reader) Replay(ctx context.Context, stream, filter string, from uint64, fn func(*Stored) error) error {
	end, err := r.lastSeq(ctx, stream, filter)
	if err != nil {
		return err
	}
	return r.replay(ctx, stream, filter, from, end, func(end uint64) (uint64, error) {
		left, err := r.lastSeq(ctx, stream, filter)
		return min(end, left), err
	}, fn)
}

// ReplayTo does as [Reader.Replay], but to sequence end, where there must be a
// message that matches: it waits until that has been read. Whoever has just
// stored it depends on no leader's word: one that was deposed while it was cut
// off does not know for up to a second, and tells of the stream as it was.
func (r *Reader) ReplayTo(ctx context.Context, stream, filter string, from, end uint64, fn func(*Stored) error) error {
	return r.replay(ctx, stream, filter, from, end, func(end uint64) (uint64, error) { return end, nil }, fn)
}

// replay reads to end. When nothing more comes before it, left says where the end
// is by now.
func (r *Reader) replay(ctx context.Context, stream, filter string, from, end uint64, left func(uint64) (uint64, error), fn func(*Stored) error) (err error) {
	for from = max(from, 1); from <= end; {
		msgs, _, err := r.NextBySubject(ctx, stream, filter, from, maxBatch)
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if m.Seq > end {
				return nil
			}
			if err := fn(m); err != nil {
				return err
			}
			from = m.Seq + 1
		}
		if len(msgs) > 0 {
			continue
		}
		// Either the replica is behind, or what is left has aged out since.
		if end, err = left(end); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("replay %s: %w", stream, context.Cause(ctx))
		case <-time.After(lagWait):
		}
	}
	return nil
}

// lastSeq returns 0 if nothing matches.
func (r *Reader) lastSeq(ctx context.Context, stream, filter string) (uint64, error) {
	m, err := r.Last(ctx, stream, filter)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return m.Seq, nil
}

// IsWrongSequence reports whether err is the server's refusal of a message
// because its subject's last sequence is another than the publisher expected.
// The servers of a cluster have a second code for it.
func IsWrongSequence(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
