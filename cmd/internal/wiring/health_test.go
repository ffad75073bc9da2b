package wiring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/ops"
)

// A running process, as whoever runs it sees it.
type running struct {
	t    *testing.T
	log  lockedBuffer
	url  string
	stop context.CancelFunc
	code chan int
}

// A lockedBuffer is what a process has said so far.
type lockedBuffer struct {
	mu  sync.Mutex
	all strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// await waits until the process has said all of words in one line.
func (b *lockedBuffer) await(t *testing.T, words ...string) {
	t.Helper()
	brokertest.Eventually(t, fmt.Sprintf("it says %q", words), func() bool {
		for line := range strings.Lines(b.String()) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return true
			}
		}
		return false
	})
}

var served = regexp.MustCompile(`health and metrics are served" url=(\S+)`)

func launch(t *testing.T, name, server string, run Run) *running {
	t.Helper()
	r := &running{t: t, code: make(chan int, 1)}
	file := filepath.Join(t.TempDir(), "tram.yaml")
	if err := os.WriteFile(file, []byte("dispatcher: {lease: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		r.code <- start(ctx, name, []string{"--config", file}, []string{"NATS_URL=" + server, "TRAM_OPS_LISTEN=127.0.0.1:0"}, &r.log, &r.log, run)
	}()
	t.Cleanup(func() {
		stop()
		<-r.code
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	brokertest.Eventually(t, "it listens", func() bool {
		m := served.FindStringSubmatch(r.log.String())
		if m != nil {
			r.url = m[1]
		}
		return m != nil
	})
	return r
}

// get returns the status of a path, and what it says of readiness.
func (r *running) get(path string) (code int, said ops.Readiness) {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&said) // metrics say something else
	return resp.StatusCode, said
}

func (r *running) becomes(code int) ops.Readiness {
	r.t.Helper()
	var last ops.Readiness
	brokertest.Eventually(r.t, http.StatusText(code), func() bool {
		got, said := r.get("/readyz")
		last = said
		return got == code
	})
	return last
}

func TestReadinessFollowsTheBroker(t *testing.T) {
	for name, run := range map[string]Run{"dispatcher": RunDispatcher, "collector": RunCollector} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t)
			r := launch(t, name, b.URL, run)
			r.becomes(http.StatusOK)
			b.Stop()
			said := r.becomes(http.StatusServiceUnavailable)
			if said.Ready || said.Parts["broker"] == "ok" && said.Parts[name] == "ok" {
				t.Errorf("without a broker: %+v", said)
			}
			if code, _ := r.get("/livez"); code != http.StatusOK {
				t.Errorf("without a broker /livez answers %d", code)
			}
			b.Restart()
			back := time.Now()
			r.becomes(http.StatusOK) // ten seconds are promised, on a machine that is free
			t.Logf("ready again after %s", time.Since(back).Round(time.Millisecond))
			if strings.Count(r.log.String(), "msg=started") != 1 {
				t.Error("it was started again")
			}
			if err := b.JS.DeleteStream(t.Context(), broker.Dead); err != nil {
				t.Fatal(err)
			}
			if said := r.becomes(http.StatusServiceUnavailable); !strings.Contains(said.Parts["broker"], "tram setup") {
				t.Errorf("without a stream: %+v", said)
			}
		})
	}
}

// A process that cannot reach the broker yet says so, and one that is told to
// stop is not ready before its work has ended.
func TestReadinessAtTheStartAndAtTheEnd(t *testing.T) {
	b := brokertest.Start(t)
	b.Stop()
	release := make(chan struct{})
	r := launch(t, "worker", b.URL, func(ctx context.Context, _ Process) error {
		<-ctx.Done()
		<-release
		return nil
	})
	brokertest.Eventually(t, "it has looked", func() bool {
		_, said := r.get("/readyz")
		return said.Parts["broker"] == errNotConnected.Error()
	})
	b.Restart()
	r.becomes(http.StatusOK)
	r.stop()
	if said := r.becomes(http.StatusServiceUnavailable); said.Parts["process"] != "stopping" {
		t.Errorf("stopping: %+v", said)
	}
	if code, _ := r.get("/livez"); code != http.StatusOK {
		t.Errorf("stopping: /livez answers %d", code)
	}
	close(release)
}

func TestConfigRefusedIsAMetric(t *testing.T) {
	o, err := ops.Start("127.0.0.1:0", "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	hup := make(chan os.Signal)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		reload(ctx, hup, Process{
			Config: &config.Config{}, Log: slog.New(slog.DiscardHandler), Ops: o,
			Load: func() (*config.Config, error) { return nil, os.ErrNotExist },
		}, nil)
	}()
	hup <- os.Interrupt
	hup <- os.Interrupt // so the first has been dealt with
	stop()
	<-done
	resp, err := http.Get(o.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all strings.Builder
	if _, err := io.Copy(&all, resp.Body); err != nil || !strings.Contains(all.String(), "\ntram_config_refused 1\n") {
		t.Errorf("got %v and\n%s", err, &all)
	}
}
