package channelstest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
)

// A leaf is a string, number, boolean or null of an answer.
type leaf struct {
	pointer string
	raw     string
}

// leaves returns all leaves of a JSON text, in order, and none of what is not
// JSON.
func leaves(body []byte) (all []leaf) {
	walk(body, "", func(pointer string, raw json.RawMessage) bool {
		if c := raw[0]; c != '{' && c != '[' {
			all = append(all, leaf{pointer, string(raw)})
		}
		return true
	})
	return all
}

// walk visits every value of a JSON text, from the outside in, as long as
// visit returns true.
func walk(raw json.RawMessage, pointer string, visit func(string, json.RawMessage) bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || pointer == "" && !json.Valid(raw) || !visit(pointer, raw) {
		return
	}
	switch raw[0] {
	case '{':
		var object map[string]json.RawMessage
		_ = json.Unmarshal(raw, &object)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			walk(object[key], pointer+channels.Pointer(key), visit)
		}
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list)
		for i, item := range list {
			walk(item, pointer+"/"+strconv.Itoa(i), visit)
		}
	}
}

// lookup returns what a JSON pointer points to.
func lookup(body []byte, pointer string) (found json.RawMessage, ok bool) {
	walk(body, "", func(at string, raw json.RawMessage) bool {
		if at == pointer {
			found, ok = raw, true
		}
		return !ok && below(pointer, at)
	})
	return found, ok
}

// below reports whether pointer is prefix or something in it.
func below(pointer, prefix string) bool {
	rest, ok := strings.CutPrefix(pointer, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// matches reports whether pointer is of the pattern, in which * is one part.
func matches(pattern, pointer string) bool {
	p, q := strings.Split(pattern, "/"), strings.Split(pointer, "/")
	return slices.EqualFunc(p, q, func(a, b string) bool { return a == "*" || a == b })
}

// replaced returns body with the value at pointer replaced.
func replaced(body []byte, pointer, value string) string {
	var rebuild func(raw json.RawMessage, at string) json.RawMessage
	rebuild = func(raw json.RawMessage, at string) json.RawMessage {
		raw = bytes.TrimSpace(raw)
		if at == pointer {
			return json.RawMessage(value)
		}
		if !below(pointer, at) || len(raw) == 0 {
			return raw
		}
		var parts []string
		switch raw[0] {
		case '{':
			var object map[string]json.RawMessage
			_ = json.Unmarshal(raw, &object)
			for _, key := range slices.Sorted(maps.Keys(object)) {
				name, _ := json.Marshal(key)
				parts = append(parts, string(name)+":"+string(rebuild(object[key], at+channels.Pointer(key))))
			}
			return json.RawMessage("{" + strings.Join(parts, ",") + "}")
		case '[':
			var list []json.RawMessage
			_ = json.Unmarshal(raw, &list)
			for i, item := range list {
				parts = append(parts, string(rebuild(item, at+"/"+strconv.Itoa(i))))
			}
			return json.RawMessage("[" + strings.Join(parts, ",") + "]")
		}
		return raw
	}
	return string(rebuild(body, ""))
}
