package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

func scan(t *testing.T, r *broker.Reader, w broker.Window) []uint64 {
	t.Helper()
	var all []*broker.Stored
	err := r.Scan(t.Context(), broker.Results, w, func(m *broker.Stored) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seqs(all)
}

func TestReader_Scan(t *testing.T) {
	b := brokertest.Start(t)
	read := broker.NewReader(b.JS)
	if got := scan(t, read, broker.Window{}); got != nil {
		t.Errorf("of an empty stream: got %v", got)
	}
	publish(t, b, 9, "tram.result.1.momo.a", "tram.result.1.momo.b", "tram.result.2.momo.c")
	for _, c := range []struct {
		window broker.Window
		want   string
	}{
		{broker.Window{}, "[1 2 3 4 5 6 7 8 9]"},
		{broker.Window{From: 3, To: 5}, "[3 4 5]"},
		{broker.Window{From: 8, To: 100}, "[8 9]"},
		{broker.Window{From: 10}, "[]"},
		{broker.Window{Subjects: []string{"tram.result.*.momo.a"}, To: 6}, "[1 4]"},
		{broker.Window{Subjects: []string{"tram.result.*.momo.a", "tram.result.*.momo.c"}, From: 4}, "[4 6 7 9]"},
		{broker.Window{Subjects: []string{"tram.result.*.momo.d"}}, "[]"},
	} {
		if got := fmt.Sprint(scan(t, read, c.window)); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.window, got, c.want)
		}
	}
	wrong := errors.New("wrong")
	if err := read.Scan(t.Context(), broker.Results, broker.Window{}, func(*broker.Stored) error { return wrong }); err != wrong {
		t.Errorf("got %v, want the error as it is", err)
	}
	if err := read.Scan(t.Context(), "TRAM_NONE", broker.Window{}, nil); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := read.Scan(ctx, broker.Results, broker.Window{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestReader_Scan_goesOnAfterTheBroker(t *testing.T) {
	b := brokertest.Start(t)
	read := broker.NewReader(b.JS)
	for range 5 {
		publish(t, b, 4000, "tram.result.1.momo.a") // together more than is read ahead
	}
	var got []uint64
	err := read.Scan(t.Context(), broker.Results, broker.Window{}, func(m *broker.Stored) error {
		if got = append(got, m.Seq); m.Seq == 100 {
			b.Stop()
			b.Restart()
		}
		return nil
	})
	if err != nil || len(got) != 20_000 || got[19_999] != 20_000 {
		t.Errorf("got %d messages, %v", len(got), err)
	}
}

func TestReader_SeqAt(t *testing.T) {
	b := brokertest.Start(t)
	read := broker.NewReader(b.JS)
	publish(t, b, 5, "tram.dead.event.momo.a")
	dead, err := b.JS.Stream(t.Context(), broker.Dead)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.DeleteMsg(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[uint64]uint64{1: 1, 2: 2, 4: 3, 5: 5} {
		m, err := read.Get(t.Context(), broker.Dead, seq)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read.SeqAt(t.Context(), broker.Dead, m.Time); got != want || err != nil {
			t.Errorf("at the time of %d: got %d, %v", seq, got, err)
		}
	}
	if got, err := read.SeqAt(t.Context(), broker.Dead, time.Now().Add(time.Hour)); got != 6 || err != nil {
		t.Errorf("of the future: got %d, %v, want what comes next", got, err)
	}
	if got, err := read.SeqAt(t.Context(), broker.Dead, time.Time{}); got != 1 || err != nil {
		t.Errorf("of the past: got %d, %v", got, err)
	}
}
