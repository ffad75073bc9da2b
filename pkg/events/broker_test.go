package events_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/pkg/events"
)

// A broker is a NATS server in this process, with JetStream on disk.
type broker struct {
	js  jetstream.JetStream
	dir string
	srv *server.Server
}

// newBroker starts a broker with the streams and the directory that other
// services see of a relay.
func newBroker(t *testing.T) *broker {
	t.Helper()
	b := emptyBroker(t)
	if err := b.setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// emptyBroker starts a broker without streams.
func emptyBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{dir: t.TempDir()}
	if err := b.connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// exampleBroker is newBroker for examples, which have no testing.T. The
// function it returns takes everything away.
func exampleBroker() (*broker, func()) {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		panic(err)
	}
	b := &broker{dir: dir}
	if err := errors.Join(b.connect(), b.setup(context.Background())); err != nil {
		panic(err)
	}
	return b, func() {
		b.close()
		_ = os.RemoveAll(dir)
	}
}

func (b *broker) connect() error {
	if err := b.start(server.RANDOM_PORT); err != nil {
		return err
	}
	nc, err := nats.Connect(b.srv.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // restarts are part of the tests
	if err != nil {
		return err
	}
	b.js, err = jetstream.New(nc)
	return err
}

func (b *broker) start(port int) error {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: b.dir, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		return errors.New("server is not ready")
	}
	b.srv = srv
	return nil
}

// stop ends the server and returns the port for the next one.
func (b *broker) stop() int {
	port := b.srv.Addr().(*net.TCPAddr).Port
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
	return port
}

func (b *broker) close() {
	b.js.Conn().Close()
	b.stop()
}

func (b *broker) setup(ctx context.Context) error {
	requests := []string{"tram.send.*.*.*", "tram.report.*.*.*", "tram.command.*.*.*"}
	out := []string{"tram.delivery.*.*.*", "tram.stat.*.*.*", "tram.record.*.*.*", "tram.outcome.*.*.*"}
	for name, subjects := range map[string][]string{events.RequestsStream: requests, events.EventsStream: out} {
		if _, err := b.js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: subjects, Discard: jetstream.DiscardNew}); err != nil {
			return err
		}
	}
	_, err := b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: events.DirectoryBucket})
	return err
}

// messages returns how many messages the stream holds.
func (b *broker) messages(t *testing.T, stream string) uint64 {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// caresoft is the contract of an account whose sends need a sender.
var caresoft = events.Contract{
	Provider: "caresoft", Account: "main",
	Sends: []events.SendForm{
		{Recipient: events.ByPhone, Content: events.ContentTemplate},
		{Recipient: events.ByPhone, Content: events.ContentText},
		{Recipient: events.ByContactID, Content: events.ContentTemplate},
		{Recipient: events.ByContactID, Content: events.ContentText},
	},
	Sender: events.Required, TextLimit: 1000, NumericTemplate: true,
	Prechecks:   []string{"user_status"},
	ExpectKinds: []string{"consultation", "transaction", "promotion"},
}

// newSend returns a request that caresoft takes.
func newSend(id string) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: id, Source: "/acme/shop"},
		Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
			Content:   events.Content{Kind: events.ContentText, Text: "Your order is on its way."},
			Sender:    events.Sender{ID: "1234567890"},
		},
	}
}
