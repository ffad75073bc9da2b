package wire

import (
	"bytes"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
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

// Write returns what write writes. The error is the first that was told to
// [Writer.Fail]: to write an item is none.
func Write(write func(*Writer)) ([]byte, error) {
	w := writers.Get().(*Writer)
	write(w)
	data, err := bytes.Clone(w.buf.Bytes()), w.err
	if w.buf.Cap() <= maxPooled {
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

// ListLen begins a list of n items, which are written next.
func (w *Writer) ListLen(n int) { w.Fail(w.enc.EncodeArrayLen(n)) }

// Text writes s.
func (w *Writer) Text(s string) { w.Fail(w.enc.EncodeString(s)) }

// Bytes writes b as binary, or nil.
func (w *Writer) Bytes(b []byte) { w.Fail(w.enc.EncodeBytes(b)) }

// Int writes n.
func (w *Writer) Int(n int64) { w.Fail(w.enc.EncodeInt(n)) }

// Uint writes n.
func (w *Writer) Uint(n uint64) { w.Fail(w.enc.EncodeUint(n)) }

// Bool writes b.
func (w *Writer) Bool(b bool) { w.Fail(w.enc.EncodeBool(b)) }

// Raw writes an item that has been written before.
func (w *Writer) Raw(item []byte) { w.buf.Write(item) }

// Nil writes nil.
func (w *Writer) Nil() { w.Fail(w.enc.EncodeNil()) }

// Name returns text as it is written, for [Writer.Raw].
func Name(text string) []byte {
	b, _ := Write(func(w *Writer) { w.Text(text) })
	return b
}
