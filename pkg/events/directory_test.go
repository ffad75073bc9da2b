package events_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

func TestDirectory(t *testing.T) {
	b := newBroker(t)
	d := events.NewDirectory(b.js)
	if _, err := d.Contract(t.Context(), "caresoft", "main"); err == nil || err.Error() != "invalid request: provider: caresoft is not configured" {
		t.Errorf("empty directory: %v", err)
	}
	if err := events.PutContract(t.Context(), b.js, caresoft); err != nil {
		t.Fatal(err)
	}
	got, err := d.Contract(t.Context(), "caresoft", "main")
	if err != nil || !reflect.DeepEqual(got, caresoft) {
		t.Fatalf("got %+v, error %v", got, err)
	}
	// A name that could be a pattern of the broker is none of an account.
	for _, name := range []string{">", "*", "a.b", ""} {
		if _, err := d.Contract(t.Context(), "caresoft", name); events.ReasonOf(err) != events.ReasonInvalid {
			t.Errorf("account %q: %v", name, err)
		}
	}

	// Within its minute a contract is not read again.
	kv, err := b.js.KeyValue(t.Context(), events.DirectoryBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "caresoft.main"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Contract(t.Context(), "caresoft", "main"); err != nil {
		t.Errorf("known contract: %v", err)
	}
	if _, err := events.NewDirectory(b.js).Contract(t.Context(), "caresoft", "main"); events.ReasonOf(err) != events.ReasonInvalid {
		t.Errorf("deleted contract: %v", err)
	}
}

// What the directory holds is checked like everything that comes in.
func TestDirectory_Garbage(t *testing.T) {
	b := newBroker(t)
	kv, err := b.js.KeyValue(t.Context(), events.DirectoryBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "caresoft.main", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	if _, err := events.NewDirectory(b.js).Contract(t.Context(), "caresoft", "main"); events.ReasonOf(err) != events.ReasonMalformed {
		t.Errorf("got %v", err)
	}
}

// A contract that was read stays true while the broker cannot be asked, and no
// longer.
func TestDirectory_BrokerAway(t *testing.T) {
	b := newBroker(t)
	if err := events.PutContract(t.Context(), b.js, caresoft); err != nil {
		t.Fatal(err)
	}
	d := events.NewDirectory(b.js)
	if _, err := d.Contract(t.Context(), "caresoft", "main"); err != nil {
		t.Fatal(err)
	}
	d.Age(2 * time.Minute)
	port := b.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := d.Contract(ctx, "caresoft", "main"); err != nil || !reflect.DeepEqual(got, caresoft) {
		t.Errorf("known contract: %+v, error %v", got, err)
	}
	if _, err := d.Contract(ctx, "caresoft", "second"); err == nil {
		t.Error("unknown contract: no error without a broker")
	}
	if err := b.start(port); err != nil {
		t.Fatal(err)
	}
	kv, err := b.js.KeyValue(t.Context(), events.DirectoryBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "caresoft.main"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Contract(t.Context(), "caresoft", "main"); events.ReasonOf(err) != events.ReasonInvalid {
		t.Errorf("deleted contract: %v", err)
	}
}
