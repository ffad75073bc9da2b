package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Publisher publishes to streams without waiting for one acknowledgement
// before the next message, as the client library does, for a third of the
// processor time. It never publishes a message again, and bounds nothing: how
// much is under way is its user's business. It is safe for concurrent use.
type Publisher struct {
	nc      *nats.Conn
	inbox   string // of the acknowledgements, with its final dot
	sub     *nats.Subscription
	timeout time.Duration
	status  chan nats.Status

	mu       sync.Mutex
	last     uint64          // number of the newest place
	waiting  map[uint64]*Ack // by the number of its place
	free     []replyTo       // places that wait for nothing, the one used last at the end
	sweeping bool
}

// A replyTo is where one acknowledgement is sent. The server knows the way to a
// subject that it has sent to before, and must find it to one that is new. So it
// is used again, but never after an acknowledgement that did not come: that one
// may yet.
type replyTo struct {
	number  uint64
	subject string
}

// AckWait is how long a message may go without an acknowledgement: a stream that
// has lost its leader says nothing.
const AckWait = readTimeout

// NewPublisher returns a publisher whose messages must be acknowledged within
// timeout. It must be closed.
func NewPublisher(nc *nats.Conn, timeout time.Duration) (*Publisher, error) {
	p := &Publisher{nc: nc, inbox: nc.NewInbox() + ".", timeout: timeout, waiting: make(map[uint64]*Ack)}
	var err error
	if p.sub, err = nc.Subscribe(p.inbox+"*", p.take); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	p.status = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	go func() {
		for range p.status { // acknowledgements under way are lost with their connection
			p.fail(nats.ErrDisconnected, time.Time{})
		}
	}()
	return p, nil
}

// Close fails what has no acknowledgement yet.
func (p *Publisher) Close() {
	_ = p.sub.Unsubscribe() // fails only on a closed connection
	p.nc.RemoveStatusListener(p.status)
	p.fail(nats.ErrConnectionClosed, time.Time{})
}

// An Ack is the broker's word on one message.
type Ack struct {
	done chan struct{}
	sent time.Time
	at   replyTo

	// Set when done is closed.
	seq       uint64
	duplicate bool
	err       error
}

// Done is closed when it is known what became of the message.
func (a *Ack) Done() <-chan struct{} { return a.done }

// Err returns nil when the stream has the message, once [Ack.Done] is closed. It
// is a [jetstream.APIError] when the stream has refused it. After any other error
// the stream may have it.
func (a *Ack) Err() error { return a.err }

// Seq returns the message's sequence in its stream, and whether that is of one
// with the same id that was there already.
func (a *Ack) Seq() (seq uint64, duplicate bool) { return a.seq, a.duplicate }

// Publish sends m, whose Reply it takes for itself. The error is that of the
// connection or of the message itself.
func (p *Publisher) Publish(m *nats.Msg) (*Ack, error) {
	a := &Ack{done: make(chan struct{}), sent: time.Now()}
	p.mu.Lock()
	a.at = p.placeLocked()
	p.waiting[a.at.number] = a
	if !p.sweeping {
		p.sweeping = true
		time.AfterFunc(p.timeout/2, p.sweep)
	}
	p.mu.Unlock()
	m.Reply = a.at.subject
	err := p.nc.PublishMsg(m)
	m.Reply = ""
	if err != nil {
		p.mu.Lock()
		delete(p.waiting, a.at.number)
		p.mu.Unlock()
		return nil, err
	}
	return a, nil
}

// placeLocked returns a place that waits for nothing.
func (p *Publisher) placeLocked() replyTo {
	if n := len(p.free); n > 0 {
		at := p.free[n-1]
		p.free = p.free[:n-1]
		return at
	}
	p.last++
	return replyTo{p.last, p.inbox + strconv.FormatUint(p.last, 36)}
}

// take notes an acknowledgement.
func (p *Publisher) take(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[len(p.inbox):], 36, 64)
	if err != nil {
		return
	}
	p.mu.Lock()
	a := p.waiting[number]
	if a != nil { // else it is too late
		delete(p.waiting, number)
		p.free = append(p.free, a.at)
	}
	p.mu.Unlock()
	if a == nil {
		return
	}
	a.seq, a.duplicate, a.err = parseAck(m)
	close(a.done)
}

// sweep fails what has waited too long.
func (p *Publisher) sweep() {
	p.fail(jetstream.ErrAsyncPublishTimeout, time.Now().Add(-p.timeout))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sweeping = len(p.waiting) > 0; p.sweeping {
		time.AfterFunc(p.timeout/2, p.sweep)
	}
}

// fail ends the waiting for what was sent before a time, or for all.
func (p *Publisher) fail(err error, before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for number, a := range p.waiting {
		if before.IsZero() || a.sent.Before(before) {
			delete(p.waiting, number)
			a.err = err
			close(a.done)
		}
	}
}

// parseAck reads what a stream answers.
func parseAck(m *nats.Msg) (seq uint64, duplicate bool, err error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return 0, false, jetstream.ErrNoStreamResponse
	}
	if seq, ok := plainAck(m.Data); ok {
		return seq, false, nil
	}
	var said struct {
		*jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &said); {
	case err != nil:
		return 0, false, jetstream.ErrInvalidJSAck
	case said.Error != nil:
		return 0, false, said.Error
	case said.PubAck == nil || said.Stream == "":
		return 0, false, jetstream.ErrInvalidJSAck
	}
	return said.Sequence, said.Duplicate, nil
}

// plainAck reads the answer that nearly all are, {"stream":"S","seq":1}, without
// a look at every letter of it.
func plainAck(data []byte) (seq uint64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	_, rest, ok = bytes.Cut(rest, []byte(`","seq":`))
	if !ok || len(rest) < 2 || rest[len(rest)-1] != '}' {
		return 0, false
	}
	for _, c := range rest[:len(rest)-1] {
		if c < '0' || c > '9' || seq > (1<<63)/10 {
			return 0, false
		}
		seq = 10*seq + uint64(c-'0')
	}
	return seq, true
}
