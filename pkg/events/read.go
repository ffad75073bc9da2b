package events

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/tramhq/tram/internal/wire"
)

// Bodies are read and written field by field, item by item, and not by
// msgpack's reflection, which takes a list for a struct by position, takes the
// names of embedded structs for keys, wraps large integers around, and names
// no field when one is wrong.

// maxItems bounds each list and each map of a body.
const maxItems = 1000

// texts says where the texts of a body that is read are kept.
type texts bool

const (
	apart  texts = false // each has memory of its own
	shared texts = true  // all are parts of one string: one allocation, which lives as long as the last of them
)

// decodeBody reads the body b into the struct that dst points to. Fields that
// are wrong are left out and told in the faults; the others are filled in all
// the same. The error is for bodies that are no map of the right shape at all.
func decodeBody(b []byte, l *layout, dst any, kept texts) (faults, error) {
	if err := CheckShape(b, MaxBody); err != nil {
		return nil, err
	}
	r := bodyReader{Reader: wire.NewReader(b)}
	if kept == shared {
		r.Share()
	}
	r.object(l, reflect.ValueOf(dst).Elem())
	return r.faults, nil
}

// A bodyReader reads what [CheckShape] has passed, and looks at the head of each
// item before it reads it. So reading cannot fail: whatever is wrong is a fault.
type bodyReader struct {
	wire.Reader
	path   [maxDepth]step // to the value at hand: its first depth ones
	depth  int
	faults faults
}

func (r *bodyReader) enter(s step) {
	r.path[r.depth] = s
	r.depth++
}

func (r *bodyReader) leave() { r.depth-- }

// A step is one part of the path to the value at hand: a name, or a place in a
// list.
type step struct {
	name  string
	place int
	list  bool
}

func (r *bodyReader) object(l *layout, v reflect.Value) {
	var seen uint64
	next := 0 // fields mostly come in the order in which they are written
	for range r.MapLen() {
		i, known := l.find(r.Bytes(), next)
		if !known {
			r.Skip()
			continue
		}
		next = i + 1
		f := &l.fields[i]
		r.enter(step{name: f.name})
		if seen&(1<<i) != 0 {
			r.refuse("is given twice")
		} else {
			r.value(f.layout, v.FieldByIndex(f.at))
		}
		r.leave()
		seen |= 1 << i
	}
}

// value reads one item into v. Nil is as good as absent.
func (r *bodyReader) value(l *layout, v reflect.Value) {
	h := r.Head()
	switch {
	case h.Kind == wire.Nil:
		r.Skip()
	case l.kind == layoutText && h.Kind == wire.Text:
		if s, ok := r.text(); ok {
			if l.pointer {
				v.Set(reflect.New(l.typ.Elem()))
				v = v.Elem()
			}
			v.SetString(s)
		}
	case l.kind == layoutInt && h.Kind == wire.Int:
		r.integer(v)
	case l.kind == layoutBool && h.Kind == wire.Bool:
		v.SetBool(r.Bool())
	case l.kind == layoutObject && h.Kind == wire.Map:
		r.object(l, v)
	case l.kind == layoutList && h.Kind == wire.List && h.N <= maxItems:
		r.list(l, v)
	case l.kind == layoutDict && h.Kind == wire.Map && h.N <= maxItems:
		r.dict(l, v)
	default:
		r.refuseKind(l, h)
	}
}

// text reads text, which must be UTF-8.
func (r *bodyReader) text() (s string, ok bool) {
	if s = r.Text(); !utf8.ValidString(s) {
		r.faults.add(r.where(), "is not valid UTF-8")
		return "", false
	}
	return s, true
}

func (r *bodyReader) integer(v reflect.Value) {
	unsigned := r.Code() == msgpcode.Uint64
	n := r.Int()
	if unsigned && n < 0 || v.OverflowInt(n) {
		r.faults.add(r.where(), "is too large")
		return
	}
	v.SetInt(n)
}

func (r *bodyReader) list(l *layout, v reflect.Value) {
	n := r.ListLen()
	v.Set(reflect.MakeSlice(l.typ, n, n))
	for i := range n {
		r.enter(step{place: i, list: true})
		if r.Head().Kind == wire.Nil {
			r.refuse("must be %s, not nil", l.elem.kind)
		} else {
			r.value(l.elem, v.Index(i))
		}
		r.leave()
	}
}

func (r *bodyReader) dict(l *layout, v reflect.Value) {
	n := r.MapLen()
	texts, _ := v.Addr().Interface().(*map[string]string) // nearly all of them
	if texts != nil {
		*texts = make(map[string]string, n)
	} else {
		v.Set(reflect.MakeMapWithSize(l.typ, n))
	}
	for range n {
		key, count := r.Text(), v.Len()
		h := r.Head()
		if h.Kind == wire.Nil { // absent, as for a field
			r.Skip()
			continue
		}
		if !utf8.ValidString(key) {
			r.refuse("has a key that is not valid UTF-8")
			continue
		}
		r.enter(step{name: key})
		switch {
		case texts == nil:
			elem := reflect.New(l.elem.typ).Elem()
			r.value(l.elem, elem)
			v.SetMapIndex(reflect.ValueOf(key), elem)
		case h.Kind == wire.Text:
			(*texts)[key], _ = r.text()
		default:
			(*texts)[key] = ""
			r.refuseKind(l.elem, h)
		}
		if v.Len() == count {
			r.faults.add(r.where(), "is given twice")
		}
		r.leave()
	}
}

// refuseKind refuses the item that comes next, which has the head h, since it
// is not what l asks for.
func (r *bodyReader) refuseKind(l *layout, h wire.Head) {
	switch {
	case (h.Kind == wire.List || h.Kind == wire.Map) && l.kind != layoutObject && h.N > maxItems:
		r.refuse("has %d entries, at most %d are allowed", h.N, maxItems)
	case l.kind == layoutText && (h.Kind == wire.Int || h.Kind == wire.Float):
		r.refuse("must be text, not a number: ids lose digits as numbers")
	default:
		r.refuse("must be %s, not %s", l.kind, h.Kind)
	}
}

// refuse notes what is wrong with the item that comes next and skips it.
func (r *bodyReader) refuse(format string, args ...any) {
	r.faults.add(r.where(), format, args...)
	r.Skip()
}

// where writes the path to the value at hand. Keys of maps stand in it only if
// they are plain names.
func (r *bodyReader) where() string {
	var b strings.Builder
	for _, s := range r.path[:r.depth] {
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
