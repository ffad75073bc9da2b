package pancake

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/tramhq/tram/pkg/channels"
)

// A body is that of an answer: an object, a list, or neither with the error
// that says why.
type body struct {
	raw    json.RawMessage
	fields map[string]json.RawMessage
	list   []json.RawMessage
	err    error
}

func readBody(raw []byte) *body {
	b := &body{raw: bytes.TrimSpace(raw)}
	switch {
	case bytes.HasPrefix(b.raw, []byte("{")):
		b.err = channels.DecodeJSON(b.raw, &b.fields)
	case bytes.HasPrefix(b.raw, []byte("[")):
		b.err = channels.DecodeJSON(b.raw, &b.list)
	default:
		b.err = errors.New("the answer is neither a JSON object nor a list")
	}
	return b
}

// object returns the fields of a JSON object, nil if raw is none. raw is part
// of a body that [channels.DecodeJSON] has seen.
func object(raw json.RawMessage) map[string]json.RawMessage {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

// list returns the items of a JSON list, nil if raw is none.
func list(raw json.RawMessage) []json.RawMessage {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	items := []json.RawMessage{}
	if json.Unmarshal(raw, &items) != nil {
		return nil
	}
	return items
}

// text returns a string, number or boolean as text, and "" for anything else:
// ids come as either (§1.6.5).
func text(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '{', '[', 'n':
		return ""
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s)
		return s
	}
	return string(raw)
}

// encode writes JSON with & < > as they are.
func encode(v any) string {
	b, _ := channels.EncodeJSON(v) // of this package's own types, which always can be
	return string(b)
}

// lists returns the names of those fields that are lists.
func lists(fields map[string]json.RawMessage, names ...string) []string {
	return slices.DeleteFunc(names, func(f string) bool { return list(fields[f]) == nil })
}

func pointer(base string, i int) string { return base + "/" + strconv.Itoa(i) }
