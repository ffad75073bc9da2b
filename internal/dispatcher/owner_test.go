package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

const ownedPartitions = 64

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

const ownerPatience = 15 * time.Second

func TestOwner_SpreadsAndHandsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	const lease = 3 * time.Second
	one := f.join(lease, nil)
	f.settle(ownerPatience, []int{64}, one)
	two := f.join(lease, nil)
	f.settle(ownerPatience, []int{32, 32}, one, two)
	three := f.join(lease, nil)
	f.settle(ownerPatience, []int{22, 21, 21}, one, two, three)
	if got := f.sum(opens, one, two, three); got > 64+32+22+5 {
		t.Errorf("%d opens for two joins: partitions move more than they need", got)
	}
	one.stop()
	f.settle(ownerPatience, []int{32, 32}, two, three)
	two.stop()
	f.settle(ownerPatience, []int{64}, three)
	three.stop()
	if _, free := f.counts(); free != 64 {
		t.Errorf("%d partitions free after all have stopped", free)
	}
	if n := f.sum(drops, one, two, three); n != 0 {
		t.Errorf("%d partitions dropped in a quiet fleet", n)
	}
	l, err := broker.NewLeases(f.b.JS, lease)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := l.View(t.Context()); err != nil || len(v.Members) != 0 {
		t.Errorf("members left: %v, %v", v.Members, err)
	}
}

// All that start at once share evenly, and those that stop at once too.
func TestOwner_StartTogether(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var all []*ownerUnderTest
	for range 5 {
		all = append(all, f.join(3*time.Second, nil))
	}
	f.settle(ownerPatience, []int{13, 13, 13, 13, 12}, all...)
	var stopping sync.WaitGroup
	for _, u := range all[:3] {
		stopping.Go(u.stop)
	}
	stopping.Wait()
	f.settle(ownerPatience, []int{32, 32}, all[3:]...)
}

// A member that died holding everything is replaced within the lease and one
// second.
func TestOwner_TakesOverFromTheDead(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	l, err := broker.NewLeases(f.b.JS, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := l.Join(t.Context(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	for n := range ownedPartitions {
		if f.epochs[n], err = dead.Claim(t.Context(), n, broker.Claim{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := dead.Keep(expired(t)); err != nil {
		t.Fatal(err)
	}
	died, safe := time.Now(), dead.Deadline()
	one := f.join(time.Second, nil, func(u *ownerUnderTest) {
		u.openHook = func(_ context.Context, n int) error {
			if time.Now().Before(safe) {
				t.Errorf("partition %d taken from a member whose lease lasts", n)
			}
			return nil
		}
	})
	f.settle(ownerPatience, []int{64}, one)
	if took := time.Since(died); took > 2*time.Second+500*time.Millisecond { // half a second for a busy machine
		t.Errorf("taken over after %s", took)
	}
}

// A server that was killed can come back with members that had expired, and
// never lets them expire again. They must not keep what they seem to hold, nor a
// share.
func TestOwner_EvictsWhoNeverExpires(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	leases, err := broker.NewLeases(f.b.JS, time.Minute) // far longer than the test
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		m, err := leases.Join(t.Context(), fmt.Sprint("dead", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Claim(t.Context(), i, broker.Claim{}); err != nil {
			t.Fatal(err)
		}
	}
	one, two := f.join(3*time.Second, nil), f.join(3*time.Second, nil)
	f.settle(ownerPatience, []int{32, 32}, one, two)
	if n := f.sum(drops, one, two); n != 0 {
		t.Errorf("%d partitions dropped: the living evict each other", n)
	}
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A member that is cut off drops all before the others can take over, and is
// one of them again when the network is back.
func TestOwner_CutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	cable := newProxy(t, strings.TrimPrefix(f.b.URL, "nats://"))
	nc, err := broker.Connect(t.Context(), broker.Config{URLs: []string{"nats://" + cable.addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	one := f.join(time.Second, nc)
	two := f.join(time.Second, nil)
	f.settle(ownerPatience, []int{32, 32}, one, two)

	cable.cut()
	cut := time.Now()
	f.settle(ownerPatience, []int{64}, two)
	if took := time.Since(cut); took > 2*time.Second+500*time.Millisecond {
		t.Errorf("taken over after %s", took)
	}
	if n := f.sum(drops, one); n < 32 {
		t.Errorf("%d partitions dropped, want all", n)
	}
	if n := f.sum(late, one); n != 0 {
		t.Errorf("%d partitions dropped after the lease", n)
	}
	if !time.Now().After(one.Deadline()) {
		t.Error("the cut-off member takes its lease for valid")
	}
	cable.mend()
	f.settle(ownerPatience, []int{32, 32}, one, two)
}

// A server that is back within the lease is not noticed; one that stays away
// costs all partitions, and they come back with it.
func TestOwner_ServerRestarts(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	one := f.join(3*time.Second, nil)
	f.settle(ownerPatience, []int{64}, one)
	f.b.Stop()
	f.b.Restart()
	before := one.Deadline()
	waitFor(t, "renewals go on", func() bool { return one.Deadline().After(before) })
	if n := f.sum(drops, one); n != 0 {
		t.Errorf("%d partitions dropped by a quick restart", n)
	}
	f.b.Stop()
	waitFor(t, "all are dropped", func() bool { return f.sum(drops, one) == 64 })
	if n := f.sum(late, one); n != 0 {
		t.Errorf("%d partitions dropped after the lease", n)
	}
	f.b.Restart()
	f.settle(ownerPatience, []int{64}, one)
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(ownerPatience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}

// A slow Open or Close holds up neither the renewals nor other partitions, and
// a partition that fails is tried again.
// What hangs while it is opened is given up and tried again, and holds up nobody.
func TestOwner_OpenHangs(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var mu sync.Mutex
	tries := 0
	one := f.join(time.Second, nil, func(u *ownerUnderTest) {
		u.cfg.Patience = 200 * time.Millisecond
		u.openHook = func(ctx context.Context, n int) error {
			mu.Lock()
			if n == 1 {
				tries++
			}
			hangs := n == 1 && tries == 1
			mu.Unlock()
			if !hangs {
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}
	})
	f.settle(ownerPatience, []int{ownedPartitions}, one)
	mu.Lock()
	defer mu.Unlock()
	if tries < 2 {
		t.Error("what hung is open without a second try")
	}
}

func TestOwner_SlowAndFailing(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	release := make(chan struct{})
	var mu sync.Mutex
	tries := make(map[int]int)
	const lease = 3 * time.Second // that no busy machine loses
	one := f.join(lease, nil, func(u *ownerUnderTest) {
		u.openHook = func(_ context.Context, n int) error {
			switch n {
			case 1, 2, 3:
				<-release
			case 4:
				mu.Lock()
				defer mu.Unlock()
				if tries[n]++; tries[n] <= 2 {
					return fmt.Errorf("try %d", tries[n])
				}
			}
			return nil
		}
		u.closeHook = func(context.Context) { <-release }
	})
	began := time.Now()
	waitFor(t, "61 open", func() bool { counts, _ := f.counts(one); return counts[0] == 61 })
	mu.Lock()
	if tries[4] != 3 {
		t.Errorf("opened in %d tries, want 3", tries[4])
	}
	mu.Unlock()

	f.mu.Lock()
	epoch := f.epochs[9]
	f.mu.Unlock()
	one.GiveUp(9, epoch-1) // said about an earlier time: changes nothing
	one.GiveUp(9, epoch)
	one.GiveUp(9, epoch)
	waitFor(t, "the one given up is open again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.epochs[9] > epoch && f.holder[9] == one
	})
	if n := f.sum(drops, one); n != 1 {
		t.Errorf("%d partitions dropped, want the one given up", n)
	}

	two := f.join(lease, nil) // has to wait for one's Close
	waitFor(t, "more than a lease", func() bool { return time.Since(began) > lease+lease/2 })
	if got, _ := f.counts(two); got[0] != 0 {
		t.Errorf("%d partitions handed over before they were closed", got[0])
	}
	close(release)
	f.settle(ownerPatience, []int{32, 32}, one, two)
	if n := f.sum(drops, one, two); n != 1 {
		t.Errorf("%d partitions dropped, want the one given up", n)
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		counts map[string]int
		want   map[string]int
	}{
		{map[string]int{"a": 0}, map[string]int{"a": 64}},
		{map[string]int{"a": 64, "b": 0}, map[string]int{"a": 32, "b": 32}},
		{map[string]int{"a": 32, "b": 32, "c": 0}, map[string]int{"a": 22, "b": 21, "c": 21}},
		{map[string]int{"a": 21, "b": 21, "c": 22}, map[string]int{"a": 21, "b": 21, "c": 22}}, // stays
	} {
		for id, want := range c.want {
			if got := share(c.counts, id, 64); got != want {
				t.Errorf("%v: %s gets %d, want %d", c.counts, id, got, want)
			}
		}
	}
}

// A proxy is a network cable that can be cut.
type proxy struct {
	t      *testing.T
	addr   string
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	whole bool
	conns []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, addr: l.Addr().String(), target: target, l: l, whole: true}
	p.wg.Go(p.accept)
	t.Cleanup(func() { l.Close(); p.cut(); p.wg.Wait() })
	return p
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		out, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || !p.whole {
			p.mu.Unlock()
			in.Close()
			if err == nil {
				out.Close()
			}
			continue
		}
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.wg.Go(func() { io.Copy(in, out); in.Close() })
		p.wg.Go(func() { io.Copy(out, in); out.Close() })
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = false
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = true
}

// A server that is cut off from its cluster answers pings but renews no lease.
func TestOwner_MovesOnToAServerThatServes(t *testing.T) {
	f := newFleet(t)
	u := f.join(time.Second, f.b.ConnectCutOff())
	f.settle(15*time.Second, []int{ownedPartitions}, u)
}
