package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The contract is told in several languages: schemas/, docs/asyncapi.json and
// the types of clients/typescript. All are made of the layouts and rules of this
// package and of the words of docs/events.md, so that they cannot contradict it.
var update = flag.Bool("update", false, "write the descriptions of the contract anew, where they do not hold what the code does")

const root = "../../"

// sameFile compares a generated file with what it must hold, or writes it.
func sameFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(root + path)
	if bytes.Equal(got, want) {
		return
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		err = os.WriteFile(root+path, want, 0o644)
	} else if err == nil {
		t.Errorf("%s is not what the code says: run go test ./pkg/events -update, and look at what changed", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// layouts are those of all bodies, in the order of the document.
var layouts = []struct {
	kind Kind
	*layout
}{
	{KindSend, sendLayout}, {KindReport, reportLayout}, {KindCommand, commandLayout}, {KindCancel, cancelLayout},
	{KindDelivery, deliveryLayout}, {KindOutcome, outcomeLayout}, {KindStat, statLayout}, {KindRecord, recordLayout}, {KindLane, laneLayout},
	{"contract", contractLayout},
}

// words are those of docs/events.md: what its tables say of each field, by section, and
// its examples, by kind.
type words struct {
	fields   map[string]map[string]string
	examples map[Kind][]json.RawMessage
}

var (
	heading   = regexp.MustCompile(`^#{2,3} (.*)$`)
	codes     = regexp.MustCompile("`([^`]+)`")
	links     = regexp.MustCompile(`\[([^]]+)\]\([^)]+\)`)
	jsonBlock = regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```")
)

func readWords(t *testing.T) words {
	t.Helper()
	b, err := os.ReadFile(root + "docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	w := words{map[string]map[string]string{}, map[Kind][]json.RawMessage{}}
	section, table := "", false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if m := heading.FindStringSubmatch(line); m != nil {
			section, table = m[1], false
			w.fields[section] = map[string]string{}
		}
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 4:
			table = false
		case strings.TrimSpace(cells[1]) == "field" || strings.TrimSpace(cells[1]) == "header":
			table = true
		case table:
			text := strings.ReplaceAll(links.ReplaceAllString(strings.TrimSpace(cells[len(cells)-2]), "$1"), "**", "")
			if text == "see below" {
				continue
			}
			for _, m := range codes.FindAllStringSubmatch(cells[1], -1) {
				w.fields[section][m[1]] = text
			}
		}
	}
	for _, m := range jsonBlock.FindAllStringSubmatch(string(b), -1) {
		w.examples[Kind(m[1])] = append(w.examples[Kind(m[1])], json.RawMessage(m[2]))
	}
	return w
}

// of returns what the document says of the field at path in bodies of kind k.
func (w words) of(k Kind, path string) string {
	sections := []string{string(k), "Fields of every request"}
	switch k {
	case KindDelivery, KindOutcome, KindLane:
		sections = []string{string(k), "Fields of delivery and outcome", "Fields of every event about a request"}
	case KindStat, KindRecord:
		sections[1] = "Fields of every event about a request"
	case "contract":
		sections = []string{"5. What an account takes"}
	}
	for _, s := range sections {
		if text := w.fields[s][path]; text != "" {
			return text
		}
	}
	return ""
}

// readConstants returns the values of the constants of each text type of the
// package, in the order of their declaration.
func readConstants(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, ok1 := spec.Type.(*ast.Ident)
			lit, ok2 := spec.Values[0].(*ast.BasicLit)
			if ok1 && ok2 && lit.Kind == token.STRING {
				if v, err := strconv.Unquote(lit.Value); err == nil && v != "" {
					values[typ.Name] = append(values[typ.Name], v)
				}
			}
			return true
		})
	}
	return values
}

// An object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(m.name)
		b.Write(name)
		b.WriteByte(':')
		v := json.NewEncoder(&b)
		v.SetEscapeHTML(false)
		if err := v.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
