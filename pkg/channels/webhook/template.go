package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A template is the body of a call with placeholders in its texts. It is read
// as JSON first; values go into the texts of what came of that, and only then
// is the whole written as JSON. So a value stays within its text whatever is
// in it, and a placeholder in a value is a text like any other.
type template struct {
	root  any             // as read, but texts with placeholders are of type parts
	names map[string]bool // of all placeholders
}

// parts is a text with placeholders: literals and, between them, names.
type parts []string

// fields are the placeholders for texts of a send; an empty one is missing.
var fields = map[string]func(*events.Request) string{
	"request.id":           func(r *events.Request) string { return r.ID },
	"request.source":       func(r *events.Request) string { return r.Source },
	"recipient.kind":       func(r *events.Request) string { return string(r.Send.Recipient.Kind) },
	"recipient.value":      func(r *events.Request) string { return r.Send.Recipient.Value },
	"sender.id":            func(r *events.Request) string { return r.Send.Sender.ID },
	"content.kind":         func(r *events.Request) string { return string(r.Send.Content.Kind) },
	"content.text":         func(r *events.Request) string { return r.Send.Content.Text },
	"content.template_ref": func(r *events.Request) string { return r.Send.Content.TemplateRef },
	"content.block_name":   func(r *events.Request) string { return r.Send.Content.BlockName },
	"policy.message_tag":   func(r *events.Request) string { return r.Send.Policy.MessageTag },
	"policy.expect_kind":   func(r *events.Request) string { return r.Send.Policy.ExpectKind },
	"tenant":               func(r *events.Request) string { return r.Send.Tenant },
	"correlation_id":       func(r *events.Request) string { return r.Send.CorrelationID },
}

// dicts are the placeholders for texts by name: {{metadata.x}} is one of them,
// {{metadata}} the object of all.
var dicts = map[string]func(*events.Request) map[string]string{
	"content.params": func(r *events.Request) map[string]string { return r.Send.Content.Params },
	"metadata":       func(r *events.Request) map[string]string { return r.Send.Metadata },
	"attributes": func(r *events.Request) map[string]string {
		all := map[string]string{}
		for _, a := range r.Send.Attributes {
			all[a.Name] = a.Value
		}
		return all
	},
}

// inDict splits the name of one text in a dictionary: metadata.x.
func inDict(name string) (dict, key string, ok bool) {
	for dict := range dicts {
		if key, ok := strings.CutPrefix(name, dict+"."); ok && key != "" {
			return dict, key, true
		}
	}
	return "", "", false
}

// parseTemplate reads the setting body.
func parseTemplate(document string) (*template, error) {
	dec := json.NewDecoder(strings.NewReader(document))
	dec.UseNumber() // numbers stay as they are written
	var root map[string]any
	if err := dec.Decode(&root); err != nil || root == nil {
		return nil, errors.New(`setting body is not a JSON object; placeholders stand within its texts: {"to": "{{recipient.value}}"}`)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("setting body goes on behind its JSON object")
	}
	t := &template{names: map[string]bool{}}
	var err error
	t.root, err = t.compile(root)
	return t, err
}

// compile returns v with its texts cut into parts where they have placeholders.
func (t *template) compile(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) { // the same mistake is told first each time
			if strings.Contains(key, "{{") {
				return nil, fmt.Errorf("setting body has a placeholder in the name of a member, %q: they stand in values only", key)
			}
			if v[key], err = t.compile(v[key]); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range v {
			if v[i], err = t.compile(v[i]); err != nil {
				return nil, err
			}
		}
	case string:
		if strings.Contains(v, "{{") {
			return t.cut(v)
		}
	}
	return v, nil
}

// cut cuts a text into its parts and makes sure that its placeholders exist.
func (t *template) cut(text string) (parts, error) {
	var p parts
	for {
		literal, rest, found := strings.Cut(text, "{{")
		if p = append(p, literal); !found {
			break
		}
		name, rest, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, errors.New("setting body has a placeholder that does not end with }}")
		}
		name = strings.TrimSpace(name)
		if _, _, ok := inDict(name); !ok && fields[name] == nil && dicts[name] == nil {
			return nil, fmt.Errorf("setting body has the placeholder {{%s}}, which does not exist: there are %s", name, known())
		}
		t.names[name] = true
		p, text = append(p, name), rest
	}
	for i := 1; i < len(p); i += 2 {
		if dicts[p[i]] != nil && !p.whole() {
			return nil, fmt.Errorf("setting body has {{%s}} within a longer text: it is an object, and must be all of its value", p[i])
		}
	}
	return p, nil
}

// known lists the placeholders.
func known() string {
	all := slices.Collect(maps.Keys(fields))
	for dict := range dicts {
		all = append(all, dict, dict+".<name>")
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// whole reports whether the text is one placeholder and nothing else.
func (p parts) whole() bool { return len(p) == 3 && p[0] == "" && p[2] == "" }

// takes reports whether the template has the placeholder, or one for a part of
// the dictionary, of that name.
func (t *template) takes(name string) bool {
	for n := range t.names {
		if dict, _, _ := inDict(n); n == name || dict == name {
			return true
		}
	}
	return false
}

// fill returns the body for r. The error is an [*events.InvalidError] with all
// values that a text lacks, and those that have no place in the body.
func (t *template) fill(r *events.Request) ([]byte, error) {
	f := filling{r: r}
	root, _ := f.value(t.root)
	f.unplaced(t.names)
	if f.faults != nil {
		slices.SortFunc(f.faults, func(a, b events.Fault) int { return strings.Compare(a.String(), b.String()) })
		return nil, &events.InvalidError{Kind: r.Kind, Faults: slices.Compact(f.faults)}
	}
	return channels.EncodeJSON(root)
}

// A filling is a template's values being filled in.
type filling struct {
	r      *events.Request
	faults []events.Fault
}

// value returns v with its placeholders filled in. It reports false where that
// leaves nothing: for a placeholder without a value, and for an object or list
// all of whose members are left out.
func (f *filling) value(v any) (any, bool) {
	switch v := v.(type) {
	case parts:
		return f.text(v)
	case map[string]any:
		filled := make(map[string]any, len(v))
		for key, member := range v {
			if m, ok := f.value(member); ok {
				filled[key] = m
			}
		}
		return filled, len(filled) > 0 || len(v) == 0
	case []any:
		filled := make([]any, 0, len(v))
		for _, member := range v {
			if m, ok := f.value(member); ok {
				filled = append(filled, m)
			}
		}
		return filled, len(filled) > 0 || len(v) == 0
	}
	return v, true
}

// text fills in one text. A missing value within a longer text is a fault: a
// message with a hole in it must not go out.
func (f *filling) text(p parts) (any, bool) {
	if p.whole() {
		return lookup(f.r, p[1])
	}
	var b strings.Builder
	for i, part := range p {
		if i%2 == 1 {
			v, ok := lookup(f.r, part)
			if !ok {
				f.faults = append(f.faults, events.Fault{Field: part, Problem: "is missing: a text of the account's body needs it"})
				continue
			}
			part = v.(string) // cut lets no object in here
		}
		b.WriteString(part)
	}
	return b.String(), true
}

// lookup returns the value of a placeholder: a string or, of a whole
// dictionary, a map.
func lookup(r *events.Request, name string) (any, bool) {
	if get := fields[name]; get != nil {
		v := get(r)
		return v, v != ""
	}
	if get := dicts[name]; get != nil {
		v := get(r)
		return v, len(v) > 0
	}
	dict, key, _ := inDict(name)
	v, ok := dicts[dict](r)[key]
	return v, ok
}

// unplaced finds parameters and attributes that the body has no place for.
// Metadata need none: they come back in every event.
func (f *filling) unplaced(names map[string]bool) {
	for _, dict := range []string{"content.params", "attributes"} {
		for key := range dicts[dict](f.r) {
			if !names[dict] && !names[dict+"."+key] {
				f.faults = append(f.faults, events.Fault{Field: dict, Problem: "has an entry for which the account's body has no place"})
			}
		}
	}
}
