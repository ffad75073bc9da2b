package dispatcher

import (
	"log/slog"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// BenchmarkLane is what a lane costs each request: offered, picked, on its way,
// ended.
func BenchmarkLane(b *testing.B) {
	k, err := newKnown(&Account{
		Account: channels.Account{Provider: "fake", Name: "shop"}, Concurrency: 64,
		Limits: ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(1000)}},
	}, &fakeProvider{})
	if err != nil {
		b.Fatal(err)
	}
	l := bareLane()
	l.p.take = b.Context()
	l.acct = newAccount(k, untold, slog.New(slog.DiscardHandler))
	seq, now := uint64(0), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		seq++
		l.offer(1, &broker.Stored{Seq: seq, Time: now, Subject: "req.0.fake.shop.normal.send"}, false)
		e, _, wait := l.next(now)
		if e == nil {
			b.Fatalf("request %d is to wait for %s", seq, wait)
		}
		l.pickedUp()
		l.settle(e, decision{state: events.StateAccepted}, now)
	}
}
