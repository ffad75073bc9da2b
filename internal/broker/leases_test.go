package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

func leases(t *testing.T, b *brokertest.Broker, lease time.Duration) *broker.Leases {
	t.Helper()
	l, err := broker.NewLeases(b.JS, lease)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func join(t *testing.T, l *broker.Leases, id string) *broker.Member {
	t.Helper()
	m, err := l.Join(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func view(t *testing.T, l *broker.Leases) broker.View {
	t.Helper()
	v, err := l.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLeases_ClaimAndRelease(t *testing.T) {
	b := brokertest.Start(t)
	l := leases(t, b, time.Minute)
	one, two := join(t, l, "one"), join(t, l, "two")
	if _, err := l.Join(t.Context(), "one"); err == nil {
		t.Error("joined twice under one id")
	}
	first, err := one.Claim(t.Context(), 7, view(t, l).Claims[7])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Claim(t.Context(), 7, broker.Claim{}); !errors.Is(err, broker.ErrClaimed) {
		t.Errorf("claimed what is held: %v", err)
	}
	v := view(t, l)
	if want := (broker.Claim{Member: "one", Revision: first}); v.Claims[7] != want || !slices.Equal(v.Members, []string{"one", "two"}) {
		t.Errorf("view: %+v", v)
	}
	if err := one.Release(t.Context(), 7, first); err != nil {
		t.Fatal(err)
	}
	v = view(t, l)
	if v.Claims[7].Member != "" {
		t.Errorf("released, but %+v", v.Claims[7])
	}
	second, err := two.Claim(t.Context(), 7, v.Claims[7])
	if err != nil || second <= first {
		t.Errorf("epoch %d after %d: %v", second, first, err)
	}
	if err := one.Release(t.Context(), 7, first); !errors.Is(err, broker.ErrClaimed) {
		t.Errorf("released what another holds: %v", err)
	}
	if err := two.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gone, err := l.Gone(t.Context(), "two"); !gone || err != nil {
		t.Errorf("left, but gone is %v, %v", gone, err)
	}
	if v := view(t, l); !slices.Equal(v.Members, []string{"one"}) {
		t.Errorf("members: %v", v.Members)
	}
}

func TestLeases_WholeSeconds(t *testing.T) {
	b := brokertest.Start(t)
	for _, bad := range []time.Duration{0, 900 * time.Millisecond, 1500 * time.Millisecond} {
		if _, err := broker.NewLeases(b.JS, bad); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}

// A member that renews stays, far beyond one lease; one that does not is gone
// after it, not before its deadline, and cannot renew then.
func TestMember_KeepAndExpire(t *testing.T) {
	b := brokertest.Start(t)
	l := leases(t, b, time.Second)
	changed := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.Watch(ctx, func() { changed <- struct{}{} })
	}()
	defer func() { cancel(); <-watched }()

	kept, idle := join(t, l, "kept"), join(t, l, "idle")
	<-changed
	<-changed
	kctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- kept.Keep(kctx) }()

	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		t.Fatal("the end of the idle member was not told")
	}
	if time.Now().Before(idle.Deadline()) {
		t.Error("expired before its deadline")
	}
	if err := idle.Keep(t.Context()); !errors.Is(err, broker.ErrLeaseLost) {
		t.Errorf("renewed after the end: %v", err)
	}
	if left := time.Until(kept.Deadline()); left < 0 || left > time.Second {
		t.Errorf("the kept member's deadline is in %s", left)
	}
	if v := view(t, l); !slices.Equal(v.Members, []string{"kept"}) {
		t.Errorf("members: %v", v.Members)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("keep: %v", err)
	}
}

// A restart of the server within the lease costs nothing; a longer absence
// costs the lease, at the deadline.
func TestMember_ServerAway(t *testing.T) {
	b := brokertest.Start(t)
	l := leases(t, b, 3*time.Second)
	m := join(t, l, "one")
	done := make(chan error, 1)
	go func() { done <- m.Keep(t.Context()) }()
	before := m.Deadline()
	b.Stop()
	b.Restart()
	brokertest.Eventually(t, "a renewal after the restart", func() bool { return m.Deadline().After(before) })
	b.Stop()
	err := <-done
	if late := time.Since(m.Deadline()); !errors.Is(err, broker.ErrLeaseLost) || late < 0 || late > 200*time.Millisecond {
		t.Errorf("got %v, %s after the deadline", err, late)
	}
	b.Restart()
}
