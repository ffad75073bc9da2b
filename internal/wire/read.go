// Package wire reads and writes the items of msgpack that events and records are
// made of. What it writes it has the codec write. It reads straight from the
// bytes, of which the codec would make a stream, with a copy for each text.
package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// A Reader reads one item after the other from bytes that
// [github.com/tramhq/tram/pkg/events.CheckShape] has passed, and no more items
// than are there. An item that is not of the kind it is read as is passed by,
// reads as zero, and makes the reader's error. Nil reads as zero, as with the
// codec.
type Reader struct {
	data []byte
	at   int // of the next item
	err  error

	shared   string // the bytes at sharedAt as a string, of which texts among them are parts
	sharedAt int
}

// NewReader returns a reader of data.
func NewReader(data []byte) Reader { return Reader{data: data} }

// Share makes all texts in the next item parts of one string: it takes one
// allocation, and stays in memory for as long as one of the texts does. Other
// texts have memory of their own.
func (r *Reader) Share() {
	from, end := r.at, len(r.data)
	if from > 0 { // not all there is
		r.Skip()
		r.at, end = from, r.at
	}
	r.shared, r.sharedAt = string(r.data[from:end]), from
}

// Err returns the error of the first item that was of another kind, in the
// words of the codec.
func (r *Reader) Err() error { return r.err }

// Head returns the head of the next item.
func (r *Reader) Head() Head { return ReadHead(r.data[r.at:]) }

// Code returns the code that the next item begins with.
func (r *Reader) Code() byte { return r.data[r.at] }

// Skip passes by the next item with all that is in it.
func (r *Reader) Skip() {
	for left := 1; left > 0; left-- {
		h := r.Head()
		r.at += int(h.Size)
		switch h.Kind {
		case List:
			left += int(h.N)
		case Map:
			left += 2 * int(h.N)
		default:
			r.at += int(h.N)
		}
	}
}

// MapLen reads the head of a map, whose names and values come next.
func (r *Reader) MapLen() int { return r.open(Map, "unexpected", "map length") }

// ListLen reads the head of a list, whose items come next.
func (r *Reader) ListLen() int { return r.open(List, "invalid", "array length") }

func (r *Reader) open(k Kind, problem, what string) int {
	h := r.Head()
	if h.Kind != k {
		r.refuse(h, problem, what)
		return 0
	}
	r.at += int(h.Size)
	return int(h.N)
}

// Bytes reads text or binary as part of the data.
func (r *Reader) Bytes() []byte {
	from, ok := r.contents()
	if !ok {
		return nil
	}
	return r.data[from:r.at:r.at]
}

// Text reads text or binary.
func (r *Reader) Text() string {
	from, ok := r.contents()
	if !ok {
		return ""
	}
	if i, end := from-r.sharedAt, r.at-r.sharedAt; end <= len(r.shared) {
		return r.shared[i:end]
	}
	return string(r.data[from:r.at])
}

// contents passes by text or binary, and returns where its contents begin.
func (r *Reader) contents() (from int, ok bool) {
	h := r.Head()
	if h.Kind != Text && h.Kind != Binary {
		r.refuse(h, "invalid", "string/bytes length")
		return 0, false
	}
	from = r.at + int(h.Size)
	r.at = from + int(h.N)
	return from, true
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	h := r.Head()
	if h.Kind != Bool {
		r.refuse(h, "invalid", "bool")
		return false
	}
	r.at++
	return r.data[r.at-1] == msgpcode.True
}

// Int reads a number. One above the largest int64 becomes negative.
func (r *Reader) Int() int64 { return int64(r.integer("int64")) }

// Uint reads a number. A negative one becomes a large one.
func (r *Reader) Uint() uint64 { return r.integer("uint64") }

func (r *Reader) integer(what string) uint64 {
	h := r.Head()
	if h.Kind != Int {
		r.refuse(h, "invalid", what)
		return 0
	}
	code, b := r.data[r.at], r.data[r.at+1:]
	r.at += int(h.Size) + int(h.N)
	switch code {
	case msgpcode.Uint8:
		return uint64(b[0])
	case msgpcode.Uint16:
		return uint64(binary.BigEndian.Uint16(b))
	case msgpcode.Uint32:
		return uint64(binary.BigEndian.Uint32(b))
	case msgpcode.Uint64, msgpcode.Int64:
		return binary.BigEndian.Uint64(b)
	case msgpcode.Int8:
		return uint64(int8(b[0]))
	case msgpcode.Int16:
		return uint64(int16(binary.BigEndian.Uint16(b)))
	case msgpcode.Int32:
		return uint64(int32(binary.BigEndian.Uint32(b)))
	}
	return uint64(int8(code))
}

func (r *Reader) refuse(h Head, problem, what string) {
	if h.Kind != Nil && r.err == nil {
		r.err = fmt.Errorf("msgpack: %s code=%x decoding %s", problem, r.data[r.at], what)
	}
	r.Skip()
}
