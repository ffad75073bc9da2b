package broker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/broker/embedded"
)

const canary = "s3cret-canary"

func TestConnect_RefusesWhatCannotWork(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for want, c := range map[string]broker.Config{
		"url 2 is not":         {URLs: []string{"nats://h:1", "nats://u:" + canary + "@h:bad port"}},
		"url 1 is not":         {URLs: []string{"nats://u:" + canary + "@a:1,nats://b:2"}},
		"more than one of":     {User: "u", Password: canary, Token: canary},
		"no user":              {Password: canary},
		"no such file":         {CredsFile: none},
		"no such file or":      {TokenFile: none},
		"open " + none:         {User: "u", PasswordFile: none},
		"nats":                 {NKeyFile: none},
		"error loading client": {CertFile: none, KeyFile: none},
		"error loading or":     {CAFile: none},
	} {
		_, err := broker.Connect(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("secret in: %v", err)
		}
	}
}

// A server that is not there yet is waited for, as long as the context lasts.
func TestConnect_WaitsForTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c := broker.Config{URLs: []string{"nats://u:" + canary + "@" + addr}}
	if _, err := broker.Connect(ctx, c); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
	connected := make(chan error, 1)
	go func() {
		nc, err := broker.Connect(t.Context(), c)
		if err == nil {
			nc.Close()
		}
		connected <- err
	}()
	srv, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	if err := <-connected; err != nil {
		t.Error(err)
	}
}

// What the server refuses afterwards is told and logged, without the secret.
func TestConnect_TellsOfRefusedPermissions(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Users: []*server.User{{Username: "u", Password: canary, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"tram.send.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("server not ready")
	}
	var log bytes.Buffer
	told := make(chan error, 1)
	nc, err := broker.Connect(t.Context(), broker.Config{
		URLs: []string{srv.ClientURL()}, User: "u", Password: canary,
		OnError: func(err error) { told <- err }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("tram.result.1.momo.a", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-told:
	case <-time.After(10 * time.Second):
		t.Fatal("not told")
	}
	nc.Close()
	if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(log.String(), "tram.result.1.momo.a") {
		t.Errorf("told %v, logged %s", err, log.String())
	}
	if strings.Contains(err.Error()+log.String(), canary) {
		t.Errorf("secret in %v or %s", err, log.String())
	}
}

// Reading, feeding and keeping a lease leave no goroutine behind.
func TestNothingIsLeftRunning(t *testing.T) {
	b := brokertest.Start(t)
	l := leases(t, b, 3*time.Second)
	publish(t, b, 10, "tram.result.1.momo.a")
	before := goleak.IgnoreCurrent()
	feedAll(t, b, broker.Results, ">", 10)
	m := join(t, l, "one")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- m.Keep(ctx) }()
	go func() { l.Watch(ctx, func() {}); done <- nil }()
	if _, err := m.Claim(t.Context(), 1, broker.Claim{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	<-done
	goleak.VerifyNone(t, before,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*consumer).loopAndGatherMsgs"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*consumer).processInboundNextMsgReqs"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*consumer).processInboundAcks"))
}
