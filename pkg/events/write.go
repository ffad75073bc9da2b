package events

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tramhq/tram/internal/wire"
)

// encodeBody writes the struct that src points to. Equal values give equal
// bytes: fields stand in the order of their declaration, map keys sorted,
// integers in their shortest form.
//
// It writes nothing that a reader refuses. Text from a provider may not be
// UTF-8: what is not becomes U+FFFD. Lists and maps that are too long are an
// error.
func encodeBody(l *layout, src any) ([]byte, error) {
	b, err := wire.Append(nil, func(w *wire.Writer) { writeValue(w, l, reflect.ValueOf(src).Elem()) })
	if err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return b, nil
}

func writeValue(w *wire.Writer, l *layout, v reflect.Value) {
	if l.pointer {
		if v.IsNil() {
			w.Nil()
			return
		}
		v = v.Elem()
	}
	switch l.kind {
	case layoutText:
		writeText(w, v.String())
	case layoutInt:
		w.Int(v.Int())
	case layoutBool:
		w.Bool(v.Bool())
	case layoutList:
		if n := v.Len(); fits(w, n) {
			w.ListLen(n)
			for i := range n {
				writeValue(w, l.elem, v.Index(i))
			}
		}
	case layoutDict:
		if fits(w, v.Len()) {
			writeDict(w, l, v)
		}
	case layoutObject:
		writeObject(w, l, v)
	}
}

func writeText(w *wire.Writer, s string) {
	if !utf8.ValidString(s) { // the quick question: nearly all texts are
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	w.Text(s)
}

func fits(w *wire.Writer, n int) bool {
	if n > maxItems {
		w.Fail(fmt.Errorf("a list or map has %d entries, at most %d are allowed", n, maxItems))
	}
	return n <= maxItems
}

func writeObject(w *wire.Writer, l *layout, v reflect.Value) {
	at, n := w.BeginMap(), 0
	for i := range l.fields {
		f := &l.fields[i]
		field := v.FieldByIndex(f.at)
		if f.optional && f.empty(field) {
			continue
		}
		w.Text(f.name)
		writeValue(w, f.layout, field)
		n++
	}
	w.EndMap(at, n)
}

// writeDict writes a dict, of which nearly all are from text to text.
func writeDict(w *wire.Writer, l *layout, v reflect.Value) {
	texts, ok := v.Interface().(map[string]string)
	if !ok {
		writeOtherDict(w, l, v)
		return
	}
	keys := make([]string, 0, 16) // more than nearly all have
	for k := range texts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	w.MapLen(len(keys))
	for _, k := range keys {
		writeText(w, k)
		writeText(w, texts[k])
	}
}

func writeOtherDict(w *wire.Writer, l *layout, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	w.MapLen(len(keys))
	for _, k := range keys {
		writeText(w, k.String())
		writeValue(w, l.elem, v.MapIndex(k))
	}
}
