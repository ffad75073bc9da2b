package wiring

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReady(t *testing.T) {
	answers := func(code int, body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				code = http.StatusNotFound
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(srv.Close)
		return srv.Listener.Addr().String()
	}
	ready := answers(http.StatusOK, `{"ready":true,"parts":{"broker":"ok"}}`)
	_, port, _ := strings.Cut(ready, ":")
	for name, test := range map[string]struct {
		listen string
		code   int
		says   string
	}{
		"ready":       {ready, ExitOK, `{"ready":true`},
		"everywhere":  {"0.0.0.0:" + port, ExitOK, `{"ready":true`},
		"not ready":   {answers(http.StatusServiceUnavailable, `{"ready":false,"parts":{"broker":"no server is connected"}}`), ExitFailure, "is not ready: {\"ready\":false"},
		"gone":        {"127.0.0.1:1", ExitFailure, "ask whether the process is ready"},
		"not to know": {"", ExitFailure, "ops.listen is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			code := start(t.Context(), "dispatcher", []string{"--ready"}, []string{"TRAM_OPS_LISTEN=" + test.listen}, &out, &out, nil)
			if code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("got %d and %q, want %d and %q", code, out.String(), test.code, test.says)
			}
		})
	}
}
