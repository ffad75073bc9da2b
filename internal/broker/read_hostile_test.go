package broker_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

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
