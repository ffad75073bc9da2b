package dispatcher

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

// A backlog that is read in large parts is read by a consumer, whatever becomes of
// that consumer, and no more than a few accounts have one.
func TestReaders(t *testing.T) {
	const series, accounts, each = 4, 6, 4 * seriesFrom
	b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = 1 })
	js, err := jetstream.New(b.Connect(), jetstream.WithPublishAsyncMaxPending(accounts*each))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for range each {
		for i := range accounts { // in turn, so that it is known where they are
			if _, err := js.PublishAsync(fmt.Sprintf("tram.send.shop.a%d.bulk", i), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-js.PublishAsyncComplete()
	stream, err := js.Stream(ctx, broker.Requests)
	if err != nil {
		t.Fatal(err)
	}
	consumers := func() (names []string) {
		for name := range stream.ConsumerNames(ctx).Name() {
			names = append(names, name)
		}
		return names
	}

	r := newReaders(broker.NewReader(js))
	r.most = series
	read := make([]int, accounts)
	readAll := func(most int, deep bool) {
		t.Helper()
		for i := range accounts {
			seq := func(n int) uint64 { return uint64(n*accounts + i + 1) }
			var from uint64 // right behind the last one, as a lane asks
			if read[i] > 0 {
				from = seq(read[i]-1) + 1
			}
			filter := broker.LaneFilter(0, "shop", fmt.Sprintf("a%d", i), events.Bulk)
			got := r.fetch(wanted{ctx: ctx, filter: filter, plan: func() (uint64, int, bool) { return from, most, deep }})
			if got.err != nil || len(got.msgs) != most {
				t.Fatalf("account %d: %d of %d requests, %v", i, len(got.msgs), most, got.err)
			}
			for n, m := range got.msgs {
				if m.Seq != seq(read[i]+n) {
					t.Fatalf("account %d: request %d is at %d, want %d", i, read[i]+n, m.Seq, seq(read[i]+n))
				}
			}
			read[i] += most
		}
	}
	readAll(seriesFrom, false) // maybe all there is
	readAll(seriesFrom/2, true)
	if names := consumers(); len(names) != 0 {
		t.Errorf("consumers %v, want none yet", names)
	}
	readAll(seriesFrom, true)
	readAll(seriesFrom/2, true)
	if names := consumers(); len(names) != series {
		t.Errorf("%d consumers, want %d", len(names), series)
	}
	for _, name := range consumers() {
		if err := stream.DeleteConsumer(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	readAll(seriesFrom, true)
	r.close()
}
