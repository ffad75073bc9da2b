package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
)

const (
	// A pull is asked for again this often, and missed after two heartbeats, so
	// that a pull request lost with its server costs seconds, not the half
	// minute that the client library waits by default.
	pullExpiry    = 5 * time.Second
	pullHeartbeat = time.Second

	pullMessages = 500
	pullBytes    = 16 << 20 // of one pull: the client drops what is over 64 MiB

	ackWait       = 10 * time.Second // after which the results of a collector that died come again
	maxAckPending = 5000

	apiTimeout = 3 * time.Second
	retryWait  = time.Second
)

// consume hands results to take until ctx is done and those on the way have
// come, or until work is done.
func (c *Collector) consume(ctx, work context.Context, take jetstream.MessageHandler) error {
	cons, err := c.consumer(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("collect: %w: create the streams with `tram setup`", err)
	}
	for {
		if err == nil {
			if err = c.follow(ctx, work, cons, take); err == nil {
				return nil
			}
		}
		if c.JS.Conn().IsClosed() {
			return fmt.Errorf("collect: %w", err)
		}
		c.health.deaf(err)
		if errors.Is(err, errHeldBack) {
			c.awaitStoring(ctx)
		} else {
			c.Log.Warn("results cannot be read, trying again", "error", err)
		}
		if !sleep(ctx, retryWait) {
			return nil
		}
		cons, err = c.consumer(ctx)
	}
}

var errEnded = errors.New("the subscription has ended")

// errHeldBack says that the lanes were full because events could not be stored.
// The client library takes that for silence of the broker, and would ask for
// more and more results to keep.
var errHeldBack = errors.New("events cannot be stored")

// follow reads from cons. It returns nil when ctx is done and what was on the
// way has come, or work is done.
func (c *Collector) follow(ctx, work context.Context, cons jetstream.Consumer, take jetstream.MessageHandler) error {
	trouble := make(chan error, 1)
	sub, err := cons.Consume(take,
		jetstream.PullMaxMessagesWithBytesLimit(pullMessages, max(pullBytes, 2*int(c.JS.Conn().MaxPayload()))),
		jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case trouble <- err:
			default:
			}
		}))
	if err != nil {
		return err
	}
	ended := sub.Closed()
	c.health.hears()
	for {
		select {
		case <-ctx.Done():
			sub.Drain()
			select {
			case <-ended:
			case <-work.Done():
			}
			return nil
		case <-ended:
			return errEnded
		case err := <-trouble:
			if c.storing.Lasts() && errors.Is(err, jetstream.ErrNoHeartbeat) {
				c.health.deaf(errHeldBack)
				sub.Drain()
				select {
				case <-ended:
				case <-work.Done():
				}
				return errHeldBack
			}
			c.health.troubled(err)
			c.Log.Warn("results do not come", "error", err)
			if errors.Is(err, jetstream.ErrConsumerDeleted) {
				continue // it has ended, and the server may not be done with deleting
			}
			// The library goes on by itself, but for ever asks a consumer that
			// is gone, so make sure that it is there.
			if _, err := c.consumer(ctx); err != nil && ctx.Err() == nil {
				c.Log.Warn("no consumer", "error", err)
			}
		}
	}
}

// consumer returns the shared consumer, created if it is not there, and as it
// should be. Where somebody had bounded its deliveries, the broker has given up
// results that collectors took and did not live to tell, and does not say which:
// all are read again then, and who has their events already knows the ids. A
// server that cannot do that is left for another.
func (c *Collector) consumer(ctx context.Context) (jetstream.Consumer, error) {
	try, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	bounded := false
	if found, err := c.JS.Consumer(try, broker.Results, Durable); err == nil {
		bounded = found.CachedInfo().Config.MaxDeliver > 0
	}
	cons, err := c.JS.CreateOrUpdateConsumer(try, broker.Results, jetstream.ConsumerConfig{
		Durable:       Durable,
		Description:   "tram: turns results into events",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxAckPending: maxAckPending,
		MaxDeliver:    -1,
	})
	if err == nil && bounded {
		c.Log.Error("deliveries of results had been bounded, telling all again", "consumer", Durable)
		_, err = c.JS.ResetConsumerToSequence(try, broker.Results, Durable, 1)
	}
	if err != nil && ctx.Err() == nil {
		broker.MoveOn(c.JS.Conn(), err)
	}
	return cons, err
}
