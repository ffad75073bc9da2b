package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// A reading is the life of one consumer.
type reading struct {
	f        *Feed
	jump     uint64 // the feed's count of jumps when it began
	consumer string
	inbox    string
	seq      uint64 // the consumer's sequence of the last message
	batch    int    // messages that the last pull asked for
	left     int    // of these, those that may still come
}

// pull asks for more messages. One pull is in progress at a time. It has no
// limit in bytes: a pull that meets its limit exactly ends without a status.
func (r *reading) pull() error {
	req := struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{min(max(feedFirst, 2*r.batch), feedBatch), feedExpires, feedHeartbeat}
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	if err := r.f.nc.PublishRequest(r.f.api+"CONSUMER.MSG.NEXT."+r.f.stream+"."+r.consumer, r.inbox, body); err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	r.batch, r.left = req.Batch, req.Batch
	return nil
}

// take handles one message or status of the server.
func (r *reading) take(m *nats.Msg) error {
	if !strings.HasPrefix(m.Reply, "$JS.ACK.") {
		return r.status(m)
	}
	s, consumed, pending, err := consumedMessage(m)
	if err != nil {
		return err
	}
	if consumed != r.seq+1 {
		return errLost
	}
	r.seq++
	r.left--
	f, seq := r.f, s.Seq
	f.mu.Lock()
	jumped, early := f.jump != r.jump, seq < f.next
	if !jumped && !early {
		f.next = seq + 1
	}
	f.mu.Unlock()
	switch {
	case jumped:
		return errJumped
	case early: // a server that has not come as far as it was told to start
		return nil
	}
	f.fn(s, pending)
	if f.hasJumped(r.jump) {
		return errJumped
	}
	return nil
}

// status handles what the server says about the pull.
func (r *reading) status(m *nats.Msg) error {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case code == "100": // a heartbeat, which says how far the consumer is
		if last := m.Header.Get("Nats-Last-Consumer"); last != "" && last != strconv.FormatUint(r.seq, 10) {
			return errLost
		}
	case code == "408", code == "404": // the pull has ended
		r.left = 0
	case code == "503":
		return nats.ErrNoResponders
	default:
		return fmt.Errorf("server answers %s %s", code, text)
	}
	return nil
}

// passingConsumer creates a consumer that the server forgets when nobody asks it
// for messages any more, and returns its name.
func passingConsumer(ctx context.Context, js jetstream.JetStream, stream string, from uint64, filters ...string) (string, error) {
	name := "feed_" + nuid.Next()
	cfg := jetstream.ConsumerConfig{
		Name: name, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: feedExpires,
	}
	switch {
	case len(filters) > 1:
		cfg.FilterSubjects = filters
	case filters[0] != ">": // which, left out, has the server not even look at subjects
		cfg.FilterSubject = filters[0] // the request then says so in its subject, and may be permitted by that
	}
	_, err := js.CreateConsumer(ctx, stream, cfg)
	return name, err
}

// consumedMessage returns the message that a consumer has sent, the consumer's
// own sequence, and how many more match in the stream.
func consumedMessage(m *nats.Msg) (s *Stored, consumed, pending uint64, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, 0, 0, fmt.Errorf("read metadata: %w", err)
	}
	s = &Stored{Seq: meta.Sequence.Stream, Subject: m.Subject, Data: m.Data, Time: meta.Timestamp}
	if len(m.Header) > 0 {
		s.Header = m.Header
	}
	return s, meta.Sequence.Consumer, meta.NumPending, nil
}
