package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

// run starts f and stops it with the test.
func run(t *testing.T, f *broker.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	over := errors.New("over")
	stop = func() {
		cancel(over)
		select {
		case err := <-done:
			if !errors.Is(err, over) && !errors.Is(err, context.Canceled) {
				t.Errorf("feed ended by %v", err)
			}
			done <- err
		case <-time.After(10 * time.Second):
			t.Error("feed does not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// feedAll returns the first n messages of a feed.
func feedAll(t *testing.T, b *brokertest.Broker, stream, filter string, n int) []*broker.Stored {
	t.Helper()
	got := make(chan *broker.Stored, n)
	stop := run(t, broker.NewFeed(b.JS, stream, filter, 0, func(m *broker.Stored, _ uint64) {
		select {
		case got <- m:
		default:
		}
	}))
	defer stop()
	var all []*broker.Stored
	for range n {
		all = append(all, receive(t, got))
	}
	return all
}

func receive(t *testing.T, c <-chan *broker.Stored) *broker.Stored {
	t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(15 * time.Second):
		t.Fatal("feed brings nothing")
		return nil
	}
}

func TestFeed_OrderAndPending(t *testing.T) {
	b := brokertest.Start(t)
	publish(t, b, 1000, "tram.result.1.momo.a", "tram.result.2.momo.b")
	var pending []uint64
	got := make(chan *broker.Stored, 1000)
	f := broker.NewFeed(b.JS, broker.Results, broker.ResultFilter(1), 4, func(m *broker.Stored, p uint64) {
		pending = append(pending, p)
		got <- m
	})
	stop := run(t, f)
	for want := uint64(5); want < 1000; want += 2 {
		if m := receive(t, got); m.Seq != want || string(m.Data) != fmt.Sprint(want) || m.Subject != "tram.result.1.momo.a" {
			t.Fatalf("got %d on %s, want %d", m.Seq, m.Subject, want)
		}
	}
	publish(t, b, 1, "tram.result.1.momo.a")
	if m := receive(t, got); m.Seq != 1001 {
		t.Errorf("got %d, want 1001", m.Seq)
	}
	stop()
	if len(pending) != 499 || pending[0] != 497 || pending[497] != 0 || pending[498] != 0 {
		t.Errorf("pending of %d messages: %v … %v", len(pending), pending[0], pending[len(pending)-1])
	}
	// Nothing is left behind on the server.
	st, err := b.JS.Stream(t.Context(), broker.Results)
	if err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "no consumers", func() bool {
		info, err := st.Info(t.Context())
		return err == nil && info.State.Consumers == 0
	})
}

func TestFeed_Jump(t *testing.T) {
	b := brokertest.Start(t)
	publish(t, b, 500, "tram.result.1.momo.a")
	var f *broker.Feed
	got := make(chan *broker.Stored, 500)
	f = broker.NewFeed(b.JS, broker.Results, "tram.result.>", 0, func(m *broker.Stored, _ uint64) {
		if m.Seq == 10 {
			f.Jump(490)
		}
		got <- m
	})
	run(t, f)
	var all []uint64
	for range 10 + 11 {
		all = append(all, receive(t, got).Seq)
	}
	if fmt.Sprint(all[8:13]) != "[9 10 490 491 492]" || all[20] != 500 {
		t.Errorf("got %v", all)
	}
	f.Jump(499) // while it waits at the end
	if m := receive(t, got); m.Seq != 499 {
		t.Errorf("after the jump back: got %d", m.Seq)
	}
	if m := receive(t, got); m.Seq != 500 {
		t.Errorf("after the jump back: got %d", m.Seq)
	}
	f.Jump(502) // ahead of the stream
	publish(t, b, 2, "tram.result.1.momo.a")
	if m := receive(t, got); m.Seq != 502 {
		t.Errorf("after the jump ahead: got %d", m.Seq)
	}
}

func TestFeed_Refilter(t *testing.T) {
	b := brokertest.Start(t)
	publish(t, b, 30, "tram.result.1.momo.a", "tram.result.2.momo.b", "tram.result.3.momo.c")
	got := make(chan uint64, 100)
	f := broker.NewFeed(b.JS, broker.Results, "", 1, func(m *broker.Stored, _ uint64) { got <- m.Seq })
	f.CheckEvery(50 * time.Millisecond)
	run(t, f)
	expect := func(want ...uint64) {
		t.Helper()
		for _, seq := range want {
			select {
			case at := <-got:
				if at != seq {
					t.Fatalf("got %d, want %d", at, seq)
				}
			case <-time.After(15 * time.Second):
				t.Fatalf("%d does not come", seq)
			}
		}
	}
	f.Refilter([]string{broker.ResultFilter(1), broker.ResultFilter(3)}, 25) // it has waited for that
	expect(25, 27, 28, 30)
	f.Refilter([]string{broker.ResultFilter(2)}, 20)
	expect(20, 23, 26, 29)
	f.Refilter(nil, 31)
	publish(t, b, 3, "tram.result.1.momo.a", "tram.result.2.momo.b", "tram.result.3.momo.c")
	f.Refilter([]string{broker.ResultFilter(1), broker.ResultFilter(2), broker.ResultFilter(3)}, 31)
	expect(31, 32, 33)
	if f.Next() != 34 || len(got) > 0 {
		t.Errorf("goes on at %d, and %d came besides", f.Next(), len(got))
	}
}

// Neither a restart of the server nor the loss of the consumer makes a gap or
// a repetition.
func TestFeed_SurvivesServerAndConsumer(t *testing.T) {
	b := brokertest.Start(t)
	got := make(chan *broker.Stored, 10_000)
	run(t, broker.NewFeed(b.JS, broker.Results, "tram.result.1.>", 0, func(m *broker.Stored, _ uint64) { got <- m }))
	next := uint64(1)
	expect := func(n int) {
		t.Helper()
		for range n {
			if m := receive(t, got); m.Seq != next {
				t.Fatalf("got %d, want %d", m.Seq, next)
			}
			next++
		}
	}
	publish(t, b, 50, "tram.result.1.momo.a")
	expect(25) // the rest is under way
	b.Stop()
	b.Restart()
	publish(t, b, 50, "tram.result.1.momo.a")
	expect(75)

	st, err := b.JS.Stream(t.Context(), broker.Results)
	if err != nil {
		t.Fatal(err)
	}
	names := st.ConsumerNames(t.Context())
	for name := range names.Name() {
		if err := st.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, b, 50, "tram.result.1.momo.a")
	expect(50)
	select {
	case m := <-got:
		t.Errorf("message %d again", m.Seq)
	default:
	}
}

// A consumer whose replica is far behind the stream's leader stands there in
// good health and has nothing to give; one that is paused does, too.
func TestFeed_LeavesAConsumerThatGivesNothing(t *testing.T) {
	b := brokertest.Start(t)
	store := func() {
		if _, err := b.JS.Publish(t.Context(), broker.ResultSubject(1, "momo", "p1"), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan *broker.Stored, 10)
	f := broker.NewFeed(b.JS, broker.Results, broker.ResultFilter(1), 0, func(m *broker.Stored, _ uint64) { got <- m })
	f.CheckEvery(100 * time.Millisecond)
	run(t, f)
	store()
	receive(t, got)

	st, err := b.JS.Stream(t.Context(), broker.Results)
	if err != nil {
		t.Fatal(err)
	}
	paused := 0
	names := st.ConsumerNames(t.Context())
	for name := range names.Name() {
		if _, err := st.PauseConsumer(t.Context(), name, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		paused++
	}
	if names.Err() != nil || paused != 1 {
		t.Fatalf("%d consumers are paused, %v", paused, names.Err())
	}
	store()
	store()
	for want := uint64(2); want <= 3; want++ {
		if m := receive(t, got); m.Seq != want {
			t.Errorf("got message %d, want %d", m.Seq, want)
		}
	}
}
