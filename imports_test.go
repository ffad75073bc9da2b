package tram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// The import table of the module: cmd → internal → pkg/channels → pkg/events →
// internal/wire.
//
//	package                      may import, beside the standard library
//	cmd/...                      anything but nats-server
//	internal/broker/embedded     others' modules, nats-server
//	internal/broker/brokertest   internal/, others' modules, nats-server
//	internal/prove               the same, and pkg/: it runs servers that die
//	deployments/keys             internal/perm, others' modules
//	internal/wire                msgpack
//	docs                         nothing
//	internal/...                 docs, pkg/, internal/, others' modules, no provider
//	pkg/channels/<provider>      pkg/channels, pkg/events
//	pkg/channels/channelstest    pkg/channels, pkg/events
//	pkg/channels                 pkg/events, golang.org/x/net
//	pkg/events                   internal/wire, nats.go, msgpack
//	pkg/ratelimit                golang.org/x/time
//
// Only tests may import nats-server elsewhere, and what providers are there
// only cmd knows.

const module = "github.com/tramhq/tram"

// A rule says what packages may import; the first one that matches a package
// holds for it.
type rule struct {
	packages string   // a path below the module, of which the last element may be *, or ... for all below
	imports  []string // allowed, besides the standard library
}

var table = []rule{
	{packages: "cmd/...", imports: []string{"cmd/...", "internal/...", "pkg/...", "others"}},
	{packages: "internal/broker/embedded", imports: []string{"others", "nats-server"}},
	{packages: "internal/broker/brokertest", imports: []string{"internal/...", "others", "nats-server"}},
	{packages: "internal/prove", imports: []string{"internal/...", "pkg/channels", "pkg/events", "others", "nats-server"}},
	{packages: "deployments/keys", imports: []string{"internal/perm", "others"}},
	{packages: "docs"},
	{packages: "internal/wire", imports: []string{"github.com/vmihailenco/msgpack/..."}},
	{packages: "internal/...", imports: []string{"docs", "internal/...", "pkg/channels", "pkg/channels/channelstest", "pkg/events", "pkg/ratelimit", "others"}},
	{packages: "pkg/channels/*", imports: []string{"pkg/channels", "pkg/events"}},
	{packages: "pkg/channels", imports: []string{"pkg/events", "golang.org/x/net/..."}},
	{packages: "pkg/events", imports: []string{"internal/wire", "github.com/nats-io/nats.go/...", "github.com/vmihailenco/msgpack/..."}},
	{packages: "pkg/ratelimit", imports: []string{"golang.org/x/time/..."}},
}

// A listed is what go list says of one package.
type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Incomplete bool
}

func TestImports(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Standard,Incomplete", "-deps", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages, standard := []listed{}, map[string]bool{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Incomplete {
			t.Errorf("%s does not load", p.ImportPath)
		}
		standard[p.ImportPath] = p.Standard
		packages = append(packages, p)
	}
	ours := 0
	for _, p := range packages {
		name, ok := strings.CutPrefix(p.ImportPath, module+"/")
		if !ok {
			continue
		}
		ours++
		imports := slices.DeleteFunc(p.Imports, func(i string) bool { return standard[i] })
		for _, violation := range check(table, name, imports) {
			t.Error(violation)
		}
	}
	if ours == 0 {
		t.Error("go list told of no package of the module")
	}
}

// check returns a sentence for each of imports that the table does not allow
// to the package called name.
func check(table []rule, name string, imports []string) []string {
	i := slices.IndexFunc(table, func(r rule) bool { return matches(r.packages, name) })
	if i < 0 {
		return []string{fmt.Sprintf("%s has no place in the import table: give it one", name)}
	}
	var violations []string
	for _, imported := range imports {
		if !slices.ContainsFunc(table[i].imports, func(pattern string) bool { return allows(pattern, imported) }) {
			violations = append(violations, fmt.Sprintf("%s must not import %s", name, imported))
		}
	}
	return violations
}

func allows(pattern, imported string) bool {
	name, ours := strings.CutPrefix(imported, module+"/")
	server := matches("github.com/nats-io/nats-server/...", imported)
	switch pattern {
	case "nats-server":
		return server
	case "others":
		return !ours && !server
	}
	return matches(pattern, name)
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == prefix || strings.HasPrefix(name, prefix+"/")
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// A worker uses the broker of others. It would carry one of its own, twice its
// size, if anything that it imports did.
func TestWorkersCarryNoBroker(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/dispatcher", "./cmd/collector").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if matches("github.com/nats-io/nats-server/...", name) {
			t.Fatalf("dispatcher or collector has %s in it", name)
		}
	}
}

// TestImports_catches makes sure that the table forbids what it should.
func TestImports_catches(t *testing.T) {
	const (
		nats   = "github.com/nats-io/nats.go"
		server = "github.com/nats-io/nats-server/v2/server"
	)
	tests := []struct {
		name, imports string
		want          bool
	}{
		{"cmd/tram", module + "/internal/dispatcher", true},
		{"cmd/tram", module + "/pkg/channels/momo", true},
		{"cmd/tram", server, false},
		{"internal/broker", server, false},
		{"internal/broker/embedded", server, true},
		{"internal/broker", module + "/pkg/channels/momo", false},
		{"internal/dispatcher", nats, true},
		{"internal/dispatcher", server, false},
		{"internal/dispatcher", module + "/cmd/internal/wiring", false},
		{"internal/dispatcher", module + "/pkg/channels/momo", false},
		{"internal/sandbox", module + "/pkg/channels/momo", false},
		{"internal/config", module + "/pkg/channels", true},
		{"pkg/channels/momo", module + "/pkg/channels", true},
		{"pkg/channels/momo", module + "/pkg/events", true},
		{"pkg/channels/momo", module + "/pkg/channels/caresoft", false},
		{"pkg/channels/momo", module + "/internal/config", false},
		{"pkg/channels/momo", nats, false},
		{"pkg/channels", module + "/pkg/channels/momo", false},
		{"pkg/channels", "golang.org/x/time/rate", false},
		{"pkg/events", nats + "/jetstream", true},
		{"pkg/events", "github.com/vmihailenco/msgpack/v5", true},
		{"pkg/events", module + "/pkg/channels", false},
		{"pkg/events", "github.com/spf13/cobra", false},
		{"pkg/ratelimit", "golang.org/x/time/rate", true},
		{"pkg/ratelimit", module + "/pkg/events", false},
		{"pkg/brandnew", nats, false},
		{"brandnew", nats, false},
	}
	for _, test := range tests {
		violations := check(table, test.name, []string{test.imports})
		if got := len(violations) == 0; got != test.want {
			t.Errorf("%s imports %s: got %q, allowed must be %v", test.name, test.imports, violations, test.want)
		}
	}
}
