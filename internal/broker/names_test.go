package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

// The server computes partitions by its own hash; everything hangs on it being
// ours.
func TestPartition_ServerAgrees(t *testing.T) {
	for _, n := range []int{1, 7, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = n })
			read := broker.NewReader(b.JS)
			for i := range 50 {
				want := events.Subject{Kind: events.RequestKinds[i%3], Provider: "momo", Account: fmt.Sprintf("page-%d_%d", i, i*i), Last: "normal"}
				ack, err := b.JS.Publish(t.Context(), want.String(), []byte("x"))
				if err != nil {
					t.Fatal(err)
				}
				m, err := read.Get(t.Context(), broker.Requests, ack.Sequence)
				if err != nil {
					t.Fatal(err)
				}
				got, err := broker.ParseStored(m.Subject)
				if err != nil {
					t.Fatal(err)
				}
				if p := broker.Partition(want.Provider, want.Account, n); got.Partition != p {
					t.Errorf("%s: server says partition %d, we say %d", want, got.Partition, p)
				}
				if got.Public() != want || got.String() != m.Subject {
					t.Errorf("stored as %s: public form %s, want %s", m.Subject, got.Public(), want)
				}
			}
		})
	}
}

func TestSubjects_ThereAndBack(t *testing.T) {
	p, provider, account, err := broker.ParseResult(broker.ResultSubject(63, "momo", "p1"))
	if p != 63 || provider != "momo" || account != "p1" || err != nil {
		t.Errorf("result: got %d %s %s %v", p, provider, account, err)
	}
	group, provider, account, err := broker.ParseDead(broker.DeadSubject("unknown", "momo", "p1"))
	if group != "unknown" || provider != "momo" || account != "p1" || err != nil {
		t.Errorf("dead: got %s %s %s %v", group, provider, account, err)
	}
	for _, bad := range []string{"", "req", "req.1.a.b.c", "req.x.a.b.c.d", "req.-1.a.b.c.d", "tram.1.a.b.c.d", "req.1.a.b.c.d.e"} {
		if _, err := broker.ParseStored(bad); err == nil {
			t.Errorf("ParseStored(%q): no error", bad)
		}
	}
	for _, bad := range []string{"", "tram.result.x.a.b", "tram.result.1.a", "tram.dead.1.a.b"} {
		if _, _, _, err := broker.ParseResult(bad); err == nil {
			t.Errorf("ParseResult(%q): no error", bad)
		}
	}
	if _, _, _, err := broker.ParseDead("tram.result.1.a.b"); err == nil {
		t.Error("ParseDead takes a result")
	}
}

// Whoever may publish requests must not be able to empty the stream, expire
// messages, schedule others or write to anything else by headers.
func TestRequests_RefusesTricks(t *testing.T) {
	b := brokertest.Start(t)
	send := func(subject string, header map[string]string, size int) error {
		m := nats.NewMsg(subject)
		m.Data = []byte(strings.Repeat("x", size))
		for k, v := range header {
			m.Header.Set(k, v)
		}
		_, err := b.JS.PublishMsg(t.Context(), m, jetstream.WithRetryAttempts(0))
		return err
	}
	const subject = "tram.send.momo.p1.normal"
	if err := send(subject, nil, 1); err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]map[string]string{
		"rollup":          {"Nats-Rollup": "all"},
		"rollup subject":  {"Nats-Rollup": "sub"},
		"ttl":             {"Nats-TTL": "1s"},
		"schedule":        {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "tram.send.momo.p2.normal"},
		"counter":         {"Nats-Incr": "+1"},
		"batch":           {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
		"expected stream": {"Nats-Expected-Stream": "TRAM_RESULTS"},
	} {
		if err := send(subject, header, 1); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := send(subject, nil, 300<<10+1); err == nil {
		t.Error("a request over the limit: taken")
	}
	for _, elsewhere := range []string{"tram.send.momo.p1", "tram.send.momo.p1.normal.x", "tram.other.momo.p1.normal", "req.1.momo.p1.normal.send"} {
		if err := send(elsewhere, nil, 1); err == nil {
			t.Errorf("%s: taken", elsewhere)
		}
	}
	st, err := b.JS.Stream(t.Context(), broker.Requests)
	if err != nil {
		t.Fatal(err)
	}
	if got := st.CachedInfo().State; got.Msgs != 1 || got.LastSeq != 1 {
		t.Errorf("stream has %d messages up to %d, want the one", got.Msgs, got.LastSeq)
	}
	if err := st.Purge(t.Context()); err == nil {
		t.Error("purge: done")
	}
	if err := st.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("delete: done")
	}
}
