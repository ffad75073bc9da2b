// Package brokertest gives tests a real broker of their own.
package brokertest

import (
	"context"
	"flag"
	"log/slog"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/embedded"
)

// A Broker is a NATS server in the test's process, with its streams in a
// temporary directory and a connection to it.
type Broker struct {
	Conn *nats.Conn
	JS   jetstream.JetStream
	URL  string // where other clients connect

	t      testing.TB
	dir    string
	server *embedded.Server
}

// VerifyTestMain runs the tests of a package and fails if they leave goroutines
// behind. One of the server's own is left out: when a stream that has a source
// stops after it, it waits half a minute for an answer that cannot come.
func VerifyTestMain(m *testing.M) {
	SideBySide()
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"),
		// nats.go 1.55.0: one that has not begun when its publisher is cleaned up waits for ever.
		goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"),
	)
}

// SideBySide has half as many parallel tests again run at once as there are
// processors, unless -parallel says how many: with a broker, tests wait more than
// they work.
func SideBySide() {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)/2)) // it is a number
	}
}

// Start starts a broker with the streams that tram sets up; s adjusts them.
// The test's end stops it.
func Start(t testing.TB, s ...func(*broker.Streams)) *Broker {
	t.Helper()
	b := StartEmpty(t)
	var streams broker.Streams
	for _, adjust := range s {
		adjust(&streams)
	}
	if err := broker.Setup(t.Context(), b.JS, streams); err != nil {
		t.Fatal(err)
	}
	return b
}

// StartEmpty starts a broker that has no streams.
func StartEmpty(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{t: t, dir: t.TempDir()}
	b.start("127.0.0.1:0")
	t.Cleanup(func() { b.server.Close() })
	b.URL = b.server.URL()
	b.Conn = b.Connect()
	b.JS = b.JetStream(b.Conn)
	return b
}

func (b *Broker) start(listen string) {
	b.t.Helper()
	e, err := embedded.Start(embedded.Config{
		Dir: b.dir, Listen: listen,
		Log: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = e
}

// Connect returns another connection over TCP, which survives [Broker.Restart].
func (b *Broker) Connect() *nats.Conn {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	nc, err := broker.Connect(ctx, broker.Config{URLs: []string{b.URL}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}

// ConnectCutOff returns a connection that knows b, but is connected to a server
// that has no JetStream to serve: one that is cut off from its cluster, as far as
// its clients can tell.
func (b *Broker) ConnectCutOff() *nats.Conn {
	b.t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		b.t.Fatal(err)
	}
	go srv.Start()
	b.t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(10 * time.Second) {
		b.t.Fatal("the server does not start")
	}
	nc, err := nats.Connect(srv.ClientURL()+","+b.URL, nats.DontRandomize(), nats.MaxReconnects(-1))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}

// JetStream returns the JetStream of nc.
func (b *Broker) JetStream(nc *nats.Conn) jetstream.JetStream {
	b.t.Helper()
	js, err := broker.JetStream(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	return js
}

// Stop stops the server, and returns when it has.
func (b *Broker) Stop() {
	b.t.Helper()
	if err := b.server.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// Restart starts the server again after [Broker.Stop], with the same data and
// at the same address.
func (b *Broker) Restart() {
	b.t.Helper()
	b.start(b.URL[len("nats://"):])
}
