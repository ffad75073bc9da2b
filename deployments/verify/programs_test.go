package verify

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// built is how the image builds the programs, and so how they are built here.
const built = `go build -trimpath -ldflags="-s -w"`

// bin is the directory with tram, dispatcher and collector.
var bin string

func TestMain(m *testing.M) { os.Exit(withPrograms(m)) }

func withPrograms(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tram-verify")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	cmd := exec.Command("sh", "-c", built+" -o '"+dir+"/' ./cmd/tram ./cmd/dispatcher ./cmd/collector")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A config is what of a configuration the tests look at.
type config struct {
	Dispatcher struct{ Grace string }
	Streams    struct{ Replicas int }
	Ops        struct{ Listen string }
	Accounts   []struct{ Provider, Name string }
}

func (c config) grace() time.Duration {
	d, err := time.ParseDuration(c.Dispatcher.Grace)
	if err != nil {
		panic(err)
	}
	return d
}

// decodeConfig has tram itself read a configuration, and returns it with all
// defaults.
func decodeConfig(t *testing.T, text string) config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tram.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var c config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin+"/tram", "config", "--config", file)
	cmd.Env = []string{}
	for _, a := range c.Accounts {
		cmd.Env = append(cmd.Env, strings.TrimSuffix(secretOf(a.Provider, a.Name), "_FILE")+"=not-a-secret")
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tram config: %v\n%s", err, &said)
	}
	if err := yaml.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// secretOf is the variable that names the file of an account's token.
func secretOf(provider, name string) string {
	return "TRAM_SECRET_" + strings.ToUpper(provider) + "_" + strings.ToUpper(name) + "_TOKEN_FILE"
}
