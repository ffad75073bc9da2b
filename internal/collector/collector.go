// Package collector turns the stored results of calls into the events that
// other services read. What a result means is decided by [Events], a pure
// function, so that a second run over RESULTS gives the same events with the
// same ids, and calls no provider.
package collector

import (
	"cmp"
	"context"
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
