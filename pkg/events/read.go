package events

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// Bodies are read and written field by field over msgpack's primitives and not
// by its reflection, which takes a list for a struct by position, takes the
// names of embedded structs for keys, wraps large integers around, and names
// no field when one is wrong.

// maxItems bounds each list and each map of a body.
const maxItems = 1000

// decodeBody reads the body b into the struct that dst points to. Fields that
// are wrong are left out and told in the faults; the others are filled in all
// the same. The error is for bodies that are no map of the right shape at all.
func decodeBody(b []byte, l *layout, dst any) (faults, error) {
	if err := CheckShape(b, MaxBody); err != nil {
		return nil, err
	}
	r := readers.Get().(*bodyReader)
	defer readers.Put(r)
	r.data, r.path, r.faults = b, r.path[:0], nil
	r.src.Reset(b)
	r.dec.Reset(&r.src)
	err := r.object(l, reflect.ValueOf(dst).Elem())
	r.data = nil
	r.src.Reset(nil)
	if err != nil {
		return nil, bodyFault(ReasonMalformed, "is not readable: %v", err)
	}
	return r.faults, nil
}

var readers = sync.Pool{New: func() any { return &bodyReader{dec: msgpack.NewDecoder(nil)} }}

type bodyReader struct {
	data   []byte
	src    bytes.Reader // over data; dec reads from it without a buffer between
	dec    *msgpack.Decoder
	path   []step // to the value at hand
	faults faults
}

// A step is one part of a path: a name, or a place in a list.
type step struct {
	name  string
	place int
	list  bool
}

// next returns the head of the item that comes next.
func (r *bodyReader) next() head {
	h, _ := readHead(r.data[len(r.data)-r.src.Len():]) // CheckShape has seen it
	return h
}

// text reads an item of text as a part of the body itself.
func (r *bodyReader) text() ([]byte, error) {
	n, err := r.dec.DecodeBytesLen()
	if err != nil {
		return nil, err
	}
	start := len(r.data) - r.src.Len()
	_, err = r.src.Seek(int64(n), io.SeekCurrent)
	return r.data[start : start+n], err
}

func (r *bodyReader) object(l *layout, v reflect.Value) error {
	n, err := r.dec.DecodeMapLen()
	if err != nil {
		return err
	}
	var seen uint64
	for range n {
		key, err := r.text()
		if err != nil {
			return err
		}
		i, known := l.index[string(key)]
		if !known {
			if err := r.dec.Skip(); err != nil {
				return err
			}
			continue
		}
		f := &l.fields[i]
		r.path = append(r.path, step{name: f.name})
		if seen&(1<<i) != 0 {
			err = r.refuse("is given twice")
		} else {
			err = r.value(f.layout, v.FieldByIndex(f.at))
		}
		if err != nil {
			return err
		}
		seen |= 1 << i
		r.path = r.path[:len(r.path)-1]
	}
	return nil
}

// value reads one item into v. Nil is as good as absent.
func (r *bodyReader) value(l *layout, v reflect.Value) error {
	h := r.next()
	if h.kind == headNil {
		return r.dec.DecodeNil()
	}
	switch {
	case l.kind == layoutText && h.kind == headText:
		b, err := r.text()
		if !utf8.Valid(b) {
			r.faults.add(r.where(), "is not valid UTF-8")
			return err
		}
		if l.typ.Kind() == reflect.Pointer {
			v.Set(reflect.New(l.typ.Elem()))
			v = v.Elem()
		}
		v.SetString(string(b))
		return err
	case l.kind == layoutInt && h.kind == headInt:
		return r.integer(v)
	case l.kind == layoutBool && h.kind == headBool:
		b, err := r.dec.DecodeBool()
		v.SetBool(b)
		return err
	case (h.kind == headList || h.kind == headMap) && l.kind != layoutObject && h.n > maxItems:
		return r.refuse("has %d entries, at most %d are allowed", h.n, maxItems)
	case l.kind == layoutObject && h.kind == headMap:
		return r.object(l, v)
	case l.kind == layoutList && h.kind == headList:
		return r.list(l, v)
	case l.kind == layoutDict && h.kind == headMap:
		return r.dict(l, v)
	case l.kind == layoutText && (h.kind == headInt || h.kind == headFloat):
		return r.refuse("must be text, not a number: ids lose digits as numbers")
	}
	return r.refuse("must be %s, not %s", l.kind, h.kind)
}

func (r *bodyReader) integer(v reflect.Value) error {
	const uint64Code = 0xcf
	if r.data[len(r.data)-r.src.Len()] == uint64Code {
		n, err := r.dec.DecodeUint64()
		if n > math.MaxInt64 {
			r.faults.add(r.where(), "is too large")
			return err
		}
		v.SetInt(int64(n))
		return err
	}
	n, err := r.dec.DecodeInt64()
	if v.OverflowInt(n) {
		r.faults.add(r.where(), "is too large")
		return err
	}
	v.SetInt(n)
	return err
}

func (r *bodyReader) list(l *layout, v reflect.Value) error {
	n, err := r.dec.DecodeArrayLen()
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(l.typ, n, n))
	r.path = append(r.path, step{list: true})
	for i := range n {
		r.path[len(r.path)-1].place = i
		if r.next().kind == headNil {
			err = r.refuse("must be %s, not nil", l.elem.kind)
		} else {
			err = r.value(l.elem, v.Index(i))
		}
		if err != nil {
			return err
		}
	}
	r.path = r.path[:len(r.path)-1]
	return nil
}

func (r *bodyReader) dict(l *layout, v reflect.Value) error {
	n, err := r.dec.DecodeMapLen()
	if err != nil {
		return err
	}
	texts, _ := v.Addr().Interface().(*map[string]string) // nearly all of them
	v.Set(reflect.MakeMapWithSize(l.typ, n))
	elem := reflect.New(l.elem.typ).Elem()
	for range n {
		b, err := r.text()
		if err != nil {
			return err
		}
		if r.next().kind == headNil { // absent, as for a field
			if err := r.dec.DecodeNil(); err != nil {
				return err
			}
			continue
		}
		if !utf8.Valid(b) {
			if err := r.refuse("has a key that is not valid UTF-8"); err != nil {
				return err
			}
			continue
		}
		key, count := string(b), v.Len()
		r.path = append(r.path, step{name: key})
		elem.SetZero()
		if err := r.value(l.elem, elem); err != nil {
			return err
		}
		if texts != nil {
			(*texts)[key] = elem.String()
		} else {
			v.SetMapIndex(reflect.ValueOf(key), elem)
		}
		if v.Len() == count {
			r.faults.add(r.where(), "is given twice")
		}
		r.path = r.path[:len(r.path)-1]
	}
	return nil
}

// refuse notes what is wrong with the item that comes next and skips it.
func (r *bodyReader) refuse(format string, args ...any) error {
	r.faults.add(r.where(), format, args...)
	return r.dec.Skip()
}

// where writes the path to the value at hand. Keys of maps stand in it only if
// they are plain names.
func (r *bodyReader) where() string {
	var b strings.Builder
	for _, s := range r.path {
		switch {
		case s.list:
			fmt.Fprintf(&b, "[%d]", s.place)
		case b.Len() > 0:
			b.WriteString("." + cmp.Or(plain(s.name), "*"))
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}
