package wire

import (
	"bytes"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// A Writer writes one item after the other with the codec, integers in their
// shortest form.
type Writer struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
	err error
}

var writers = sync.Pool{New: func() any {
	w := new(Writer)
	w.enc = msgpack.NewEncoder(&w.buf)
	return w
}}

// maxPooled keeps one huge record from pinning its buffer for ever.
const maxPooled = 64 << 10

// Append appends what write writes to to. The error is the first that was told to
// [Writer.Fail].
func Append(to []byte, write func(*Writer)) ([]byte, error) {
	w := writers.Get().(*Writer)
	write(w)
	data, err := w.buf.Bytes(), w.err
	again := w.buf.Cap() <= maxPooled
	if again || len(to) > 0 { // else the buffer is the caller's now
		data = append(to, data...)
	}
	if again {
		w.buf.Reset()
		w.err = nil
		writers.Put(w)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Fail makes the whole writing fail, unless err is nil.
func (w *Writer) Fail(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

// MapLen begins a map of n pairs, which are written next.
func (w *Writer) MapLen(n int) { w.Fail(w.enc.EncodeMapLen(n)) }

// BeginMap begins a map whose pairs are written next and counted meanwhile. It
// returns the place at which the map begins, for [Writer.EndMap].
func (w *Writer) BeginMap() (at int) {
	w.buf.WriteByte(msgpcode.FixedMapLow)
	return w.buf.Len() - 1
}

// EndMap ends the map that began at a place, after n pairs.
func (w *Writer) EndMap(at, n int) {
	if n < 16 { // for which the head has room
		w.buf.Bytes()[at] |= byte(n)
		return
	}
	pairs := bytes.Clone(w.buf.Bytes()[at+1:])
	w.buf.Truncate(at)
	w.MapLen(n)
	w.buf.Write(pairs)
}

// ListLen begins a list of n items, which are written next.
func (w *Writer) ListLen(n int) { w.Fail(w.enc.EncodeArrayLen(n)) }

// Text writes s.
func (w *Writer) Text(s string) {
	if len(s) < 32 { // nearly all: a byte and s, which the codec would write in twice the time
		w.buf.WriteByte(msgpcode.FixedStrLow | byte(len(s)))
		w.buf.WriteString(s)
		return
	}
	w.Fail(w.enc.EncodeString(s))
}

// Bytes writes b as binary, or nil.
func (w *Writer) Bytes(b []byte) { w.Fail(w.enc.EncodeBytes(b)) }

// Int writes n.
func (w *Writer) Int(n int64) { w.Fail(w.enc.EncodeInt(n)) }

// Uint writes n.
func (w *Writer) Uint(n uint64) { w.Fail(w.enc.EncodeUint(n)) }

// Bool writes b.
func (w *Writer) Bool(b bool) { w.Fail(w.enc.EncodeBool(b)) }

// Nil writes nil.
func (w *Writer) Nil() { w.Fail(w.enc.EncodeNil()) }
