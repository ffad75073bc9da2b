package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/pkg/events"
)

// Decode reads one msgpack map as a tree of map[string]any, []any, string,
// numbers of any width, bool, []byte and nil.
func Decode(data []byte) (any, error) {
	if err := events.CheckShape(data, len(data)); err != nil {
		return nil, err
	}
	return msgpack.NewDecoder(bytes.NewReader(data)).DecodeInterface()
}

// encode is the reverse of [Decode]. Keys of maps stand sorted.
func encode(tree any) ([]byte, error) {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(tree); err != nil {
		return nil, fmt.Errorf("encode masked record: %w", err)
	}
	return b.Bytes(), nil
}

// Tree masks a record, which it changes: texts that are not harmless, and the
// records and JSON inside of it. Numbers that are no text stay.
func (m *Masker) Tree(record any) any { return m.field("", record) }

// Body masks the body of a stored message, whatever it is.
func (m *Masker) Body(data []byte) []byte {
	if tree, err := Decode(data); err == nil {
		if masked, err := encode(m.Tree(tree)); err == nil {
			return masked
		}
	}
	return m.foreign(data)
}

func (m *Masker) field(path string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = m.field(strings.TrimPrefix(path+"."+name, "."), inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = m.field(path, inner)
		}
	case string:
		if name, ok := strings.CutPrefix(path, "request.header."); ok && plainHeader(name) || harmless[path] {
			return v
		}
		if path == "object" || path == "result" { // JSON text
			return string(m.foreign([]byte(v)))
		}
		return m.Text(v)
	case []byte:
		if path == "request.data" {
			return m.Body(v)
		}
		return m.foreign(v)
	}
	return v
}

// foreign masks what a provider, or anybody, has written: JSON, or else text.
func (m *Masker) foreign(data []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	if dec.Decode(&tree) != nil {
		return []byte(m.Text(string(data)))
	}
	if _, err := dec.Token(); err != io.EOF {
		return []byte(m.Text(string(data)))
	}
	masked, err := json.Marshal(m.json(tree))
	if err != nil {
		return []byte(m.Text(string(data)))
	}
	return masked
}

var (
	// A short number or a time tells about nobody, and parsers want it as it is.
	tellsNobody = regexp.MustCompile(`^([+-]?[0-9]{1,6}(\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?|)$`)
	looksLikeID = regexp.MustCompile(`[0-9]{6}|@`)
)

func (m *Masker) json(v any) any {
	switch v := v.(type) {
	case map[string]any:
		masked := make(map[string]any, len(v))
		for name, inner := range v {
			if looksLikeID.MatchString(name) {
				name = m.Text(name)
			}
			masked[name] = m.json(inner)
		}
		return masked
	case []any:
		for i, inner := range v {
			v[i] = m.json(inner)
		}
	case string:
		if !tellsNobody.MatchString(v) {
			return m.Text(v)
		}
	case json.Number:
		// A phone number or an id may be a number, and so may a time.
		if len(v) >= 8 && !isTime(v) {
			return json.Number(m.digits(string(v)))
		}
	}
	return v
}

// isTime reports whether a number may be unix seconds, milliseconds or
// microseconds of these decades.
func isTime(n json.Number) bool {
	i, err := n.Int64()
	for ; err == nil && i > 5_000_000_000; i /= 1000 {
	}
	return err == nil && i > 1_000_000_000 && (len(n) == 10 || len(n) == 13 || len(n) == 16)
}

// digits is Text for a number, which does not begin with 0.
func (m *Masker) digits(n string) string {
	masked := []byte(m.Text(n))
	for i, c := range masked {
		if c >= '0' && c <= '9' {
			masked[i] = max(c, '1')
			break
		}
	}
	return string(masked)
}

// View returns a record for people: what is inside of it decoded, bytes that
// are neither a record nor JSON as text.
func View(record any) any {
	switch v := record.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = View(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = View(inner)
		}
	case []byte:
		if json.Valid(v) {
			return json.RawMessage(v)
		}
		if tree, err := Decode(v); err == nil {
			return View(tree)
		}
		return string(v)
	}
	return record
}
