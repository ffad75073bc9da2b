package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmjs "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/jetstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sony/gobreaker"
)

// Watermill on the streams of the loop, with tram's HTTP client and codec. One
// of its subscriptions handles one message at a time, so there are as many as
// calls are to be in flight.

// ahead is how many messages a subscription fetches before it has handled them.
// With more, the first ones have all that there is.
const ahead = 8

// serveWatermill is the hidden command `bench watermill`.
func serveWatermill(args []string) error {
	var middlewares bool
	d := readDuty("watermill", args, func(f *flag.FlagSet) {
		f.BoolVar(&middlewares, "middlewares", false, "with throttle, deduplicator, retry and circuit breaker")
	})
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	if middlewares {
		router.AddMiddleware(
			middleware.NewThrottle(1_000_000, time.Second).Middleware,                                  // so high that it does not bind, as tram's
			(&middleware.Deduplicator{KeyFactory: middleware.NewMessageHasherSHA256(1024)}).Middleware, // its default takes different sends for the same one
			middleware.Retry{MaxRetries: 5, InitialInterval: time.Second}.Middleware,
			middleware.NewCircuitBreaker(gobreaker.Settings{}).Middleware,
		)
	}
	sub, err := wmjs.NewSubscriber(wmjs.SubscriberConfig{
		URL: d.broker, Logger: watermill.NopLogger{}, AckAsync: true,
		ResourceInitializer: d.consumer, ConsumeOptions: []jetstream.PullConsumeOpt{jetstream.PullMaxMessages(ahead)},
	})
	if err != nil {
		return err
	}
	pub, err := wmjs.NewPublisher(wmjs.PublisherConfig{
		URL: d.broker, Logger: watermill.NopLogger{},
		ConfigureStream: func(subject string) jetstream.StreamConfig { return jetstream.StreamConfig{Name: subject} }, // it takes the one for the other
	})
	if err != nil {
		return err
	}
	from, to, handle, handlers := loopSends, "bench.result.all", d.callProvider, d.inflight
	if d.role == "collector" {
		from, to, handle, handlers = loopResults, "bench.notice.all", d.makeNotice, 64
	}
	for i := range handlers {
		router.AddHandler(fmt.Sprint(d.role, i), from, sub, to, pub, func(m *message.Message) ([]*message.Message, error) {
			_, data, err := handle(m.Payload)
			ended(err)
			return []*message.Message{message.NewMessage(m.UUID, data)}, nil
		})
	}
	go func() { ended(router.Run(context.Background())) }()
	untilParentEnds()
	return nil
}

// consumer is the one that all subscriptions of a role share.
func (d *duty) consumer(ctx context.Context, js jetstream.JetStream, stream string) (jetstream.Consumer, func(context.Context, watermill.LoggerAdapter), error) {
	c, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: d.role, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 4 * ahead * max(64, d.inflight), MaxWaiting: 8 * max(64, d.inflight),
	})
	return c, nil, err
}
