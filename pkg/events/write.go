package events

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// encodeBody writes the struct that src points to. Equal values give equal
// bytes: fields stand in the order of their declaration, map keys sorted,
// integers in their shortest form.
//
// It writes nothing that a reader refuses. Text from a provider may not be
// UTF-8: what is not becomes U+FFFD. Lists and maps that are too long are an
// error.
func encodeBody(l *layout, src any) ([]byte, error) {
	w := writers.Get().(*bodyWriter)
	defer writers.Put(w)
	w.buf.Reset()
	if err := w.value(l, reflect.ValueOf(src).Elem()); err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return bytes.Clone(w.buf.Bytes()), nil
}

var writers = sync.Pool{New: func() any {
	w := new(bodyWriter)
	w.enc = msgpack.NewEncoder(&w.buf)
	return w
}}

type bodyWriter struct {
	buf  bytes.Buffer
	enc  *msgpack.Encoder
	keys []string
}

func (w *bodyWriter) value(l *layout, v reflect.Value) error {
	if l.typ.Kind() == reflect.Pointer {
		if v.IsNil() {
			return w.enc.EncodeNil()
		}
		v = v.Elem()
	}
	switch l.kind {
	case layoutText:
		return w.text(v.String())
	case layoutInt:
		return w.enc.EncodeInt(v.Int())
	case layoutBool:
		return w.enc.EncodeBool(v.Bool())
	case layoutList:
		if v.Len() > maxItems {
			return tooMany(v.Len())
		}
		if err := w.enc.EncodeArrayLen(v.Len()); err != nil {
			return err
		}
		for i := range v.Len() {
			if err := w.value(l.elem, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case layoutDict:
		return w.dict(l, v)
	}
	return w.object(l, v)
}

func (w *bodyWriter) text(s string) error {
	return w.enc.EncodeString(strings.ToValidUTF8(s, "\uFFFD"))
}

func tooMany(n int) error {
	return fmt.Errorf("a list or map has %d entries, at most %d are allowed", n, maxItems)
}

func (w *bodyWriter) object(l *layout, v reflect.Value) error {
	var skip uint64
	n := len(l.fields)
	for i := range l.fields {
		if f := &l.fields[i]; f.optional && f.empty(v.FieldByIndex(f.at)) {
			skip |= 1 << i
			n--
		}
	}
	if err := w.enc.EncodeMapLen(n); err != nil {
		return err
	}
	for i := range l.fields {
		if skip&(1<<i) != 0 {
			continue
		}
		f := &l.fields[i]
		if err := w.enc.EncodeString(f.name); err != nil {
			return err
		}
		if err := w.value(f.layout, v.FieldByIndex(f.at)); err != nil {
			return err
		}
	}
	return nil
}

func (w *bodyWriter) dict(l *layout, v reflect.Value) error {
	if v.Len() > maxItems {
		return tooMany(v.Len())
	}
	keys := w.keys[:0]
	w.keys = nil
	for k := range v.Seq() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	if err := w.enc.EncodeMapLen(len(keys)); err != nil {
		return err
	}
	texts, _ := v.Interface().(map[string]string)
	for _, k := range keys {
		if err := w.text(k); err != nil {
			return err
		}
		var err error
		if texts != nil {
			err = w.text(texts[k])
		} else {
			err = w.value(l.elem, v.MapIndex(reflect.ValueOf(k)))
		}
		if err != nil {
			return err
		}
	}
	clear(keys)
	w.keys = keys
	return nil
}
