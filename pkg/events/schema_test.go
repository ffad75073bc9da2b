package events

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Patterns of texts, in the part of regular expressions that all engines know.
// Control characters are C0, DEL and C1; white space is Unicode's.
const (
	control      = `\u0000-\u001f\u007f-\u009f`
	whiteSpace   = ` \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`
	idPattern    = `^[^` + control + whiteSpace + `]([^` + control + `]*[^` + control + whiteSpace + `])?$`
	namePattern  = `^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`
	tokenPattern = `^[A-Za-z0-9_-]{1,64}$`
	attrPattern  = `^[!#$&-~]{1,128}$`
)

var granularities = []string{"hour", "day", "week", "month", "days_28", "range"}

// TestSchemas makes sure that schemas/ is what the code says. A schema is for
// those who write an event: it wants fields left out that say nothing, where the
// relay takes them empty or nil, too. What comes out has no bounds in it, and its
// enumerations are examples, since they may grow.
func TestSchemas(t *testing.T) {
	s := schemas{readWords(t), readConstants(t)}
	for _, l := range layouts {
		body := object{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", string(l.kind)}}
		body = append(body, s.object(l.kind, "", l.layout)...)
		if slices.Contains(RequestKinds, l.kind) {
			id := object{{"type", "string"}, {"maxLength", maxShortText}, {"pattern", idPattern}}
			body = append(body, member{"definitions", object{{"id", id}}})
		}
		if l.kind != "contract" {
			body = append(body, member{"examples", s.words.examples[l.kind]})
		}
		sameFile(t, "schemas/"+string(l.kind)+".json", indented(t, body))
	}
	for _, g := range granularities {
		r := &Report{Report: "r", Granularity: g}
		var f faults
		if r.check(&f); f != nil {
			t.Errorf("the granularity %s is refused: %v", g, f)
		}
	}
}

type schemas struct {
	words     words
	constants map[string][]string
}

// of returns the schema of the value at path in a body of kind k.
func (s schemas) of(k Kind, path string, l *layout) object {
	var o object
	if text := s.words.of(k, path); text != "" {
		o = append(o, member{"description", text})
	}
	in := slices.Contains(RequestKinds, k)
	switch l.kind {
	case layoutText:
		return append(o, s.text(k, path, l, in)...)
	case layoutInt:
		return append(o, s.integer(path, in)...)
	case layoutBool:
		return append(o, member{"type", "boolean"})
	case layoutList:
		o = append(o, member{"type", "array"}, member{"items", s.of(k, path+"[]", l.elem)})
		if in {
			o = append(o, member{"maxItems", maxItems})
		}
		return o
	case layoutDict:
		o = append(o, member{"type", "object"})
		if !in {
			return append(o, member{"additionalProperties", s.of(k, path+".*", l.elem)})
		}
		return append(o, member{"propertyNames", anID}, member{"maxProperties", maxItems},
			member{"additionalProperties", object{{"type", "string"}, {"maxLength", maxLongText}}})
	}
	return append(o, s.object(k, path, l)...)
}

func (s schemas) object(k Kind, path string, l *layout) object {
	var properties object
	var required []string
	for _, f := range l.fields {
		at := strings.TrimPrefix(path+"."+f.name, ".")
		properties = append(properties, member{f.name, s.of(k, at, f.layout)})
		if !f.optional {
			required = append(required, f.name)
		}
	}
	o := object{{"type", "object"}, {"properties", properties}}
	if required != nil {
		o = append(o, member{"required", required})
	}
	switch l.typ {
	case reflect.TypeFor[Content]():
		o = append(o, member{"allOf", []object{
			contentRule(ContentText, "text", "block_name", "template_ref", "params"),
			contentRule(ContentTemplate, "template_ref", "block_name", "text"),
			contentRule(ContentBlock, "block_name", "template_ref", "params", "text"),
		}})
	case reflect.TypeFor[Range]():
		o = append(o, member{"dependencies", object{
			{"from_ms", together("to_ms", "from_date", "to_date", "preset")}, {"to_ms", together("from_ms", "from_date", "to_date", "preset")},
			{"from_date", together("to_date", "preset")}, {"to_date", together("from_date", "preset")},
		}})
	}
	return o
}

// contentRule says that a content of the kind needs a field and takes none of
// the others.
func contentRule(kind ContentKind, needs string, refuses ...string) object {
	return object{
		{"if", object{{"properties", object{{"kind", object{{"const", kind}}}}}, {"required", []string{"kind"}}}},
		{"then", together(needs, refuses...)},
	}
}

func together(needs string, refuses ...string) object {
	var none object
	for _, field := range refuses {
		none = append(none, member{field, false})
	}
	return object{{"required", []string{needs}}, {"properties", none}}
}

func (s schemas) text(k Kind, path string, l *layout, in bool) object {
	o := object{{"type", "string"}}
	values := s.constants[l.typ.Name()]
	if k == KindOutcome && path == "kind" {
		values = []string{string(KindReport), string(KindCommand), string(KindCancel)}
	}
	switch {
	case l.typ.Kind() == reflect.Pointer:
		return object{{"type", []string{"string", "null"}}}
	case path == "granularity" && in:
		return append(o, member{"enum", granularities})
	case values != nil && in:
		return append(o, member{"enum", values})
	case values != nil:
		return append(o, member{"examples", values})
	case !in:
		return o
	case k == KindCancel && (path == "id" || path == "source"):
		return append(o, member{"pattern", attrPattern})
	case path == "report" || path == "command":
		return append(o, member{"pattern", namePattern})
	case path == "range.from_date" || path == "range.to_date":
		return append(o, member{"format", "date"}, member{"pattern", `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`})
	case path == "content.text":
		return append(o, member{"minLength", 1}, member{"maxLength", maxLongText})
	case path == "attributes[].value":
		return append(o, member{"maxLength", maxLongText})
	}
	return object{{"allOf", []object{anID}}} // beside a $ref, draft 7 reads nothing
}

var anID = object{{"$ref", "#/definitions/id"}}

func (s schemas) integer(path string, in bool) object {
	o := object{{"type", "integer"}}
	switch {
	case !in:
		return o
	case path == "page.size":
		return append(o, member{"minimum", 0}, member{"maximum", maxPageSize})
	case path == "page.max_pages":
		return append(o, member{"minimum", 0}, member{"maximum", maxPages})
	}
	return append(o, member{"minimum", firstMS}, member{"maximum", lastMS}) // all others are instants
}
