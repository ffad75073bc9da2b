package dispatcher

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
)

// A parked request waits in a queue. It is kept as it was read or, where many wait,
// as one string, which takes a third of the memory and leaves the garbage collector
// one object to look at instead of a dozen.
type parked struct {
	seq    uint64
	at     int64 // when it was stored, in unix nanoseconds
	msg    *broker.Stored
	packed string // if msg is nil
}

// unpackedSize is about what the headers of a request that is not packed take.
const unpackedSize = 2 << 10

func (w *parked) time() time.Time { return time.Unix(0, w.at) }

// size is about how many bytes it takes.
func (w *parked) size() int64 {
	if w.msg != nil {
		return int64(len(w.msg.Data)) + unpackedSize
	}
	return int64(len(w.packed))
}

func (w *parked) subject() string {
	if w.msg != nil {
		return w.msg.Subject
	}
	r := unpacking{w.packed}
	return r.next()
}

func (w *parked) stored() *broker.Stored {
	if w.msg != nil {
		return w.msg
	}
	r := unpacking{w.packed}
	m := &broker.Stored{Seq: w.seq, Time: w.time(), Subject: r.next()}
	if n := r.number(); n > 0 {
		m.Header = make(nats.Header, n)
		values := make([]string, n) // one piece of memory for all that have one value
		for i := range values {
			key := r.next()
			values[i] = r.next()
			if old := m.Header[key]; old != nil {
				m.Header[key] = append(old, values[i])
			} else {
				m.Header[key] = values[i : i+1 : i+1]
			}
		}
	}
	m.Data = []byte(r.rest)
	return m
}

// pack lays subject, headers and body of m out one after the other, each but the
// last after its length.
func pack(m *broker.Stored) string {
	size, fields := len(m.Subject)+len(m.Data)+2*binary.MaxVarintLen32, 0
	for key, values := range m.Header {
		fields += len(values)
		for _, value := range values {
			size += len(key) + len(value) + 2 // a length takes one byte, as a rule
		}
	}
	var b strings.Builder
	b.Grow(size)
	number := func(n int) {
		var buf [binary.MaxVarintLen64]byte
		b.Write(binary.AppendUvarint(buf[:0], uint64(n)))
	}
	put := func(s string) {
		number(len(s))
		b.WriteString(s)
	}
	put(m.Subject)
	number(fields)
	for key, values := range m.Header {
		for _, value := range values {
			put(key)
			put(value)
		}
	}
	b.Write(m.Data)
	return b.String()
}

// An unpacking goes through what pack has written.
type unpacking struct{ rest string }

func (r *unpacking) number() int {
	n, shift := 0, 0
	for i := range len(r.rest) {
		c := r.rest[i]
		n |= int(c&0x7f) << shift
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
		shift += 7
	}
	return n
}

func (r *unpacking) next() string {
	n := r.number()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}
