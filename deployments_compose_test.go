package tram

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestComposeBroker starts the broker of the compose file in this process, with
// the keys that its page has one make, and looks who comes in.
func TestComposeBroker(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "run", "./deployments/keys", dir, "broker", "127.0.0.1").CombinedOutput(); err != nil {
		t.Fatalf("keys: %v\n%s", err, out)
	}
	for from, to := range map[string]string{"deployments/compose/nats.conf": "nats.conf", "deployments/nats/tram-users.conf": "tram-users.conf"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.NewReplacer("/etc/nats/", dir+"/", "/data", dir+"/data", "0.0.0.0:4222", "127.0.0.1:-1", "0.0.0.0:8222", "127.0.0.1:-1")
		if err := os.WriteFile(filepath.Join(dir, to), []byte(here.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("it does not start")
	}
	at, err := url.Parse(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	broker := "tls://127.0.0.1:" + at.Port()
	if _, err := nats.Connect(broker, nats.RootCAs(dir+"/ca.pem")); err == nil {
		t.Error("it lets everybody in")
	}
	key, err := nats.NkeyOptionFromSeed(dir + "/users/setup.nk")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(broker, nats.RootCAs(dir+"/ca.pem"), key, nats.CustomInboxPrefix("_INBOX_setup"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Errorf("it has no streams for who sets them up: %v", err)
	}
}
