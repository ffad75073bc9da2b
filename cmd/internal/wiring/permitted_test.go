package wiring

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

// TestStart_permitted makes sure that a process whose user may not do what it
// must ends at once, and says what that is.
func TestStart_permitted(t *testing.T) {
	g := brokertest.StartGuarded(t, "../../../deployments/nats/tram-users.conf", true)
	tests := []struct {
		process, user, inbox, says string
	}{
		{"collector", "TRAM_DISPATCHER", "_INBOX_dispatcher", "publish to tram.delivery.*.*.*"},
		{"dispatcher", "TRAM_COLLECTOR", "_INBOX_collector", "subscribe to tram.status"},
		{"dispatcher", "TRAM_DISPATCHER", "_INBOX", `Subscription to \"_INBOX.`},
		{"dispatcher", "TRAM_DISPATCHER", "_INBOX_dispatcher", "tram setup"}, // which nobody has run
	}
	for _, test := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		environ := []string{"NATS_URL=" + g.URL, "NATS_NKEY=" + g.SeedFile(test.user), "NATS_INBOX_PREFIX=" + test.inbox, "TRAM_LOG_FORMAT=json"}
		var out strings.Builder
		run := func(context.Context, Process) error { t.Error("it runs"); return nil }
		code := start(ctx, test.process, nil, environ, &out, &out, run)
		if code != ExitUnreachable || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s as %s at %s: got %d and %s, want it to name %s", test.process, test.user, test.inbox, code, out.String(), test.says)
		}
	}
}
