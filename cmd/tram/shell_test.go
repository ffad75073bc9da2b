package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestShell sends with examples/shell, which has nothing but bash and a socket.
func TestShell(t *testing.T) {
	up := start(t, t.TempDir())
	send := func(id, text string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "../../examples/shell/send.sh", id, "0900000001", text)
		cmd.Env = append(os.Environ(), "NATS_URL="+up.nats)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("send.sh %s: %v, after %q", id, err, out)
		}
		return string(out)
	}
	if out := send("order-17-shipped", "Đơn hàng đang được giao."); !strings.HasPrefix(out, `{"stream":"TRAM_REQUESTS"`) || !strings.HasSuffix(out, "\naccepted\n") {
		t.Errorf("got %q, want an acknowledgement and the send accepted", out)
	}
	if out := send("order-17-shipped", "again"); !strings.Contains(out, `"duplicate"`) {
		t.Errorf("got %q, want the same send known", out)
	}
	if lines := tail(t, up.nats, 1); !strings.Contains(lines[0], " accepted ") || !strings.Contains(lines[0], "order-17-shipped") {
		t.Errorf("got %q, want the end of the send", lines)
	}
}
