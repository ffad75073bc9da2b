package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

func TestSetup_IsIdempotentAndVerified(t *testing.T) {
	b := brokertest.StartEmpty(t)
	err := broker.Verify(t.Context(), b.JS, broker.Streams{})
	for _, want := range []string{"tram setup", "TRAM_REQUESTS: missing", "TRAM_DEAD: missing", "TRAM_OWNERS: missing", "TRAM_CHECKPOINTS: missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("verify of nothing: got %v, want %q in it", err, want)
		}
	}
	if _, err := broker.PartitionCount(t.Context(), b.JS); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("partitions of nothing: %v", err)
	}
	for range 2 {
		if err := broker.Setup(t.Context(), b.JS, broker.Streams{}); err != nil {
			t.Fatal(err)
		}
		if err := broker.Verify(t.Context(), b.JS, broker.Streams{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := broker.PartitionCount(t.Context(), b.JS); n != 64 || err != nil {
		t.Errorf("got %d partitions, %v", n, err)
	}

	// A change of the configuration is named, and made by setup.
	changed := broker.Streams{EventsAge: 5 * time.Hour, RequestsBytes: 1 << 30}
	err = broker.Verify(t.Context(), b.JS, changed)
	for _, want := range []string{"TRAM_EVENTS: max age is 72h0m0s, want 5h0m0s", "TRAM_REQUESTS: max bytes is -1, want 1073741824"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if err := broker.Setup(t.Context(), b.JS, changed); err != nil {
		t.Fatal(err)
	}
	if err := broker.Verify(t.Context(), b.JS, changed); err != nil {
		t.Error(err)
	}
}

func TestSetup_RefusesToChangePartitions(t *testing.T) {
	b := brokertest.Start(t)
	publish(t, b, 1, "tram.send.momo.p1.normal")
	err := broker.Setup(t.Context(), b.JS, broker.Streams{Partitions: 32, EventsAge: time.Hour})
	if err == nil || !strings.Contains(err.Error(), "has 64 partitions, want 32") {
		t.Errorf("got %v", err)
	}
	if err := broker.Verify(t.Context(), b.JS, broker.Streams{}); err != nil {
		t.Errorf("the refused setup has changed something: %v", err)
	}
	if err := broker.Verify(t.Context(), b.JS, broker.Streams{Partitions: 32}); err == nil {
		t.Error("verify takes another number of partitions")
	}
}

// A stream on which producers could play tricks does not pass.
func TestVerify_FindsHoles(t *testing.T) {
	b := brokertest.Start(t)
	st, err := b.JS.Stream(t.Context(), broker.Events)
	if err != nil {
		t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.AllowRollup, c.AllowMsgTTL = true, true
	if _, err := b.JS.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	err = broker.Verify(t.Context(), b.JS, broker.Streams{})
	for _, want := range []string{"allow rollup is true", "allow message ttl is true"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// While a cluster elects a leader it says that it is not available.
func TestVerify_WaitsForAnElection(t *testing.T) {
	b := brokertest.Start(t)
	nc := b.ConnectCutOff()
	electing, err := nats.Connect(nc.ConnectedUrl())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(electing.Close)
	if _, err := electing.Subscribe("$JS.API.>", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"error": {"code": 503, "err_code": 10008}}`))
	}); err != nil {
		t.Fatal(err)
	}
	if err := electing.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := broker.Verify(t.Context(), b.JetStream(nc), broker.Streams{}); err != nil {
		t.Error(err)
	}
}

func TestStreams_Validate(t *testing.T) {
	for want, s := range map[string]broker.Streams{
		"partitions is 2000":           {Partitions: 2000},
		"replicas is 2":                {Replicas: 2},
		"want at least the 72h0m0s":    {LedgerAge: time.Hour},
		"messages are kept 1m0s":       {EventsAge: time.Minute},
		"a request may have 1048576 b": {MaxRequest: 1 << 20},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", s, err, want)
		}
	}
	if err := (broker.Streams{}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

// A full stream refuses what comes and keeps what it has.
func TestRequests_FullRefuses(t *testing.T) {
	b := brokertest.Start(t, func(s *broker.Streams) { s.RequestsBytes = 64 << 10 })
	body := make([]byte, 10<<10)
	var stored uint64
	var refusal error
	for range 10 {
		if _, refusal = b.JS.Publish(t.Context(), "tram.send.momo.p1.bulk", body); refusal != nil {
			break
		}
		stored++
	}
	if refusal == nil || stored < 5 {
		t.Fatalf("%d stored, then %v", stored, refusal)
	}
	if m, err := broker.NewReader(b.JS).Get(t.Context(), broker.Requests, 1); err != nil || len(m.Data) != len(body) {
		t.Errorf("the first one: %v", err)
	}
}
