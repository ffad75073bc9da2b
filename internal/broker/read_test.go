package broker_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

// publish stores n messages on the subjects in turn.
func publish(t *testing.T, b *brokertest.Broker, n int, subjects ...string) {
	t.Helper()
	for i := range n {
		if _, err := b.JS.PublishAsync(subjects[i%len(subjects)], fmt.Appendf(nil, "%d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-b.JS.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		t.Fatal("publishes not acknowledged")
	}
}

func seqs(msgs []*broker.Stored) []uint64 {
	var all []uint64
	for _, m := range msgs {
		all = append(all, m.Seq)
	}
	return all
}

func TestReader_NextBySubject(t *testing.T) {
	b := brokertest.Start(t)
	read := broker.NewReader(b.JS)
	publish(t, b, 30, "tram.result.1.momo.a", "tram.result.1.momo.b", "tram.result.2.momo.c")

	for _, c := range []struct {
		filter      string
		from        uint64
		batch       int
		want        string
		wantPending uint64
	}{
		{"tram.result.1.momo.a", 0, 3, "[1 4 7]", 7},
		{"tram.result.1.momo.a", 8, 3, "[10 13 16]", 4},
		{"tram.result.1.momo.a", 25, 3, "[25 28]", 0},
		{"tram.result.1.>", 28, 10, "[28 29]", 0},
		{"tram.result.1.>", 28, 1, "[28]", 1},
		{"tram.result.1.>", 30, 1, "[]", 0},
		{"tram.result.9.>", 0, 10, "[]", 0},
		{"tram.result.2.>", 1000, 10, "[]", 0},
	} {
		msgs, pending, err := read.NextBySubject(t.Context(), broker.Results, c.filter, c.from, c.batch)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(seqs(msgs)); got != c.want || pending != c.wantPending {
			t.Errorf("%s from %d by %d: got %s and %d more, want %s and %d", c.filter, c.from, c.batch, got, pending, c.want, c.wantPending)
		}
		for _, m := range msgs {
			if string(m.Data) != fmt.Sprint(m.Seq) || m.Header != nil || time.Since(m.Time) > time.Minute {
				t.Errorf("message %d: %+v", m.Seq, m)
			}
		}
	}

	if _, _, err := read.NextBySubject(t.Context(), "NO_SUCH", ">", 1, 1); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("no such stream: %v", err)
	}
	m, err := read.Last(t.Context(), broker.Results, "tram.result.1.>")
	if err != nil || m.Seq != 29 || m.Subject != "tram.result.1.momo.b" {
		t.Errorf("last: %+v %v", m, err)
	}
	for _, err := range []error{
		func() error { _, err := read.Last(t.Context(), broker.Results, "tram.result.9.>"); return err }(),
		func() error { _, err := read.Get(t.Context(), broker.Results, 31); return err }(),
	} {
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			t.Errorf("got %v, want message not found", err)
		}
	}
}

func TestReader_Replay(t *testing.T) {
	b := brokertest.Start(t)
	read := broker.NewReader(b.JS)
	publish(t, b, 2500, "tram.result.1.momo.a", "tram.result.1.momo.b")
	publish(t, b, 10, "tram.result.2.momo.c") // the last match is before the end

	for _, c := range []struct {
		filter      string
		from        uint64
		count       int
		first, last uint64
	}{
		{"tram.result.1.>", 0, 2500, 1, 2500},
		{"tram.result.1.momo.b", 1000, 751, 1000, 2500},
		{"tram.result.2.>", 1, 10, 2501, 2510},
		{"tram.result.1.>", 2500, 1, 2500, 2500},
		{"tram.result.1.>", 2501, 0, 0, 0},
		{"tram.result.9.>", 0, 0, 0, 0},
		{"tram.result.2.>", 9999, 0, 0, 0},
	} {
		var got []*broker.Stored
		err := read.Replay(t.Context(), broker.Results, c.filter, c.from, func(m *broker.Stored) error {
			if len(got) == 0 { // what comes during a replay is not in it
				publish(t, b, 1, "tram.result.8.momo.z")
			}
			got = append(got, m)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.count {
			t.Fatalf("%s from %d: %d messages, want %d", c.filter, c.from, len(got), c.count)
		}
		if c.count > 0 && (got[0].Seq != c.first || got[c.count-1].Seq != c.last) {
			t.Errorf("%s from %d: %d to %d, want %d to %d", c.filter, c.from, got[0].Seq, got[c.count-1].Seq, c.first, c.last)
		}
	}

	enough := errors.New("enough")
	if err := read.Replay(t.Context(), broker.Results, ">", 0, func(*broker.Stored) error { return enough }); err != enough {
		t.Errorf("error of fn: got %v", err)
	}
}

func TestReader_LastPerSubject(t *testing.T) {
	b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = 1 })
	read := broker.NewReader(b.JS)
	for _, accounts := range []int{0, 5, 1300} { // the last is more than the server tells at once
		var subjects []string
		for i := range accounts {
			subjects = append(subjects, events.Subject{Kind: events.KindSend, Provider: "momo", Account: fmt.Sprintf("p%d", i), Last: "bulk"}.String())
		}
		if accounts > 0 {
			publish(t, b, 2*accounts, subjects...)
		}
		last, upTo, err := read.LastPerSubject(t.Context(), broker.Requests, broker.PartitionFilter(0))
		if err != nil {
			t.Fatal(err)
		}
		st, err := b.JS.Stream(t.Context(), broker.Requests)
		if err != nil {
			t.Fatal(err)
		}
		end := st.CachedInfo().State.LastSeq
		if len(last) != accounts || upTo != end {
			t.Fatalf("%d subjects up to %d, want %d up to %d", len(last), upTo, accounts, end)
		}
		for i := range accounts {
			subject := fmt.Sprintf("req.0.momo.p%d.bulk.send", i)
			if got, want := last[subject], end-uint64(accounts)+uint64(i)+1; got != want {
				t.Errorf("%s: last is %d, want %d", subject, got, want)
			}
		}
		several, upTo, err := read.LastPerSubject(t.Context(), broker.Requests, "req.0.momo.*.bulk.send", "req.0.momo.*.normal.send", "req.1.>")
		if err != nil || upTo != end || !maps.Equal(several, last) {
			t.Errorf("by several filters: %d subjects up to %d, %v, want %d up to %d", len(several), upTo, err, len(last), end)
		}
	}
}

// Whoever has stored a message itself reads to there, whatever a leader or a
// replica says that there is.
func TestReader_ReplayTo_WaitsForTheEnd(t *testing.T) {
	b := brokertest.Start(t)
	store := func() {
		if _, err := b.JS.Publish(t.Context(), broker.IntentSubject(7), nil); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		store()
	}
	var got []uint64
	err := broker.NewReader(b.JS).ReplayTo(t.Context(), broker.Intents, broker.IntentSubject(7), 2, 4, func(m *broker.Stored) error {
		if got = append(got, m.Seq); m.Seq == 3 { // the last one that anybody knows of
			store()
			store()
		}
		return nil
	})
	if err != nil || !slices.Equal(got, []uint64{2, 3, 4}) {
		t.Errorf("got %v, %v, want 2 to 4", got, err)
	}
}

// The servers of a cluster choose a replica by chance, for a while also one that
// is gone: then another has to be asked.
func TestReader_AsksAnotherReplica(t *testing.T) {
	b := brokertest.Start(t)
	publish(t, b, 3, broker.IntentSubject(7))
	nc, err := nats.Connect("nats://" + losing(t, b, "$JS.API.DIRECT.GET."))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	msgs, _, err := broker.NewReader(b.JetStream(nc)).NextBySubject(t.Context(), broker.Intents, broker.IntentSubject(7), 1, 10)
	if err != nil || !slices.Equal(seqs(msgs), []uint64{1, 2, 3}) {
		t.Errorf("got %v, %v", seqs(msgs), err)
	}
}

// losing is the address of a way to b for one client, on which the first request
// to a subject that begins with prefix is lost.
func losing(t *testing.T, b *brokertest.Broker, prefix string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "nats://"))
		if err != nil {
			client.Close()
			return
		}
		go func() {
			_, _ = io.Copy(client, server)
			client.Close()
		}()
		defer server.Close()
		lost := false
		for r := bufio.NewReader(client); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if !lost && strings.HasPrefix(line, "PUB "+prefix) {
				lost = true
				if _, err = r.ReadString('\n'); err != nil { // the request is one line of JSON
					return
				}
				continue
			}
			if _, err := io.WriteString(server, line); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}
