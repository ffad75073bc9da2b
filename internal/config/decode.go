package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A decoder reads YAML into a struct. Unlike the one of package yaml it goes
// on after a fault, names the setting, proposes the key that was meant, and
// remembers the lines for faults that only validation finds.
type decoder struct {
	faults
	lines map[string]int // by setting
}

// document decodes the only document of data. An empty one sets nothing.
func (d *decoder) document(r io.Reader, into any) {
	dec := yaml.NewDecoder(r)
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			d.add("", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		d.addAt(second.Line, "", "the file must hold one YAML document")
		return
	}
	d.node(doc.Content[0], reflect.ValueOf(into).Elem(), "")
}

func (d *decoder) node(n *yaml.Node, v reflect.Value, key string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.lines[key] = n.Line
	switch {
	case n.ShortTag() == "!!null": // key without a value: the default
	case isLeaf(v):
		if n.Kind != yaml.ScalarNode {
			d.addAt(n.Line, key, "must be a single value")
		} else if err := setText(v, n.Value); err != nil {
			d.addAt(n.Line, key, "%w", err)
		}
	case v.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.addAt(n.Line, key, "must be a list")
			return
		}
		if len(n.Content) == 0 { // as if it were not there
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.node(item, v.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
	default:
		d.mapping(n, v, key)
	}
}

// mapping decodes n into a struct, by its yaml tags, or into a map of texts.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.addAt(n.Line, key, "must be a section with keys of its own")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := join(key, name.Value)
		if seen[name.Value] {
			d.addAt(name.Line, at, "is given twice")
			continue
		}
		seen[name.Value] = true
		if v.Kind() == reflect.Map {
			text := reflect.New(v.Type().Elem()).Elem()
			d.node(value, text, at)
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			v.SetMapIndex(reflect.ValueOf(name.Value), text)
			continue
		}
		field, ok := fieldByKey(v, name.Value)
		if !ok {
			d.addAt(name.Line, at, "is not a setting%s", didYouMean(name.Value, keysOf(v)))
			continue
		}
		d.node(value, field, at)
		d.lines[at] = name.Line
	}
}

// setText sets the leaf v from text, the same way for file and environment.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		t, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a time such as 500ms, 3s or 10m, it is %q", text)
		}
		v.SetInt(int64(t))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("must be a whole number, it is %q", text)
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("must be a number, it is %q", text)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("has the unsupported type %s", v.Type())
	}
	return nil
}

// isLeaf reports whether v is one value rather than a section, list or map.
func isLeaf(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	return v.Kind() != reflect.Struct && v.Kind() != reflect.Slice && v.Kind() != reflect.Map
}

func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	for f, value := range v.Fields() {
		if tag := f.Tag.Get("yaml"); tag == key && tag != "-" {
			return value, true
		}
	}
	return reflect.Value{}, false
}

func keysOf(v reflect.Value) []string {
	var keys []string
	for f := range v.Fields() {
		if tag := f.Tag.Get("yaml"); tag != "-" {
			keys = append(keys, tag)
		}
	}
	return keys
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}
