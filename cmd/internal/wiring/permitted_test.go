package wiring

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

// TestStart_secrets makes sure that a dispatcher wants the accounts' secrets, and
// a collector does not have them.
func TestStart_secrets(t *testing.T) {
	ready := brokertest.Start(t)
	file := filepath.Join(t.TempDir(), "tram.yaml")
	account := "accounts: [{provider: ahachat, name: fanpage, settings: {bot_id: '1'}, limits: {per_second: 1}}]\n"
	if err := os.WriteFile(file, []byte(account), 0o600); err != nil {
		t.Fatal(err)
	}
	const variable = "TRAM_SECRET_AHACHAT_FANPAGE_TOKEN"
	for _, test := range []struct {
		process, environ string
		code, secrets    int
	}{
		{"dispatcher", "", ExitRefused, 0},
		{"dispatcher", variable + "=canary", ExitOK, 1},
		{"collector", "", ExitOK, 0},
		{"collector", variable + "=canary", ExitOK, 0},
	} {
		var out strings.Builder
		secrets := 0
		run := func(_ context.Context, p Process) error {
			secrets = len(p.Config.Accounts[0].Secrets)
			return nil
		}
		code := start(t.Context(), test.process, []string{"--config", file}, []string{"NATS_URL=" + ready.URL, test.environ}, &out, &out, run)
		if code != test.code || secrets != test.secrets {
			t.Errorf("%s with %q: got %d and %d secrets, want %d and %d: %s", test.process, test.environ, code, secrets, test.code, test.secrets, out.String())
		}
	}
}

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
