// Package collector turns the stored results of calls into the events that
// other services read. What a result means is decided by [Events], a pure
// function, so that a second run over RESULTS gives the same events with the
// same ids, and calls no provider.
package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Durable is the consumer that all collectors share.
const Durable = "collector"

// Kinds are the kinds of events that results are made into.
var Kinds = []events.Kind{events.KindDelivery, events.KindStat, events.KindRecord, events.KindOutcome}

// Config is what a [Collector] needs. Zero fields that name a default get it.
type Config struct {
	JS        jetstream.JetStream
	Providers []channels.Provider
	Accounts  []*channels.Account
	Log       *slog.Logger
	Observer  Observer          // defaults to nobody
	Tracer    *telemetry.Tracer // nil: no spans

	// Workers is how many results are read at once. The results of one account
	// are read in order, by one worker. Defaults to GOMAXPROCS.
	Workers int

	// Window is how many events of one worker may wait for the broker's
	// acknowledgement. Defaults to 256.
	Window int

	// Grace is how long Run may take to finish what it has begun once it is
	// told to stop. What is left then comes again. Defaults to 10 seconds.
	Grace time.Duration
}

// A Collector reads RESULTS and publishes to EVENTS and DEAD. Any number may
// run at the same time.
type Collector struct {
	Config
	providers map[string]channels.Provider
	accounts  atomic.Pointer[map[accountKey]*channels.Account]
	seed      maphash.Seed
	storing   *broker.Outage // of EVENTS and DEAD
	health    health
}

type accountKey struct{ provider, account string }

// New returns a collector. It fails if two providers, or two accounts of one
// provider, have the same name.
func New(c Config) (*Collector, error) {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Workers = cmp.Or(c.Workers, runtime.GOMAXPROCS(0))
	c.Window = cmp.Or(c.Window, 256)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	col := &Collector{
		Config:    c,
		providers: make(map[string]channels.Provider, len(c.Providers)),
		seed:      maphash.MakeSeed(),
		storing:   broker.NewOutage(c.Log, "events cannot be stored"),
	}
	for _, p := range c.Providers {
		if col.providers[p.Name()] != nil {
			return nil, fmt.Errorf("provider %s is given twice", p.Name())
		}
		col.providers[p.Name()] = p
	}
	if err := col.Update(c.Accounts); err != nil {
		return nil, err
	}
	return col, nil
}

// Update changes the accounts while the collector runs. It changes nothing if
// two of one provider have the same name.
func (c *Collector) Update(all []*channels.Account) error {
	accounts := make(map[accountKey]*channels.Account, len(all))
	for _, a := range all {
		key := accountKey{a.Provider, a.Name}
		if accounts[key] != nil {
			return fmt.Errorf("account %s of %s is given twice", a.Name, a.Provider)
		}
		accounts[key] = a
	}
	c.accounts.Store(&accounts)
	return nil
}

// Run collects until ctx is done, finishes what it has begun, and returns nil.
// While the broker is away it waits. It fails if there is no RESULTS stream at
// the start, and when the connection is closed for good.
func (c *Collector) Run(ctx context.Context) error {
	// What has been taken is finished after ctx is done, but not for ever.
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	defer context.AfterFunc(ctx, func() {
		grace := time.NewTimer(c.Grace)
		defer grace.Stop()
		select {
		case <-grace.C:
			abandon()
		case <-work.Done():
		}
	})()

	// Each lane has its window under way, and one event on either side of it.
	pub, err := broker.NewPublisher(c.JS.Conn(), publishTimeout)
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	defer pub.Close()

	var wg sync.WaitGroup
	lanes := make([]*lane, c.Workers)
	for i := range lanes {
		lanes[i] = newLane(work, c, pub)
		wg.Go(lanes[i].publish)
		wg.Go(lanes[i].settle)
	}
	c.health.watch(lanes)
	err = c.consume(ctx, work, func(m jetstream.Msg) {
		lanes[maphash.String(c.seed, m.Subject())%uint64(len(lanes))].take(m)
	})
	if work.Err() == nil { // else somebody may still be handing over
		for _, l := range lanes {
			close(l.in)
		}
	}
	wg.Wait()
	if c.JS.Conn().IsConnected() {
		// Acknowledgements still on their way would make results come again.
		_ = c.JS.Conn().FlushTimeout(time.Second)
	}
	return err
}

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
