package wiring

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

const processVariable = "TRAM_TEST_PROCESS"

// TestMain is the process that a test starts this program as.
func TestMain(m *testing.M) {
	switch os.Getenv(processVariable) {
	case "dispatcher":
		Main("dispatcher", RunDispatcher)
	case "collector":
		Main("collector", RunCollector)
	}
	os.Exit(m.Run())
}

// A worker is a process of the relay.
type worker struct {
	t    *testing.T
	name string
	log  lockedBuffer
	ops  string
}

func startWorker(t *testing.T, name, config, natsURL string) *worker {
	t.Helper()
	w := &worker{t: t, name: name}
	cmd := exec.Command(os.Args[0], "--config", config)
	cmd.Env = append(os.Environ(), processVariable+"="+name, "NATS_URL="+natsURL, "TRAM_SECRET_CARESOFT_HOTLINE_TOKEN=sandbox-caresoft-token")
	cmd.Stderr = &w.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v\n%s", name, err, w.log.String())
		}
	})
	listens := regexp.MustCompile(`health and metrics are served","url":"([^"]+)"`)
	brokertest.Eventually(t, "it listens", func() bool {
		if m := listens.FindStringSubmatch(w.log.String()); m != nil {
			w.ops = m[1]
		}
		return w.ops != ""
	})
	return w
}

// metrics adds what the process has counted to counted, by process and series,
// and returns the examples.
func (w *worker) metrics(counted map[string]string) (examples []string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.ops+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		series, example, ok := strings.Cut(line, " # ")
		if ok && strings.Contains(example, "trace_id") {
			examples = append(examples, line)
		}
		name, value, ok := strings.Cut(series, " ")
		family, _, _ := strings.Cut(name, "{")
		if ok && regexp.MustCompile(`^tram_(dispatcher_(calls|call_|wait|results)|collector_(results|events|age)|telemetry).*_(total|count)$`).MatchString(family) {
			counted[w.name+"\t"+name] = value
		}
	}
	return examples
}

// logged returns the lines of the log about a trace.
func (w *worker) logged(traceID string) (lines []string) {
	for line := range strings.Lines(w.log.String()) {
		var record struct {
			TraceID string `json:"trace_id"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.TraceID == traceID {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
