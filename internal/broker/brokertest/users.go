package brokertest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/tramhq/tram/internal/broker"
)

// A Guarded is a broker with users, each of whom may do what a configuration
// file says.
type Guarded struct {
	URL string

	t     testing.TB
	dir   string // with the seed of each user
	audit audit
}

var nkeyVariable = regexp.MustCompile(`\$(\w+)_NKEY\b`)

// StartGuarded starts a server with the users of a file such as
// deployments/nats/tram-users.conf, with or without JetStream. The test's end
// stops it.
func StartGuarded(t testing.TB, users string, jetStream bool) *Guarded {
	t.Helper()
	text, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	g := &Guarded{t: t, dir: t.TempDir()}
	var keys strings.Builder
	for _, m := range nkeyVariable.FindAllStringSubmatch(string(text), -1) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := pair.Seed()
		public, _ := pair.PublicKey()
		fmt.Fprintf(&keys, "%s: %s\n", m[0][1:], public)
		g.write(g.SeedFile(m[1]), string(seed))
	}
	g.write(filepath.Join(g.dir, "tram-nkeys.conf"), keys.String())
	g.write(filepath.Join(g.dir, "tram-users.conf"), string(text))
	g.write(filepath.Join(g.dir, "server.conf"), "listen: 127.0.0.1:-1\ninclude \"tram-users.conf\"\n")

	opts, err := server.ProcessConfigFile(filepath.Join(g.dir, "server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	opts.NoSigs, opts.JetStream, opts.StoreDir = true, jetStream, filepath.Join(g.dir, "store")
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	g.audit.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	srv.SetLoggerV2(&g.audit, false, false, false)
	go srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	g.URL = srv.ClientURL()
	return g
}

func (g *Guarded) write(file, text string) {
	g.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// SeedFile is where the seed of a user is, whose public nkey the configuration
// calls <user>_NKEY.
func (g *Guarded) SeedFile(user string) string { return filepath.Join(g.dir, user+".nk") }

// Connect returns a connection of a user that receives at inbox and tells told
// of what it may not do.
func (g *Guarded) Connect(user, inbox string, told func(error)) *nats.Conn {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	nc, err := broker.Connect(ctx, broker.Config{URLs: []string{g.URL}, NKeyFile: g.SeedFile(user), InboxPrefix: inbox, OnError: told})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(nc.Close)
	return nc
}

// Violations returns what the server has refused its users, in its own words.
func (g *Guarded) Violations() []string {
	g.audit.mu.Lock()
	defer g.audit.mu.Unlock()
	return slices.Clone(g.audit.violations)
}

// An audit is a log of a server that remembers refusals.
type audit struct {
	log        *slog.Logger
	mu         sync.Mutex
	violations []string
}

func (a *audit) Noticef(string, ...any) {}
func (a *audit) Debugf(string, ...any)  {}
func (a *audit) Tracef(string, ...any)  {}

func (a *audit) Warnf(format string, v ...any)  { a.log.Warn(fmt.Sprintf(format, v...)) }
func (a *audit) Fatalf(format string, v ...any) { a.log.Error(fmt.Sprintf(format, v...)) }

func (a *audit) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	a.log.Error(text)
	if strings.Contains(text, "Violation") {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.violations = append(a.violations, text)
	}
}
