package verify

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func get(t *testing.T, ops string) (map[string]*dto.MetricFamily, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ops+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	return p.TextToMetricFamilies(resp.Body)
}

func scrape(t *testing.T, ops string) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := get(t, ops)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// until scrapes until all of the conditions hold at once.
func until(t *testing.T, ops string, conditions map[string]string) map[string]*dto.MetricFamily {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		families := scrape(t, ops)
		s := &series{}
		for _, one := range samples(families) {
			s.add(one.of, []parser.SequenceValue{{Value: one.value}}, time.Minute)
		}
		var missing []string
		for name, condition := range conditions {
			if len(s.query(t, condition, 0)) == 0 {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return families
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %q", missing)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// up runs a relay, and returns where its broker and its metrics are.
func up(t *testing.T, file string, environ ...string) (url, ops string) {
	t.Helper()
	cmd := exec.Command(bin+"/tram", "up", "--config", file)
	cmd.Env = environ
	for name := range accounts {
		cmd.Env = append(cmd.Env, "TRAM_SECRET_WEBHOOK_"+strings.ToUpper(name)+"_TOKEN=not-a-secret")
	}
	found := start(t, cmd, `^ready nats=(\S+) .*ops=(\S+)`)
	return found[0], found[1]
}

// start runs a process until the test ends, and returns what the parentheses of a
// pattern match in the first line, of its log or of what it prints, that it matches.
func start(t *testing.T, cmd *exec.Cmd, pattern string) []string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		for line := range lines {
			if t.Failed() {
				t.Log(line)
			}
		}
		r.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case line, more := <-lines:
			if found := regexp.MustCompile(pattern).FindStringSubmatch(line); found != nil {
				return found[1:]
			}
			if !more {
				t.Fatalf("%s has ended", cmd.Path)
			}
			t.Log(line)
		case <-ctx.Done():
			t.Fatalf("%s does not say %s", cmd.Path, pattern)
		}
	}
}

// tram runs a command against the broker.
func tram(t *testing.T, url string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin+"/tram", append(args, "--server", url)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tram %s %s: %v\n%s", args[0], args[1], err, out)
	}
}
