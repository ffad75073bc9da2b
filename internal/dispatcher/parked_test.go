package dispatcher

import (
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/tramhq/tram/internal/broker"
)

// A request comes out as it went in, packed or not.
func TestParkedComesOutAsItWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &broker.Stored{
			Seq:     rapid.Uint64().Draw(t, "seq"),
			Subject: "req." + rapid.String().Draw(t, "subject") + ".send",
			Data:    rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "data"),
			Time:    time.Unix(0, rapid.Int64Min(0).Draw(t, "time")),
		}
		if headers := rapid.MapOf(rapid.String(), rapid.SliceOfN(rapid.String(), 1, 3)).Draw(t, "headers"); len(headers) > 0 {
			m.Header = nats.Header(headers)
		}
		var full space
		if rapid.Bool().Draw(t, "full") {
			full.held.Store(packFrom + 1)
		}
		before := full.held.Load()
		w := full.hold(m)
		if (w.packed != "") != (before > 0) {
			t.Fatalf("packed is %t with %d bytes held", w.packed != "", before)
		}
		if w.subject() != m.Subject || !w.time().Equal(m.Time) {
			t.Errorf("parked: %s of %s, want %s of %s", w.subject(), w.time(), m.Subject, m.Time)
		}
		if got := w.stored(); !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, want %+v", got, m)
		}
		if full.release(w.size(), new(queue)); full.held.Load() != before {
			t.Errorf("%d bytes are held, want the %d from before", full.held.Load(), before)
		}
	})
}

func BenchmarkParked(b *testing.B) {
	m := &broker.Stored{
		Seq: 1, Subject: "req.12.webhook.shop-0001.bulk.send", Data: make([]byte, 250), Time: time.Now(),
		Header: nats.Header{
			"Ce-Specversion": {"1.0"}, "Ce-Id": {"01JD5R2T7Q4V0C1N8W6X3Y9Z5A"}, "Ce-Source": {"/shop/orders"},
			"Ce-Type": {"tram.send.v1"}, "Content-Type": {"application/msgpack"}, "Ce-Time": {"2026-11-22T04:00:00Z"},
			"Nats-Msg-Id": {"/shop/orders 01JD5R2T7Q4V0C1N8W6X3Y9Z5A"}, "Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		},
	}
	var full space
	full.held.Store(packFrom + 1)
	var q queue
	b.ReportAllocs()
	for b.Loop() {
		w := full.hold(m)
		if w.stored().Seq != 1 {
			b.Fatal("not what was parked")
		}
		full.release(w.size(), &q)
	}
}
