package doctor

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/perm"
)

func TestBroker(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	all := Broker(t.Context(), b.JS.Conn())
	if len(all) != 2 || all[0].Grade != OK || all[1].Grade != OK {
		t.Errorf("got %+v", all)
	}

	// One that is not made for the relay, and then gone.
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, MaxPayload: 1 << 10, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("no server")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	all = Broker(t.Context(), nc)
	if len(all) != 2 || all[0].Grade != Fail || !strings.Contains(all[0].Text, "max_payload is 1024 bytes") || all[1].Grade != Warn || !strings.Contains(all[1].Text, "it cannot be told how much room there is") {
		t.Errorf("got %+v", all)
	}
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
	if all = Broker(t.Context(), nc); all[len(all)-2].Grade != Fail || !strings.Contains(all[len(all)-2].Text, "it does not answer") {
		t.Errorf("gone: got %+v", all)
	}
}

func TestRoom(t *testing.T) {
	for used, want := range map[float64]Grade{0: OK, 0.5: OK, 0.8: Warn, 0.96: Fail, 1: Fail} {
		f := findings{check: CheckBroker}
		check(t, f.room(used*(1<<30), 1<<30), want, "of 1 GiB that the account may store")
	}
	f := findings{check: CheckBroker}
	check(t, f.room(1536, -1), OK, "1.5 KiB are stored, without a limit")
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	g := brokertest.StartGuarded(t, "../../deployments/nats/tram-users.conf", false)
	nc := g.Connect("TRAM_OPERATOR", "_INBOX_operator", nil)
	// A machine that is busy with other tests may be late with the answer.
	look := func(role perm.Role) (all []Finding) {
		for end := time.Now().Add(30 * time.Second); ; {
			if all = Permissions(t.Context(), nc, role); all[0].Grade != Warn || time.Now().After(end) {
				return all
			}
		}
	}
	check(t, look(perm.Operator()), OK, "the user may do all that the role operator needs")
	all := look(perm.Dispatcher())
	if !slices.ContainsFunc(all, func(f Finding) bool {
		return f.Grade == Fail && f.Text == "the user may not publish to tram.intent.*" && f.Do != ""
	}) {
		t.Errorf("got %+v", all)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	check(t, Streams(t.Context(), b.JS, broker.Streams{}, true), OK, "13 streams and buckets are as tram setup makes them")
	check(t, Streams(t.Context(), b.JS, broker.Streams{EventsAge: 24 * time.Hour}, false), Warn, "TRAM_EVENTS: max age is 72h0m0s, want 24h0m0s")
	check(t, Streams(t.Context(), b.JS, broker.Streams{EventsAge: 24 * time.Hour}, true), Fail, "TRAM_EVENTS: max age is 72h0m0s, want 24h0m0s")
	if err := b.JS.DeleteStream(t.Context(), broker.Dead); err != nil {
		t.Fatal(err)
	}
	check(t, Streams(t.Context(), b.JS, broker.Streams{}, true), Fail, "TRAM_DEAD: it does not exist")
	check(t, Streams(t.Context(), b.JS, broker.Streams{Replicas: 2}, true), Fail, "replicas")
}

func TestStream(t *testing.T) {
	info := func(used, limit int64, c *jetstream.ClusterInfo) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{Config: jetstream.StreamConfig{Name: "S", MaxBytes: limit}, State: jetstream.StreamState{Bytes: uint64(used)}, Cluster: c}
	}
	for says, test := range map[string]struct {
		info  *jetstream.StreamInfo
		grade Grade
	}{
		"fine":                                {info(1000, -1, &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{{Name: "n2", Current: true}}}), OK},
		"S: 850 B of 1000 B are used":         {info(850, 1000, nil), Warn},
		"S: 990 B of 1000 B are used":         {info(990, 1000, nil), Fail},
		"S: it has no leader":                 {info(0, 0, &jetstream.ClusterInfo{}), Fail},
		"the replica on n2 is offline":        {info(0, 0, &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{{Name: "n2", Offline: true}}}), Warn},
		"the replica on n2 is 7 messages beh": {info(0, 0, &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{{Name: "n2", Lag: 7}}}), Warn},
	} {
		f := findings{check: CheckStreams}
		f.stream(test.info)
		check(t, f.done("fine"), test.grade, says)
	}
}

func TestConsumers(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	check(t, Consumers(t.Context(), b.JS), Warn, "no collector has ever run")
	cons, err := b.JS.CreateConsumer(t.Context(), broker.Results, jetstream.ConsumerConfig{Durable: collector.Durable, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	check(t, Consumers(t.Context(), b.JS), OK, "services that read events: 0")
	for _, subject := range []string{broker.ResultSubject(1, "momo", "shop"), "tram.delivery.momo.shop.failed"} {
		if _, err := b.JS.Publish(t.Context(), subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.JS.CreateConsumer(t.Context(), broker.Events, jetstream.ConsumerConfig{Durable: "shop", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	check(t, Consumers(t.Context(), b.JS), Fail, "results wait that no collector reads: 1")
	if batch, err := cons.Fetch(1); err != nil || (<-batch.Messages()).DoubleAck(t.Context()) != nil {
		t.Fatal(err)
	}
	check(t, Consumers(t.Context(), b.JS), OK, "services that read events: 1")
}

func TestBehind(t *testing.T) {
	for _, test := range []struct {
		waiting uint64
		age     time.Duration
		grade   Grade
		says    string
	}{
		{10, time.Hour, OK, "fine"}, {10, 65 * time.Hour, Warn, "is 65h0m0s old"}, {10, 71 * time.Hour, Fail, "events are kept for 72h0m0s"},
		{20_000, time.Minute, Warn, "20000 events wait"},
	} {
		f := findings{check: CheckConsumers}
		f.behind("shop", test.waiting, test.age, 72*time.Hour)
		check(t, f.done("fine"), test.grade, test.says)
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	check(t, Clocks(t.Context(), b.JS, map[string]time.Duration{"d1": 0}), OK, "of 1 dispatcher agree")
	check(t, Clocks(t.Context(), b.JS, map[string]time.Duration{"d1": time.Hour}), Fail, "dispatcher d1: its clock is 1h0m0s behind")
	if err := b.JS.DeleteStream(t.Context(), broker.Requests); err != nil {
		t.Fatal(err)
	}
	check(t, Clocks(t.Context(), b.JS, nil), Warn, "the broker's clock cannot be read")
}

func TestHosts(t *testing.T) {
	t.Parallel()
	quiet := func(http.ResponseWriter, *http.Request) { t.Error("a host was called") }
	plain, secure := httptest.NewServer(http.HandlerFunc(quiet)), httptest.NewUnstartedServer(http.HandlerFunc(quiet))
	secure.StartTLS()
	t.Cleanup(plain.Close) // after the parallel ones
	t.Cleanup(secure.Close)
	private, _ := url.Parse(plain.URL)
	for _, test := range []struct {
		base  string
		grade Grade
		says  string
	}{
		{plain.URL + "/api", OK, "1 host can be reached"},
		{"http://localhost:" + private.Port(), OK, "1 host can be reached"},
		{secure.URL, Fail, "certificate"},
		{"http://127.0.0.1:1", Fail, "refused"},
		{"https://10.1.2.3", Fail, "an address that is not public"},
		{"https://169.254.169.254", Fail, "an address that is not public"},
		{"https://no-such-host.invalid", Fail, "no-such-host.invalid"},
	} {
		t.Run(test.base, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := &config.Config{HTTP: config.HTTP{DialTimeout: 10 * time.Second}, Accounts: []config.Account{{Provider: "momo", Name: "shop", BaseURL: test.base}}}
			check(t, Hosts(ctx, c), test.grade, test.says)
		})
	}
	c := &config.Config{HTTP: config.HTTP{Proxy: "http://proxy:3128"}, Accounts: []config.Account{{BaseURL: plain.URL}}}
	check(t, Hosts(t.Context(), c), OK, "through the proxy")
}
