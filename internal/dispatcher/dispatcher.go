// Package dispatcher works requests: it owns partitions of the accounts, reads
// their requests, calls the providers within their limits, and stores what
// became of each call before the request counts as done.
package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// Config is what a dispatcher works with. Zero durations and numbers are
// replaced by their defaults.
type Config struct {
	JS        jetstream.JetStream
	Client    *channels.Client
	Providers []channels.Provider
	Accounts  []*Account
	Groups    []Group
	Log       *slog.Logger
	Observer  Observer          // defaults to nobody
	Version   string            // of the program, for others to see
	Tracer    *telemetry.Tracer // nil: no spans
	LogCalls  CallLog           // defaults to LogFailed

	Partitions  int           // as the streams were set up; default 64
	Lease       time.Duration // after which a dead dispatcher's partitions are taken over; default 3s
	CallTimeout time.Duration // of one provider call, all in all; default 10s
	Grace       time.Duration // for calls under way when stopping; default CallTimeout + 5s
	MaxAge      time.Duration // a request not called by then ends as expired: the stream's max age less a margin; default 71h
	MaxInFlight int           // calls under way over all accounts; default 1024
	DedupWindow time.Duration // in which RESULTS remembers ids; default 10m
	Retry       RetryPolicy
}

func (c Config) withDefaults() Config {
	c.Partitions = cmp.Or(c.Partitions, 64)
	c.Lease = cmp.Or(c.Lease, 3*time.Second)
	c.CallTimeout = cmp.Or(c.CallTimeout, 10*time.Second)
	c.Grace = cmp.Or(c.Grace, c.CallTimeout+5*time.Second)
	c.MaxAge = cmp.Or(c.MaxAge, 71*time.Hour)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 1024)
	c.DedupWindow = cmp.Or(c.DedupWindow, 10*time.Minute)
	c.Retry = c.Retry.withDefaults()
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	return c
}

// A Dispatcher owns partitions and works them. It implements [Partitions].
type Dispatcher struct {
	cfg       Config
	log       *slog.Logger
	client    *channels.Client
	reader    *broker.Reader
	pub       *broker.Publisher // while it runs
	results   *resultStore
	intending *broker.Outage
	crew      *crew
	readers   *readers
	intake    *intake
	accounts  atomic.Pointer[map[laneKey]*known]
	limits    atomic.Pointer[map[string]ratelimit.Limits] // of the groups, by name
	groups    groupClient
	controls  controls
	telling   *broker.Outage // of the states of accounts
	owner     *Owner
	schedules *schedules

	// storing outlives the calls: an answer that came is stored.
	storing     context.Context
	stopStoring context.CancelFunc

	// outdated ends, and the dispatcher with it, when it meets what a newer
	// version has written: what it cannot read it must not work on.
	outdated context.Context
	giveUp   context.CancelCauseFunc

	gone map[laneKey]bool // accounts whose contracts have yet to be deleted; of Update alone

	began      time.Time
	lastResult atomic.Uint64 // the newest position in RESULTS that we know of

	mu     sync.Mutex
	opened map[int]*partition
	ended  map[int]chan struct{} // of a partition that was dropped: closed when nothing of it runs
	ending sync.WaitGroup
}

// New checks cfg and returns a dispatcher that is ready to run.
func New(cfg Config) (*Dispatcher, error) {
	cfg = cfg.withDefaults()
	d := &Dispatcher{
		cfg: cfg, log: cfg.Log, client: cfg.Client.WithTimeout(cfg.CallTimeout), reader: broker.NewReader(cfg.JS),
		opened: make(map[int]*partition), ended: make(map[int]chan struct{}),
		controls: controls{all: make(map[laneKey]*control)}, began: time.Now(), gone: make(map[laneKey]bool),
	}
	accounts, err := d.check(cfg.Accounts)
	if err != nil {
		return nil, err
	}
	d.accounts.Store(&accounts)
	groups, err := checkGroups(cfg.Groups)
	if err != nil {
		return nil, err
	}
	d.limits.Store(&groups)
	d.groups = groupClient{nc: cfg.JS.Conn(), clocks: make(map[string]keeperClock)}
	d.telling = broker.NewOutage(cfg.Log, "states of accounts cannot be told")
	d.intending = broker.NewOutage(cfg.Log, "intents cannot be stored")
	d.storing, d.stopStoring = context.WithCancel(context.Background())
	d.outdated, d.giveUp = context.WithCancelCause(context.Background())
	d.crew = newCrew(cfg.MaxInFlight, d.storing.Done())
	d.results = newResultStore(&d.cfg, d.reader, d.crew)
	d.readers = newReaders(d.reader)
	d.schedules = newSchedules(d)
	d.intake = newIntake(d)
	d.owner = NewOwner(OwnerConfig{JS: cfg.JS, Partitions: cfg.Partitions, Lease: cfg.Lease, Log: cfg.Log}, d)
	return d, nil
}

// Run works until ctx is done. It then takes no more requests, lets calls under
// way finish within the grace, hands its partitions over and returns nil. It does
// the same, and returns a [*ledger.NewerError], when a newer version has worked on
// a partition in a way that it does not understand.
func (d *Dispatcher) Run(ctx context.Context) error {
	defer d.stopStoring()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(d.outdated, stop)()
	if err := d.publishContracts(ctx); ctx.Err() != nil {
		return nil // told to stop before it had begun
	} else if err != nil {
		return err
	}
	var err error
	if d.pub, err = broker.NewPublisher(d.cfg.JS.Conn(), broker.AckWait); err != nil {
		return fmt.Errorf("start dispatcher: %w", err)
	}
	defer d.pub.Close()
	d.results.pub = d.pub
	// Storing goes on after the last call, but a broker that is away must not
	// keep the process from ending.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(d.cfg.Grace+storeGrace, d.stopStoring) })()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer d.readers.close()
	d.intake.run()
	defer d.intake.close()
	watching.Go(func() { d.watchControls(ctx) })
	watching.Go(func() { d.answerStatus(ctx) })
	watching.Go(func() { d.schedules.run(ctx) })
	err = d.owner.Run(ctx)
	d.ending.Wait()
	return errors.Join(err, context.Cause(d.outdated))
}

// storeGrace is how much longer than the calls under way the results that are
// not stored yet may take when the dispatcher stops.
const storeGrace = 2 * time.Second

// Open implements [Partitions].
func (d *Dispatcher) Open(ctx context.Context, n int, epoch uint64) error {
	if err := d.awaitEnd(ctx, n); err != nil {
		return fmt.Errorf("open partition %d: %w", n, err)
	}
	if err := d.readControls(ctx); err != nil {
		return fmt.Errorf("open partition %d: %w", n, err)
	}
	p := newPartition(d, n, epoch)
	if err := p.open(ctx); err != nil {
		d.intake.leave(p)
		p.drop()
		if _, newer := errors.AsType[*ledger.NewerError](err); newer {
			d.giveUp(fmt.Errorf("take over partition %d: %w", n, err))
		}
		return fmt.Errorf("open partition %d: %w", n, err)
	}
	d.mu.Lock()
	d.opened[n] = p
	d.mu.Unlock()
	if err := p.keeper.keep(*d.limits.Load()); err != nil {
		d.remove(n)
		p.drop()
		return fmt.Errorf("open partition %d: keep groups: %w", n, err)
	}
	for _, l := range p.all() { // an update may have come before it could be told
		l.configure(d.known(l.key))
		l.heed(d.controls.of(l.key))
	}
	d.showPaused(p)
	d.schedules.kick()
	d.cfg.Observer.TookOver()
	d.log.Debug("partition opened", "partition", n, "epoch", epoch)
	return nil
}

// Close implements [Partitions].
func (d *Dispatcher) Close(ctx context.Context, n int) error {
	p := d.remove(n)
	if p == nil {
		return nil
	}
	defer context.AfterFunc(ctx, p.drop)()
	return p.close(ctx, d.cfg.Grace)
}

// Drop implements [Partitions].
func (d *Dispatcher) Drop(n int) {
	p := d.remove(n)
	if p == nil {
		return
	}
	p.drop()
	done := make(chan struct{})
	d.mu.Lock()
	d.ended[n] = done
	d.mu.Unlock()
	d.ending.Go(func() {
		p.wait()
		close(done)
	})
}

// awaitEnd waits for what is left of partition n from before it was dropped, but
// no longer than its calls may take. When the broker has been away, the answers
// that came meanwhile are stored now; without them they would be in doubt.
func (d *Dispatcher) awaitEnd(ctx context.Context, n int) error {
	d.mu.Lock()
	done := d.ended[n]
	delete(d.ended, n)
	d.mu.Unlock()
	if done == nil {
		return nil
	}
	late := time.NewTimer(d.cfg.CallTimeout + d.results.maxWait)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (d *Dispatcher) remove(n int) *partition {
	d.mu.Lock()
	p := d.opened[n]
	delete(d.opened, n)
	d.mu.Unlock()
	if p != nil {
		d.intake.leave(p)
	}
	return p
}

// sawResult notes how far RESULTS has come.
func (d *Dispatcher) sawResult(seq uint64) {
	for {
		old := d.lastResult.Load()
		if seq <= old || d.lastResult.CompareAndSwap(old, seq) {
			return
		}
	}
}
