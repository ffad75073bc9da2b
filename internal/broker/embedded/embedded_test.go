package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/embedded"
)

func embed(t *testing.T, c embedded.Config) *embedded.Server {
	t.Helper()
	e, err := embedded.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// Streams and messages outlive the process; stopping takes no time.
func TestEmbedded_KeepsStateInItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "it")
	for round := range uint64(3) {
		e := embed(t, embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
		nc, err := broker.Connect(t.Context(), broker.Config{Embedded: e})
		if err != nil {
			t.Fatal(err)
		}
		js, err := broker.JetStream(nc)
		if err != nil {
			t.Fatal(err)
		}
		if err := broker.Setup(t.Context(), js, broker.Streams{}); err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(t.Context(), "tram.send.momo.p1.normal", nil)
		if err != nil || ack.Sequence != round+1 {
			t.Fatalf("round %d: %+v, %v", round, ack, err)
		}
		nc.Close()
		began := time.Now()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("closing took %s", took)
		}
	}
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && d.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestEmbedded_Refusals(t *testing.T) {
	dir := t.TempDir()
	e := embed(t, embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]embedded.Config{
		"in use by another process": {Dir: dir, Listen: "127.0.0.1:0"},
		"address already in use":    {Dir: t.TempDir(), Listen: strings.TrimPrefix(e.URL(), "nats://")},
		"no directory given":        {Listen: "127.0.0.1:0"},
		"not a directory":           {Dir: file, Listen: "127.0.0.1:0"},
		"a token is needed":         {Dir: t.TempDir(), Listen: "0.0.0.0:0"},
		"so a token is":             {Dir: t.TempDir(), Listen: ":0"},
		"want host:port":            {Dir: t.TempDir(), Listen: "4222"},
		"port is not a number":      {Dir: t.TempDir(), Listen: "127.0.0.1:http"},
	} {
		began := time.Now()
		if _, err := embedded.Start(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%q took %s", want, took)
		}
	}
	// What was refused holds neither directory nor port.
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	embed(t, embedded.Config{Dir: dir, Listen: strings.TrimPrefix(e.URL(), "nats://")})
}

func TestEmbedded_Token(t *testing.T) {
	e := embed(t, embedded.Config{Dir: t.TempDir(), Listen: "0.0.0.0:0", Token: "open-sesame"})
	if strings.Contains(e.URL(), "sesame") {
		t.Error("the token is in the URL")
	}
	nc, err := broker.Connect(t.Context(), broker.Config{Embedded: e})
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("open-sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nc, err = broker.Connect(t.Context(), broker.Config{URLs: []string{e.URL()}, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	_, err = broker.Connect(t.Context(), broker.Config{URLs: []string{e.URL()}, Token: "wrong-secret"})
	if !errors.Is(err, nats.ErrAuthorization) || strings.Contains(err.Error(), "secret") {
		t.Errorf("wrong token: %v", err)
	}
}
