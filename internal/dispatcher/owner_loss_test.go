package dispatcher

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

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
	brokertest.Eventually(t, "renewals go on", func() bool { return one.Deadline().After(before) })
	if n := f.sum(drops, one); n != 0 {
		t.Errorf("%d partitions dropped by a quick restart", n)
	}
	f.b.Stop()
	brokertest.Eventually(t, "all are dropped", func() bool { return f.sum(drops, one) == 64 })
	if n := f.sum(late, one); n != 0 {
		t.Errorf("%d partitions dropped after the lease", n)
	}
	f.b.Restart()
	f.settle(ownerPatience, []int{64}, one)
}

// A server that is cut off from its cluster answers pings but renews no lease.
func TestOwner_MovesOnToAServerThatServes(t *testing.T) {
	f := newFleet(t)
	u := f.join(time.Second, f.b.ConnectCutOff())
	f.settle(ownerPatience, []int{ownedPartitions}, u)
}
