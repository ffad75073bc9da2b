package events

import (
	"fmt"
	"reflect"
	"strings"
)

// A layout says how values of one Go type stand on the wire. It is read once
// from the msgpack tags of the contract's types.
type layout struct {
	kind    layoutKind
	typ     reflect.Type
	pointer bool          // typ is one, of which nil stands as nil
	fields  []fieldLayout // of an object, in wire order
	elem    *layout       // of a list or dict
}

type fieldLayout struct {
	*layout
	name     string
	at       []int // for reflect.Value.FieldByIndex: embedded structs stand flat on the wire
	optional bool  // left out when empty
}

// layoutKind is what an item on the wire must be, in the words of errors.
type layoutKind string

const (
	layoutText   layoutKind = "text"
	layoutInt    layoutKind = "a whole number"
	layoutBool   layoutKind = "true or false"
	layoutObject layoutKind = "a map"
	layoutList   layoutKind = "a list"
	layoutDict   layoutKind = "a map from text"
)

var (
	sendLayout     = layoutOf(reflect.TypeFor[Send]())
	reportLayout   = layoutOf(reflect.TypeFor[Report]())
	commandLayout  = layoutOf(reflect.TypeFor[Command]())
	cancelLayout   = layoutOf(reflect.TypeFor[Cancel]())
	deliveryLayout = layoutOf(reflect.TypeFor[Delivery]())
	statLayout     = layoutOf(reflect.TypeFor[Stat]())
	recordLayout   = layoutOf(reflect.TypeFor[Record]())
	outcomeLayout  = layoutOf(reflect.TypeFor[Outcome]())
	laneLayout     = layoutOf(reflect.TypeFor[Lane]())
	contractLayout = layoutOf(reflect.TypeFor[Contract]())
)

// layoutOf panics on a type that has no place in the contract, which any test
// of the package shows.
func layoutOf(t reflect.Type) *layout {
	l := &layout{typ: t}
	switch t.Kind() {
	case reflect.String:
		l.kind = layoutText
	case reflect.Pointer:
		l = layoutOf(t.Elem())
		l.typ, l.pointer = t, true
	case reflect.Int, reflect.Int64:
		l.kind = layoutInt
	case reflect.Bool:
		l.kind = layoutBool
	case reflect.Slice:
		l.kind, l.elem = layoutList, layoutOf(t.Elem())
	case reflect.Map:
		l.kind, l.elem = layoutDict, layoutOf(t.Elem())
	case reflect.Struct:
		l.kind = layoutObject
		l.addFields(t, nil)
	default:
		panic(fmt.Sprintf("events: no layout for %s", t))
	}
	return l
}

func (l *layout) addFields(t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		fieldAt := append(at[:len(at):len(at)], i)
		if opts == "inline" {
			l.addFields(f.Type, fieldAt)
			continue
		}
		if _, taken := l.find([]byte(name), 0); taken || name == "" || len(l.fields) == 64 {
			panic(fmt.Sprintf("events: field %s.%s has no name of its own", t, f.Name))
		}
		l.fields = append(l.fields, fieldLayout{layoutOf(f.Type), name, fieldAt, opts == "omitempty"})
	}
}

// find returns the place of the field called name. It looks from a place on, at
// which the field is that comes next on the wire when a producer goes by our
// order, and then at the fields before it.
func (l *layout) find(name []byte, from int) (place int, ok bool) {
	for n := range l.fields {
		if i := (from + n) % len(l.fields); l.fields[i].name == string(name) {
			return i, true
		}
	}
	return 0, false
}

// empty reports whether v says nothing: an object does when all its fields do.
func (l *layout) empty(v reflect.Value) bool {
	switch {
	case l.pointer:
		return v.IsNil()
	case l.kind == layoutList || l.kind == layoutDict:
		return v.Len() == 0
	case l.kind == layoutObject:
		for i := range l.fields {
			if f := &l.fields[i]; !f.empty(v.FieldByIndex(f.at)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}
