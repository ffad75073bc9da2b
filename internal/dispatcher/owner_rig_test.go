package dispatcher

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

const (
	ownedPartitions = 64
	ownerPatience   = 15 * time.Second
)

// A fleet is the owners of one broker, and watches that no partition ever has
// two.
type fleet struct {
	t *testing.T
	b *brokertest.Broker

	mu     sync.Mutex
	holder map[int]*ownerUnderTest
	epochs map[int]uint64
}

// An ownerUnderTest is an Owner whose partitions are only noted.
type ownerUnderTest struct {
	*Owner
	f    *fleet
	stop func()

	// Guarded by f.mu.
	opens, drops int
	late         int                              // drops after the lease can have ended
	openHook     func(context.Context, int) error // in place of an Open that works at once
	closeHook    func(context.Context)            // what Close waits for
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, b: brokertest.Start(t), holder: make(map[int]*ownerUnderTest), epochs: make(map[int]uint64)}
}

// join runs another owner, over connection nc if it is not nil.
func (f *fleet) join(lease time.Duration, nc *nats.Conn, adjust ...func(*ownerUnderTest)) *ownerUnderTest {
	f.t.Helper()
	if nc == nil {
		nc = f.b.Connect()
	}
	u := &ownerUnderTest{f: f}
	u.Owner = NewOwner(OwnerConfig{
		JS: f.b.JetStream(nc), Partitions: ownedPartitions, Lease: lease,
		Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)),
	}, u)
	for _, a := range adjust {
		a(u)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	u.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				f.t.Errorf("owner ended by %v", err)
			}
		case <-time.After(20 * time.Second):
			f.t.Error("owner does not end")
		}
	})
	f.t.Cleanup(u.stop)
	return u
}

func (u *ownerUnderTest) Open(ctx context.Context, n int, epoch uint64) error {
	if u.openHook != nil {
		if err := u.openHook(ctx, n); err != nil {
			return err
		}
	}
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	if other := u.f.holder[n]; other != nil {
		u.f.t.Errorf("partition %d opened by %s while %s has it", n, u.ID(), other.ID())
	}
	if epoch <= u.f.epochs[n] {
		u.f.t.Errorf("partition %d opened with epoch %d after %d", n, epoch, u.f.epochs[n])
	}
	u.f.holder[n], u.f.epochs[n] = u, epoch
	u.opens++
	return nil
}

func (u *ownerUnderTest) Close(ctx context.Context, n int) error {
	if u.closeHook != nil {
		u.closeHook(ctx)
	}
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	u.vacate(n, "closed")
	return nil
}

func (u *ownerUnderTest) Drop(n int) {
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	u.vacate(n, "dropped")
	u.drops++
	if ends := u.Deadline().Add(u.cfg.Lease / 5); time.Now().After(ends) {
		u.late++
	}
}

func (u *ownerUnderTest) vacate(n int, how string) {
	if u.f.holder[n] != u {
		u.f.t.Errorf("partition %d %s by %s, which does not have it", n, how, u.ID())
		return
	}
	delete(u.f.holder, n)
}

// counts returns how many partitions each of the owners has, most first, and
// how many nobody has.
func (f *fleet) counts(owners ...*ownerUnderTest) (counts []int, free int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts = make([]int, len(owners))
	for _, u := range f.holder {
		if i := slices.Index(owners, u); i >= 0 {
			counts[i]++
		}
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	return counts, ownedPartitions - len(f.holder)
}

// settle waits until the owners have so many partitions, most first.
func (f *fleet) settle(within time.Duration, want []int, owners ...*ownerUnderTest) {
	f.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		got, free := f.counts(owners...)
		if slices.Equal(got, want) && free == 0 {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("after %s: %v held, %d free, want %v", within, got, free, want)
		}
	}
}

func (f *fleet) sum(of func(*ownerUnderTest) int, owners ...*ownerUnderTest) (total int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range owners {
		total += of(u)
	}
	return total
}

func drops(u *ownerUnderTest) int { return u.drops }
func opens(u *ownerUnderTest) int { return u.opens }
func late(u *ownerUnderTest) int  { return u.late }

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
