package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// A partition that a newer version has worked on in its own way is left to who
// understands it: nothing is called, and its checkpoint stays as it is.
func TestADispatcherLeavesWhatANewerVersionHasWritten(t *testing.T) {
	r := newRig(t)
	home := broker.Partition("fake", "shop", r.partitions)
	marks := &checkpoints{js: r.b.JS, reader: r.read, n: home}
	if _, err := marks.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer, err := msgpack.Marshal(map[string]any{"feed": 1 << 40, "format": ledger.Format + 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := marks.kv.Put(t.Context(), marks.key(), newer); err != nil {
		t.Fatal(err)
	}
	r.send("shop", events.Urgent, "theirs", nil)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = r.dispatcher(r.b.Conn, nil).Run(ctx)
	if e, ok := errors.AsType[*ledger.NewerError](err); !ok || e.Format != ledger.Format+1 {
		t.Errorf("the dispatcher ends with %v", err)
	}
	if made := r.desk.made(); len(made) > 0 {
		t.Errorf("the provider was called: %v", made)
	}
	if m, err := marks.newest(t.Context()); err != nil || !bytes.Equal(m.Data, newer) {
		t.Errorf("the checkpoint is %q now, %v", m.Data, err)
	}
	leases, err := broker.NewLeases(r.b.JS, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	view, err := leases.View(t.Context())
	if err != nil || len(view.Members) > 0 || view.Claims[home].Member != "" {
		t.Errorf("members %v, partition %d is %v, %v", view.Members, home, view.Claims[home], err)
	}
}

// Its checkpoint says what the intents and results of an owner may have.
func TestACheckpointSaysItsFormat(t *testing.T) {
	r := newRig(t)
	stop := r.start(nil)
	r.ends(r.send("shop", events.Normal, "one", nil))
	stop()
	marks := &checkpoints{js: r.b.JS, reader: r.read, n: broker.Partition("fake", "shop", r.partitions)}
	if ck, err := marks.read(t.Context()); err != nil || ck.Format != ledger.Format {
		t.Errorf("got %+v, %v", ck, err)
	}
}
