package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/tramhq/tram/cmd/internal/wiring"
)

func TestSandbox(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"sandbox", "--listen", "127.0.0.1:0"}, nil, w, t.Output()) }()
	line := make([]byte, 100)
	n, err := r.Read(line)
	m := regexp.MustCompile(`^ready sandbox=(http://127\.0\.0\.1:\d+)\n$`).FindSubmatch(line[:n])
	if err != nil || m == nil {
		t.Fatalf("got %q, %v", line[:n], err)
	}
	resp, err := http.Get(string(m[1]) + "/_sandbox/faults")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("it answers %s", resp.Status)
	}
	cancel()
	if code := <-ended; code != wiring.ExitOK {
		t.Errorf("exit code %d", code)
	}
	if code, _, stderr := tram(t, "", "sandbox", "--listen", "nowhere"); code != wiring.ExitFailure {
		t.Errorf("nowhere: got %d, %s", code, stderr)
	}
}
