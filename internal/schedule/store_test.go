package schedule

import (
	"errors"
	"testing"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// Whoever has not heard of a change can neither undo it nor record a run of what
// was there before.
func TestStore(t *testing.T) {
	b := brokertest.Start(t)
	store, ctx := NewStore(b.JS), t.Context()
	get := func() *Entry {
		t.Helper()
		e, err := store.Get(ctx, "daily")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrChanged) {
			t.Errorf("the error is %v, want %v", err, ErrChanged)
		}
	}
	s := &Schedule{Provider: "p", Account: "a", Every: "1h", Report: events.Report{Report: "p.r"}}
	none := get()
	must(store.Write(ctx, none, s))
	refused(store.Write(ctx, &Entry{Name: "daily"}, s))

	dispatcher, person := get(), get()
	run := Progress{HandledMS: 7, Skipped: 1, Last: &Run{ID: "one"}}
	must(store.Record(ctx, dispatcher, run))
	refused(store.Record(ctx, &Entry{Name: "daily"}, Progress{HandledMS: 1}))
	paused := *s
	paused.Paused = true
	must(store.Write(ctx, person, &paused)) // knows nothing of the run, and keeps it
	if e := get(); !e.Schedule.Paused || e.Progress.HandledMS != 7 || e.Progress.Skipped != 1 || e.Progress.Last.ID != "one" {
		t.Errorf("paused it is %+v of %+v", e, e.Schedule)
	}
	refused(store.Record(ctx, dispatcher, Progress{HandledMS: 8}))
	refused(store.Write(ctx, dispatcher, s))
	refused(store.Remove(ctx, dispatcher))

	dispatcher = get()
	must(store.Remove(ctx, get()))
	if e := get(); !e.Gone() || e.Progress != (Progress{}) {
		t.Errorf("removed it is %+v", e)
	}
	refused(store.Record(ctx, dispatcher, Progress{HandledMS: 9}))
	must(store.Write(ctx, get(), s))
	book, err := store.Book(ctx)
	must(err)
	if all := book.All(); len(all) != 1 || all[0].Name != "daily" || all[0].Since.IsZero() || all[0].Recorded != get().Recorded {
		t.Errorf("the book has %+v", all)
	}
	if book.Take(&broker.Stored{Subject: broker.SchedulesPrefix + "elsewhere", Seq: 99}) != nil {
		t.Error("a key of somebody else is taken for a schedule")
	}
}

func TestNotSetUp(t *testing.T) {
	b := brokertest.StartEmpty(t)
	store := NewStore(b.JS)
	_, err := store.Book(t.Context())
	_, other := store.Get(t.Context(), "daily")
	written := store.Write(t.Context(), &Entry{Name: "daily"}, &Schedule{})
	for _, err := range []error{err, other, written} {
		if !errors.Is(err, events.ErrNotSetUp) {
			t.Errorf("the error is %v", err)
		}
	}
}
