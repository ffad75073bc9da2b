package events

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestTypeScript makes sure that the types of the TypeScript client are what the
// code says.
func TestTypeScript(t *testing.T) {
	ts := typeScript{words: readWords(t), constants: readConstants(t), written: map[string]bool{}}
	ts.line("// The contract's types and layouts. Made by the tests of pkg/events: do not edit.")
	ts.line("")
	ts.line("/** What a value of the wire must be. */")
	ts.line(`export type Layout = "text" | "int" | "bool" | { readonly list: Layout } | { readonly dict: Layout } | { readonly fields: { readonly [name: string]: Layout } };`)
	ts.line("")
	ts.line("export type Class = %s;", union(ts.constants["Class"], true))
	ts.line("")
	for _, l := range layouts {
		ts.body(l.kind, "", l.layout)
	}
	kinds := func(name string, kinds []Kind) {
		ts.line("export const %s = [%s] as const;", name, quoted(kindNames(kinds)))
	}
	kinds("requestKinds", RequestKinds)
	kinds("eventKinds", EventKinds)
	ts.line("")
	ts.line("export const layouts = {")
	for _, l := range layouts {
		ts.line("  %s: %s,", l.kind, tsLayout(l.layout))
	}
	ts.line("} as const satisfies { readonly [kind: string]: Layout };")
	sameFile(t, "clients/typescript/src/contract.ts", []byte(ts.out.String()))
}

type typeScript struct {
	words     words
	constants map[string][]string
	out       strings.Builder
	written   map[string]bool // the names of interfaces
}

func (ts *typeScript) line(format string, args ...any) { fmt.Fprintf(&ts.out, format+"\n", args...) }

// body writes the interface of an object and, before it, of those within.
func (ts *typeScript) body(k Kind, path string, l *layout) string {
	name := l.typ.Name()
	if name == "Record" {
		name = "ProviderRecord" // Record is TypeScript's own
	}
	if ts.written[name] {
		return name
	}
	ts.written[name] = true
	var fields strings.Builder
	for _, f := range l.fields {
		at := strings.TrimPrefix(path+"."+f.name, ".")
		if text := ts.words.of(k, at); text != "" {
			fmt.Fprintf(&fields, "  /** %s */\n", text)
		}
		optional := ""
		if f.optional {
			optional = "?"
		}
		fmt.Fprintf(&fields, "  %s%s: %s;\n", f.name, optional, ts.typeOf(k, at, f.layout))
	}
	ts.line("export interface %s {\n%s}\n", name, fields.String())
	return name
}

func (ts *typeScript) typeOf(k Kind, path string, l *layout) string {
	switch l.kind {
	case layoutInt:
		return "number"
	case layoutBool:
		return "boolean"
	case layoutList:
		return ts.typeOf(k, path+"[]", l.elem) + "[]"
	case layoutDict:
		return "{ [name: string]: " + ts.typeOf(k, path+".*", l.elem) + " }"
	case layoutObject:
		return ts.body(k, path, l)
	}
	if l.typ.Kind() == reflect.Pointer {
		return "string | null"
	}
	values := ts.constants[l.typ.Name()]
	if values == nil || l.typ == reflect.TypeFor[Kind]() {
		return "string"
	}
	return ts.alias(l.typ.Name(), union(values, slices.Contains(RequestKinds, k)))
}

// alias writes the type of a text that has known values, once.
func (ts *typeScript) alias(name, definition string) string {
	if !ts.written[name] {
		ts.written[name] = true
		ts.line("export type %s = %s;\n", name, definition)
	}
	return name
}

// union writes the type of one of some texts; an open one may grow.
func union(values []string, closed bool) string {
	u := `"` + strings.Join(values, `" | "`) + `"`
	if !closed {
		u += " | (string & {})"
	}
	return u
}

func quoted(values []string) string { return `"` + strings.Join(values, `", "`) + `"` }

func tsLayout(l *layout) string {
	switch l.kind {
	case layoutInt:
		return `"int"`
	case layoutBool:
		return `"bool"`
	case layoutList:
		return "{ list: " + tsLayout(l.elem) + " }"
	case layoutDict:
		return "{ dict: " + tsLayout(l.elem) + " }"
	case layoutObject:
		var fields []string
		for _, f := range l.fields {
			fields = append(fields, f.name+": "+tsLayout(f.layout))
		}
		return "{ fields: { " + strings.Join(fields, ", ") + " } }"
	}
	return `"text"`
}
