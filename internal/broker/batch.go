package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxBatchBytes bounds what one read brings, beyond its first message.
	maxBatchBytes = 4 << 20

	// maxBatch bounds how many messages one read brings.
	maxBatch = 1024
)

// NextBySubject returns up to batch messages (at most 1024) that match filter,
// in order, the first one at or after sequence from, and how many more match:
// 0 only if none did. The messages are cut short after 4 MiB.
//
// Any replica may answer, and it may be behind the leader: an empty answer, or
// pending 0, means only that it has no more yet. A caller that knows of a
// later message asks again after a moment.
func (r *Reader) NextBySubject(ctx context.Context, stream, filter string, from uint64, batch int) (msgs []*Stored, pending uint64, err error) {
	batch = max(1, min(batch, maxBatch))
	msgs, end, err := r.batch(ctx, stream, filter, getRequest{
		Seq: from, NextFor: filter, Batch: batch, MaxBytes: maxBatchBytes,
	})
	if errors.Is(err, errNotIntact) {
		return r.oneByOne(ctx, stream, filter, from, batch)
	}
	return msgs, end.pending, err
}

// oneByOne reads as NextBySubject does, slowly, and whatever the headers are.
func (r *Reader) oneByOne(ctx context.Context, stream, filter string, from uint64, batch int) (msgs []*Stored, pending uint64, err error) {
	for size := 0; len(msgs) < batch && size < maxBatchBytes; {
		m, err := r.next(ctx, stream, filter, from)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return msgs, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		msgs = append(msgs, m)
		from, size = m.Seq+1, size+len(m.Data)
	}
	return msgs, 1, nil // at least the attempt to read on is due
}

// errNotIntact says that an answer holds a message whose headers hide or
// forge what the server wrote behind them.
var errNotIntact = errors.New("headers are not intact")

// errTooMany says that more subjects match than the server tells in one answer.
var errTooMany = errors.New("too many subjects")

// batchEnd is what the server says after the last message of an answer.
type batchEnd struct {
	pending uint64 // matching messages that are not in the answer
	last    uint64 // sequence of the last message that is
	upTo    uint64 // multi_last only: the replica's last sequence
}

// answerWait is how long a replica may say nothing before another is asked. The
// servers choose one by chance, and for a minute and more they choose one that is
// gone if nothing has closed the connections to it.
const answerWait = time.Second

// batch sends one direct get and collects its answers. No message is no error.
func (r *Reader) batch(ctx context.Context, stream, filter string, req getRequest) (msgs []*Stored, end batchEnd, err error) {
	for range readTimeout / answerWait {
		msgs, end, err = r.ask(ctx, stream, filter, req)
		if !errors.Is(err, nats.ErrTimeout) {
			break
		}
	}
	return msgs, end, err
}

// ask is one try of batch.
func (r *Reader) ask(ctx context.Context, stream, filter string, req getRequest) ([]*Stored, batchEnd, error) {
	fail := func(err error) ([]*Stored, batchEnd, error) {
		return nil, batchEnd{}, fmt.Errorf("read %s: %w", stream, err)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return fail(err)
	}
	// A channel, because NextMsg takes a stored message for a status.
	answers := make(chan *nats.Msg, cmp.Or(req.Batch, maxBatch)+1)
	sub, err := r.nc.ChanSubscribe(r.nc.NewInbox(), answers)
	if err != nil {
		return fail(err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only on a closed connection
	if err := r.nc.PublishRequest(r.api+"DIRECT.GET."+stream, sub.Subject, body); err != nil {
		return fail(err)
	}
	silence := time.NewTimer(answerWait)
	defer silence.Stop()
	var msgs []*Stored
	var last uint64
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
			silence.Reset(answerWait)
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		case <-silence.C:
			return fail(nats.ErrTimeout)
		}
		if !intact(m) {
			return fail(errNotIntact)
		}
		if m.Header.Get(jetstream.SequenceHeader) == "" {
			end, err := parseEnd(m)
			if err == nil && end.last != last {
				err = errGap
			}
			if err != nil {
				return fail(err)
			}
			return msgs, end, nil
		}
		s, before, err := parseStored(m)
		if err == nil && before != last {
			err = errGap
		}
		if err == nil && !matches(filter, s.Subject) {
			err = errNotIntact
		}
		if err != nil {
			return fail(err)
		}
		msgs, last = append(msgs, s), s.Seq
	}
}

// errGap says that a part of an answer was lost on the way, as happens when
// the connection breaks and comes back within it.
var errGap = errors.New("answer has a gap")

// Headers that the server puts behind those of a stored message.
const (
	headerPending = "Nats-Num-Pending"
	headerBefore  = "Nats-Last-Sequence" // of the message before, in the same answer
	headerUpTo    = "Nats-UpTo-Sequence"
)

var serverHeaders = []string{
	jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader,
	jetstream.TimeStampHeaer, headerPending, headerBefore,
}

// intact reports whether m's header block is exactly what its decoded headers
// encode to, so that nothing in it is hidden. The server appends its own
// headers to whatever bytes the producer wrote: an early blank line would hide
// them and let the producer forge the sequence, the subject or the end of the
// answer. A header line may be written two bytes shorter than its encoding (no
// space after the colon, no carriage return); with few headers that cannot make
// up for the 150 bytes and more that would be hidden.
func intact(m *nats.Msg) bool {
	const maxValues = 64
	if m.Header == nil {
		return false
	}
	status := m.Header.Get(jetstream.SequenceHeader) == ""
	size, values := len("NATS/1.0\r\n\r\n"), 0
	for k, vs := range m.Header {
		for _, v := range vs {
			if status && (k == "Status" || k == "Description") {
				size += len(" ") + len(v) // they stand in the first line
			} else {
				size += len(k) + len(": ") + len(v) + len("\r\n")
			}
			values++
		}
	}
	return values <= maxValues && size == m.Size()-len(m.Subject)-len(m.Reply)-len(m.Data)
}

// parseStored reads a stored message and the sequence of the one before it.
func parseStored(m *nats.Msg) (*Stored, uint64, error) {
	said := make(map[string]string, len(serverHeaders))
	for _, k := range serverHeaders {
		vs := m.Header[k]
		if len(vs) == 0 {
			return nil, 0, errNotIntact
		}
		// The producer may have written the same: the server's is the last.
		said[k] = vs[len(vs)-1]
		if len(vs) == 1 {
			delete(m.Header, k)
		} else {
			m.Header[k] = vs[:len(vs)-1]
		}
	}
	seq, err1 := strconv.ParseUint(said[jetstream.SequenceHeader], 10, 64)
	before, err2 := strconv.ParseUint(said[headerBefore], 10, 64)
	at, err3 := time.Parse(time.RFC3339Nano, said[jetstream.TimeStampHeaer])
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, 0, errNotIntact
	}
	s := &Stored{Seq: seq, Subject: said[jetstream.SubjectHeader], Data: m.Data, Time: at}
	if len(m.Header) > 0 {
		s.Header = m.Header
	}
	return s, before, nil
}

// parseEnd reads the status that ends an answer.
func parseEnd(m *nats.Msg) (batchEnd, error) {
	switch code := m.Header.Get("Status"); code {
	case "204":
		pending, err1 := strconv.ParseUint(m.Header.Get(headerPending), 10, 64)
		last, err2 := strconv.ParseUint(m.Header.Get(headerBefore), 10, 64)
		upTo, err3 := strconv.ParseUint(cmp.Or(m.Header.Get(headerUpTo), "0"), 10, 64)
		return batchEnd{pending, last, upTo}, errors.Join(err1, err2, err3)
	case "404":
		return batchEnd{}, nil
	case "413":
		return batchEnd{}, errTooMany
	case "503":
		return batchEnd{}, nats.ErrNoResponders
	default:
		return batchEnd{}, fmt.Errorf("server answers %s %s", code, m.Header.Get("Description"))
	}
}
