package broker_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
	}
}

func hpub(subject, header, data string) string {
	return fmt.Sprintf("HPUB %s %d %d\r\n%s%s\r\n", subject, len(header), len(header)+len(data), header, data)
}

// raw says to the server what no client library would.
func raw(t *testing.T, b *brokertest.Broker, lines string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "CONNECT {\"headers\":true,\"verbose\":false}\r\n%sPING\r\n", lines)
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "PONG\r\n" {
			return
		}
	}
}

// hostile are header blocks that would pass for something else.
var hostile = map[string]string{
	"status 100 as a header":   "NATS/1.0\r\nStatus: 100\r\n\r\n",
	"status 503 as a header":   "NATS/1.0\r\nStatus: 503\r\n\r\n",
	"status 204 as a header":   "NATS/1.0\r\nStatus: 204\r\nDescription: EOB\r\nNats-Num-Pending: 0\r\nNats-Last-Sequence: 0\r\n\r\n",
	"status 409 in line":       "NATS/1.0 409 Consumer Deleted\r\n\r\n",
	"status after a tab":       "NATS/1.0\t409 Consumer Deleted\r\n\r\n",
	"server's names":           "NATS/1.0\r\nNats-Sequence: 77\r\nNats-Subject: req.0.momo.other.normal.send\r\nNats-Last-Sequence: 9\r\n\r\n",
	"not decodable":            "NATS/1.0\r\nno colon\r\n\r\n",
	"no version":               "garbage\r\n\r\n",
	"no end":                   "NATS/1.0\r\nA: b",
	"forged behind an end":     "NATS/1.0\r\nNats-Stream: TRAM_REQUESTS\r\nNats-Subject: req.0.momo.other.normal.send\r\nNats-Sequence: 99\r\nNats-Time-Stamp: 2026-01-01T00:00:00Z\r\nNats-Num-Pending: 0\r\nNats-Last-Sequence: 0\r\n\r\n\r\n",
	"forged end of answer":     "NATS/1.0\r\nStatus: 204\r\nNats-Num-Pending: 0\r\nNats-Last-Sequence: 0\r\n\r\nx\r\n",
	"no space after the colon": "NATS/1.0\r\nA:b\r\n\r\n",
	"empty":                    "",
}

// Whatever a producer writes into headers, each message comes out once, under
// the sequence and subject that the server gave it.
func TestReader_HostileHeaders(t *testing.T) {
	for name, header := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = 1 })
			read := broker.NewReader(b.JS)
			const subject, stored = "tram.send.momo.p1.normal", "req.0.momo.p1.normal.send"
			publish(t, b, 2, subject)
			raw(t, b, hpub(subject, header, "")+hpub(subject, header, ""))
			publish(t, b, 1, subject)
			raw(t, b, hpub(subject, header, ""))
			brokertest.Eventually(t, "six messages stored", func() bool {
				m, err := read.Last(t.Context(), broker.Requests, "req.>")
				return err == nil && m.Seq == 6
			})

			check := func(how string, msgs []*broker.Stored) {
				t.Helper()
				if got := fmt.Sprint(seqs(msgs)); got != "[1 2 3 4 5 6]" {
					t.Errorf("%s: got %s", how, got)
				}
				for _, m := range msgs {
					if m.Subject != stored || time.Since(m.Time).Abs() > time.Minute {
						t.Errorf("%s: message %d is on %s of %s", how, m.Seq, m.Subject, m.Time)
					}
				}
			}
			msgs, _, err := read.NextBySubject(t.Context(), broker.Requests, broker.LaneFilter(0, "momo", "p1", events.Normal), 1, 50)
			if err != nil {
				t.Fatal(err)
			}
			check("next by subject", msgs)

			msgs = nil
			if err := read.Replay(t.Context(), broker.Requests, "req.>", 0, func(m *broker.Stored) error {
				msgs = append(msgs, m)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			check("replay", msgs)

			last, upTo, err := read.LastPerSubject(t.Context(), broker.Requests, "req.>")
			if err != nil || upTo != 6 || len(last) != 1 || last[stored] != 6 {
				t.Errorf("last per subject: %v up to %d, %v", last, upTo, err)
			}
			check("feed", feedAll(t, b, broker.Requests, "req.>", 6))
		})
	}
}

// Headers written without spaces make up for hidden bytes, if there are as many.
func TestReader_ForgedEndOfAnyLength(t *testing.T) {
	b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = 1 })
	var all strings.Builder
	const from, to = 150, 260
	for n := from; n < to; n++ {
		header := "NATS/1.0\r\nStatus:204\r\nNats-Num-Pending:0\r\nNats-Last-Sequence:0\r\n" + strings.Repeat("A:\r\n", n) + "\r\nx\r\n"
		all.WriteString(hpub("tram.send.momo.p1.normal", header, ""))
	}
	raw(t, b, all.String())
	read := broker.NewReader(b.JS)
	brokertest.Eventually(t, "all messages stored", func() bool {
		m, err := read.Last(t.Context(), broker.Requests, "req.>")
		return err == nil && m.Seq == to-from
	})
	for seq := range uint64(to - from) {
		msgs, _, err := read.NextBySubject(t.Context(), broker.Requests, "req.>", seq+1, 1)
		if err != nil || len(msgs) != 1 || msgs[0].Seq != seq+1 {
			t.Fatalf("message %d: got %v, %v", seq+1, seqs(msgs), err)
		}
	}
}

// The headers that a producer wrote come out as they went in, through both
// ways of reading.
func TestReader_KeepsHeaders(t *testing.T) {
	b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = 1 })
	m := nats.NewMsg("tram.send.momo.p1.normal")
	m.Header = nats.Header{"ce-id": {"1"}, "Nats-Sequence": {"77"}, "x": {"a", "b"}}
	want := fmt.Sprint(m.Header)
	b.Publish(m)
	msgs, _, err := broker.NewReader(b.JS).NextBySubject(t.Context(), broker.Requests, "req.>", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(msgs, feedAll(t, b, broker.Requests, "req.>", 1)...) {
		if got := fmt.Sprint(s.Header); got != want {
			t.Errorf("got %s, want %s", got, want)
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
