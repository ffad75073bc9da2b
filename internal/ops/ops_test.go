package ops

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServes(t *testing.T) {
	o, err := Start("127.0.0.1:0", "v1", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	defer http.DefaultClient.CloseIdleConnections()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(o.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	eventually := func(path string, want int) string {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			code, body := get(path)
			if code == want {
				return body
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s answers %d and %s, want %d", path, code, body, want)
			}
		}
	}
	o.Need("broker", func(context.Context) error { return nil })
	if body := eventually("/readyz", http.StatusOK); strings.TrimSpace(body) != `{"ready":true,"parts":{"broker":"ok"}}` {
		t.Errorf("got %s", body)
	}
	if code, body := get("/metrics"); code != http.StatusOK || !strings.Contains(body, "\ntram_ready 1\n") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("got %d and %s", code, body)
	}
	o.Need("broker", func(context.Context) error { return errors.New("no server is connected") })
	var r Readiness
	if err := json.Unmarshal([]byte(eventually("/readyz", http.StatusServiceUnavailable)), &r); err != nil || r.Ready || r.Parts["broker"] == "ok" {
		t.Errorf("got %+v, %v", r, err)
	}
	if code, _ := get("/livez"); code != http.StatusOK {
		t.Errorf("without a broker: /livez answers %d", code)
	}
	for path, want := range map[string]int{"/": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound} {
		if code, _ := get(path); code != want {
			t.Errorf("%s answers %d, want %d", path, code, want)
		}
	}
	if resp, err := http.Post(o.URL()+"/readyz", "", nil); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a post: got %v, %v", resp.StatusCode, err)
	} else {
		resp.Body.Close()
	}

	if _, err := Start(strings.TrimPrefix(o.URL(), "http://"), "v1", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "ops.listen") {
		t.Errorf("a port that is taken: %v", err)
	}
}

func TestNobodyListensUnlessToldTo(t *testing.T) {
	o, err := Start("", "v1", slog.New(slog.DiscardHandler))
	if err != nil || o.URL() != "" {
		t.Fatalf("got %q, %v", o.URL(), err)
	}
	o.Dispatcher().Meter("momo", "shop").Stored("accepted") // counted all the same
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
