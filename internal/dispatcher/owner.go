package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/failpoint"
)

// Partitions is what ownership drives. Calls for different partitions come
// concurrently, those for one partition one after the other.
type Partitions interface {
	// Open takes over partition n and begins its work. It may take a while. The
	// epoch is greater than that of any owner before. When ctx ends the
	// partition is no longer wanted, or no longer ours: Open then should return
	// soon, and what it has begun is ended by Close or Drop if it returns nil,
	// by Open itself if not.
	Open(ctx context.Context, n int, epoch uint64) error

	// Close stops taking requests, finishes calls and writes the checkpoint. It
	// returns when nothing of n runs; the partition is released then, whatever
	// the error. When ctx ends the lease is lost, and Close does as Drop.
	Close(ctx context.Context, n int) error

	// Drop says that n is not ours any more: nothing may be begun or written.
	// It does not wait for calls under way.
	Drop(n int)
}

// OwnerConfig configures an [Owner].
type OwnerConfig struct {
	JS         jetstream.JetStream // required
	Partitions int                 // how many there are; defaults to 64
	Lease      time.Duration       // whole seconds, see [broker.Leases]; defaults to 3 seconds
	Opens      int                 // how many partitions are opened at once; defaults to 8
	Patience   time.Duration       // for one to open; defaults to a minute
	Log        *slog.Logger        // defaults to nothing
}

// An Owner joins the dispatchers that share the partitions, and opens and
// closes its even share of them as others come and go.
type Owner struct {
	cfg     OwnerConfig
	parts   Partitions
	log     *slog.Logger
	joining *broker.Outage
	id      string
	joins   int           // memberships so far
	slots   chan struct{} // bounds Opens
	wake    chan struct{} // something changed: balance
	work    sync.WaitGroup

	mu     sync.Mutex
	member *broker.Member
	held   map[int]*holding
	failed map[int]failure
}

// NewOwner returns an owner of parts that is ready to run.
func NewOwner(cfg OwnerConfig, parts Partitions) *Owner {
	cfg.Partitions = cmp.Or(cfg.Partitions, broker.DefaultPartitions)
	cfg.Lease = cmp.Or(cfg.Lease, 3*time.Second)
	cfg.Opens = cmp.Or(cfg.Opens, 8)
	cfg.Patience = cmp.Or(cfg.Patience, time.Minute)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	return &Owner{
		cfg: cfg, parts: parts, log: cfg.Log, joining: broker.NewOutage(cfg.Log, "the dispatchers cannot be joined"), id: nuid.Next(),
		slots: make(chan struct{}, cfg.Opens), wake: make(chan struct{}, 1),
		held: make(map[int]*holding), failed: make(map[int]failure),
	}
}

// ID names this owner among all that ever were: a process that is started again
// is another one and has no lease of its own to wait for.
func (o *Owner) ID() string { return o.id }

// Member returns under which id this owner has joined last; "" before it has.
func (o *Owner) Member() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.member == nil {
		return ""
	}
	return o.member.ID()
}

// Deadline returns until when the lease is certain. Nothing that only the owner
// of a partition may do may begin after it; it is zero before the owner joined.
func (o *Owner) Deadline() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.member == nil {
		return time.Time{}
	}
	return o.member.Deadline()
}

// Run owns partitions until ctx is done. It then closes all, releases them and
// returns nil. When the lease is lost it drops all and joins again as soon as
// the broker can be reached, by whichever of its servers. The error says that the configuration cannot work.
func (o *Owner) Run(ctx context.Context) error {
	leases, err := broker.NewLeases(o.cfg.JS, o.cfg.Lease)
	if err != nil {
		return fmt.Errorf("own partitions: %w", err)
	}
	defer o.work.Wait()
	served := time.Now()
	for pause := o.cfg.Lease / 10; ; {
		o.joins++
		m, err := o.join(ctx, leases)
		if err == nil {
			o.joining.Worked()
			o.serve(ctx, leases, m)
			pause, served = o.cfg.Lease/10, time.Now()
		} else if ctx.Err() == nil {
			o.joining.Failed(err)
			if time.Since(served) > 2*o.cfg.Lease { // results under way need not suffer from a short election
				broker.MoveOn(o.cfg.JS.Conn(), err)
				served = time.Now()
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, o.cfg.Lease)
	}
}

func (o *Owner) join(ctx context.Context, leases *broker.Leases) (*broker.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Lease)
	defer cancel()
	return leases.Join(ctx, o.id+"-"+strconv.Itoa(o.joins))
}

// serve is one membership, from after joining until the lease is lost or, ctx
// being done, all is released.
func (o *Owner) serve(ctx context.Context, leases *broker.Leases, m *broker.Member) {
	o.mu.Lock()
	o.member = m
	o.mu.Unlock()
	o.log.Info("joined", "member", m.ID())

	lease, lose := context.WithCancelCause(context.Background())
	renewing, stop := context.WithCancel(context.Background())
	var helpers sync.WaitGroup
	helpers.Go(func() {
		if err := m.Keep(renewing); err != nil {
			failpoint.Hit(failpoint.LeaseLost)
			lose(err)
			o.dropAll(m)
		}
	})
	helpers.Go(func() { leases.Watch(renewing, o.rouse) })
	defer func() {
		stop()
		helpers.Wait()
		lose(nil)
		// Also after a loss: a renewal that reached the broker late may have
		// kept the member alive there.
		ctx, cancel := context.WithTimeout(context.Background(), o.cfg.Lease/3)
		defer cancel()
		if err := m.Leave(ctx); err != nil {
			o.log.Warn("lease left to expire", "member", m.ID(), "error", err)
		}
	}()

	b := balancer{Owner: o, leases: leases, member: m, lease: lease, gone: make(map[string]bool), seen: make(map[string]sighting)}
	tick := time.NewTicker(o.cfg.Lease / 3)
	defer tick.Stop()
	for {
		if err := b.balance(ctx); err != nil && ctx.Err() == nil && lease.Err() == nil {
			o.log.Warn("partitions not balanced, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			o.closeAll()
			o.work.Wait()
			return
		case <-lease.Done():
			o.log.Warn("lease lost, partitions dropped", "member", m.ID())
			return
		case <-tick.C:
		case <-o.wake:
		}
	}
}

// rouse makes the owner look at the partitions now.
func (o *Owner) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
