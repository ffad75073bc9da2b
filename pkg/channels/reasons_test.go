package channels_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every reason that the code can give stands in docs/reasons.md, once, and no
// other does.
func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]int{}
	_, tables, _ := strings.Cut(string(doc), "## Transport")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(tables, -1) {
		entries[m[1]]++
	}
	given := reasonsIn(t, "../../pkg", "../../internal")
	if len(given) < 30 {
		t.Fatalf("found only %d reasons in the code", len(given))
	}
	for reason, where := range given {
		if entries[reason] != 1 {
			t.Errorf("docs/reasons.md has %d entries for %s (%s)", entries[reason], reason, where)
		}
	}
	for reason := range entries {
		if given[reason] == "" {
			t.Errorf("docs/reasons.md has %s, which nothing gives", reason)
		}
	}
}

// reasonsIn returns the string constants whose names begin with Reason, and
// the failures of transport, which are reasons themselves.
func reasonsIn(t *testing.T, roots ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			name := regexp.MustCompile(`^[Rr]eason[A-Z]`)
			if filepath.Base(path) == "call.go" {
				name = regexp.MustCompile(`^Fail[A-Z]`)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok {
					return true
				}
				for i, value := range spec.Values {
					lit, ok := value.(*ast.BasicLit)
					if ok && lit.Kind == token.STRING && name.MatchString(spec.Names[i].Name) {
						reason, _ := strconv.Unquote(lit.Value)
						found[reason] = filepath.Base(path) + ": " + spec.Names[i].Name
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
