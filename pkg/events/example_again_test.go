package events_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// Read again what was published since a time, or from a sequence on. A
// subscription without a name reads for this call alone.
func ExampleSubscribe_again() {
	b, clean := exampleBroker() // yours: jetstream.New(nc)
	defer clean()
	js := b.js
	publishStat(b) // what the relay did

	ctx, stop := context.WithCancel(context.Background())
	rows := map[string]string{}
	store := func(e *events.Event) error {
		rows[e.Stat.Key] = *e.Stat.Value
		stop() // a service goes on until it has what it wants
		return nil
	}
	err := events.Subscribe(ctx, js, events.SubscribeConfig{
		Kinds:    []events.Kind{events.KindStat, events.KindRecord},
		FromTime: time.Now().Add(-7 * 24 * time.Hour), // or FromSeq: 120_000
	}, func(ctx context.Context, e *events.Event) error {
		return store(e) // upserts by e.Stat.Key or e.Record.Key
	})
	fmt.Println(rows, err)

	// Output:
	// map[4c1f0b9f3a2e4d5c6b7a8990a1b2c3d4:5] <nil>
}

// publishStat stands in for the relay.
func publishStat(b *broker) {
	m, err := events.EncodeStat(events.Meta{ID: events.DeterministicID("stat", "1"), Source: events.Source}, &events.Stat{
		About: events.About{Provider: "momo", Account: "main", RequestID: "nightly", RequestSource: "/acme/bi"},
		Key:   "4c1f0b9f3a2e4d5c6b7a8990a1b2c3d4", Report: "momo.messages_report", Metric: "READ", Value: new("5"),
		Unit: events.UnitCount, Agg: events.AggCumulative, Path: "/json/data/0/reports/READ", Page: 1, FetchedMS: time.Now().UnixMilli(),
	})
	if err == nil {
		_, err = b.js.PublishMsg(context.Background(), m)
	}
	if err != nil {
		panic(err)
	}
}
