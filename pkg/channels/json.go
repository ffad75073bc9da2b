package channels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// maxJSONDepth is far above what any provider's answer has, and far below what
// would cost a stack.
const maxJSONDepth = 64

// DecodeJSON reads one JSON value into v, which is nil when the value fits.
// Numbers in an any become [json.Number]. It refuses nesting over 64 levels
// and anything behind the value, which is in v all the same. Its errors quote
// nothing of the value.
func DecodeJSON(data []byte, v any) error {
	if tooDeep(data) {
		return errors.New("the answer is nested too deep")
	}
	if !holdsAny(reflect.TypeOf(v)) {
		err := json.Unmarshal(data, v)
		if _, broken := errors.AsType[*json.SyntaxError](err); !broken {
			return misfit(err)
		}
	}
	// The decoder knows numbers as such, and a value from what stands behind it, at
	// twice the price.
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return misfit(err)
	}
	if dec.InputOffset() < int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return errors.New("the answer goes on behind its JSON")
	}
	return nil
}

// misfit says in our own words why a value does not fit.
func misfit(err error) error {
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return errors.New("the answer's " + wrong.Field + " is not of its kind")
	}
	return errors.New("the answer is not the JSON it should be")
}

// holders tells of types whether there is an any in them, as far as that has been
// asked.
var holders sync.Map // reflect.Type → bool

func holdsAny(t reflect.Type) bool {
	if known, ok := holders.Load(t); ok {
		return known.(bool)
	}
	holds := reachesAny(t, map[reflect.Type]bool{})
	holders.Store(t, holds)
	return holds
}

// reachesAny reports whether t is or holds an interface. It looks at no type that
// is in seen.
func reachesAny(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == nil || seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return reachesAny(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if reachesAny(field.Type, seen) {
				return true
			}
		}
	}
	return false
}

// EncodeJSON writes v as JSON, with its texts as they are: & < > are not escaped.
func EncodeJSON(v any) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return bytes.Clone(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// tooDeep reports whether data is nested over [maxJSONDepth], be it JSON or not.
func tooDeep(data []byte) bool {
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) <= maxJSONDepth {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxJSONDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// Pointer returns the JSON pointer (RFC 6901) to what lies at parts: keys and
// indexes, from the outside in.
func Pointer(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(p))
	}
	return b.String()
}
