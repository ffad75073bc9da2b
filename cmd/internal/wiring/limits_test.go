package wiring

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

// account is a configuration with one account, its limits on lines 6 and on.
func account(limits string) string {
	return `accounts:
  - provider: ahachat
    name: shop
    base_url: http://127.0.0.1:1
    settings: {bot_id: "1"}
` + limits
}

var accountSecret = "TRAM_SECRET_AHACHAT_SHOP_TOKEN=not-a-secret"

func TestLimitsThatCannotBeMeantAreRefusedAtTheStart(t *testing.T) {
	for name, test := range map[string]struct{ limits, says string }{
		"zero":        {"    limits: {per_second: 0}", "line 6: accounts[0].limits.per_second must not be 0: leave it out for no such limit"},
		"negative":    {"    limits:\n      per_second: 5\n      per_minute: -5", "line 8: accounts[0].limits.per_minute must be above 0, it is -5"},
		"fraction":    {"    limits: {per_second: 0.5}", `line 6: accounts[0].limits.per_second must be a whole number, it is "0.5"`},
		"absurd":      {"    limits: {per_day: 99999999999}", "line 6: accounts[0].limits cannot hold: 99999999999 per day: more than 100000 per second is surely a mistake; leave the window out"},
		"huge":        {"    limits: {per_second: 99999999999999999999}", `line 6: accounts[0].limits.per_second must be a whole number`},
		"contradict":  {"    limits:\n      per_second: 10\n      per_minute: 5", "line 6: accounts[0].limits cannot hold: 10 per second and 5 per minute contradict each other: the first can never be reached; lower it to 5, or raise the second"},
		"burst":       {"    limits: {per_second: 10, burst: 9}", "line 6: accounts[0].limits cannot hold: 10 per second: burst 9 leaves only 2 per second of steady rate, because no span may hold more than the limit; use 5 at most"},
		"burst alone": {"    limits: {burst: 9}", "burst 9 leaves only"}, // of the provider's default limit
		"concurrency": {"    limits: {per_second: 5, concurrency: 20000}", "line 6: accounts[0].limits.concurrency must be from 1 to 10000, it is 20000"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tram.yaml")
			if err := os.WriteFile(file, []byte(account(test.limits)), 0o600); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			code := start(t.Context(), "dispatcher", []string{"--config", file}, []string{accountSecret}, &out, &out, RunDispatcher)
			for _, want := range []string{"configuration " + file + " is not usable", test.says} {
				if code != ExitRefused || !strings.Contains(out.String(), want) {
					t.Errorf("got %d and %q, want %d and %q", code, out.String(), ExitRefused, want)
				}
			}
		})
	}
}

// A reload with such limits changes nothing and says so, and the next good one
// is taken.
func TestLimitsThatCannotBeMeantChangeNothingAtAReload(t *testing.T) {
	b := brokertest.Start(t)
	file := filepath.Join(t.TempDir(), "tram.yaml")
	write := func(limits string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(account(limits)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("    limits: {per_second: 5}")
	var out lockedBuffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(out.String())
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	go func() {
		done <- start(ctx, "dispatcher", []string{"--config", file}, []string{accountSecret, "NATS_URL=" + b.URL}, &out, &out, RunDispatcher)
	}()
	out.await(t, "msg=joined") // by now it takes the signal
	hup := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write("    limits: {per_second: 5, per_minute: 3}")
	hup()
	out.await(t, "level=ERROR", "configuration not reloaded, the old one stays", file, "line 6: accounts[0].limits cannot hold: 5 per second and 3 per minute")
	write("    limits: {per_second: 7}")
	hup()
	out.await(t, "accounts reloaded", "accounts=1")
	stop()
	if code := <-done; code != ExitOK {
		t.Errorf("exit code %d, want %d", code, ExitOK)
	}
}
