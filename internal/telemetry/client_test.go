package telemetry

import (
	"context"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tramhq/tram/internal/telemetry/telemetrytest"
)

// one exports a span to endpoint, and returns what became of it.
func one(t *testing.T, endpoint string) (*counts, string) {
	t.Helper()
	c, log := new(counts), new(strings.Builder)
	tr, err := Start(t.Context(), Config{Endpoint: endpoint, Service: "one", Log: slog.New(slog.NewTextHandler(log, nil)), Count: c.count})
	if err != nil {
		t.Fatal(err)
	}
	_, s := tr.Start(t.Context(), "a")
	s.End()
	tr.Close()
	return c, log.String()
}

func TestStandardVariables(t *testing.T) {
	to := telemetrytest.Start(t)
	var got http.Header
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=of%20all")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=of%20traces, x-team=an")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5000")
	t.Setenv("OTEL_SERVICE_NAME", "named")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	if c, log := one(t, s.URL+"/v1/traces"); c.of(Exported) != 1 {
		t.Fatalf("not exported: %s", log)
	}
	if got.Get("Api-Key") != "of traces" || got.Get("X-Team") != "an" || got.Get("Content-Encoding") != "gzip" {
		t.Errorf("got %v", got)
	}
	if spans := to.Spans(); len(spans) != 1 || spans[0].Service != "named" || !to.Has("deployment.environment.name") {
		t.Errorf("got %+v", spans)
	}
}

func TestAnEndpointThatIsBusyIsAskedAgain(t *testing.T) {
	for status, want := range map[int]int32{http.StatusServiceUnavailable: 2, http.StatusBadRequest: 1, http.StatusFound: 1} {
		var asked atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}
		}))
		c, log := one(t, s.URL+"/secret-path")
		s.Close()
		if n := asked.Load(); n != want || c.of(Exported) != int(want)-1 || c.of(Failed) != 2-int(want) {
			t.Errorf("after a %d: asked %d times, want %d: %v", status, n, want, c.all)
		}
		if strings.Contains(log, "secret-path") {
			t.Errorf("the path stands in the log: %s", log)
		}
	}
	if c, log := one(t, "http://127.0.0.1:1/secret-path"); c.of(Failed) != 1 || strings.Contains(log, "secret-path") || !strings.Contains(log, "post to 127.0.0.1:1: ") {
		t.Errorf("got %v and %s", c.all, log)
	}
}

func TestSettingsThatAreNone(t *testing.T) {
	for name, value := range map[string]string{
		"TIMEOUT": "soon", "COMPRESSION": "zip", "HEADERS": "canary", "CERTIFICATE": "nowhere", "CLIENT_CERTIFICATE": "nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
			_, err := Start(context.Background(), Config{Endpoint: "http://otel:4318", Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v", err)
			}
		})
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", empty)
	if _, err := newClient("https://otel"); err == nil || !strings.Contains(err.Error(), "has no certificate") {
		t.Errorf("got %v", err)
	}
}
