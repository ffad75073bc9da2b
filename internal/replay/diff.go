package replay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/pkg/events"
)

// A Diff compares the events that can be made of stored results now with those
// that are stored. It publishes nothing. Of each event that is made it keeps
// about 60 bytes in memory.
type Diff struct {
	JS     jetstream.JetStream
	Maker  *Maker
	Choose Selection
	Show   int // differences to tell in full

	// Tell gets how far the reading of results and then of events has come, in
	// sequences. It may be nil.
	Tell func(done, of uint64)
}

// What can be told of an event.
const (
	Changed = "changed" // made and stored, with other bytes
	Missing = "missing" // made, and not stored
	Stale   = "stale"   // stored for an answer that was read again, and not made of it any more
)

// A Comparison is what a diff has found.
type Comparison struct {
	Seen
	Made int `json:"made"` // events
	Same int `json:"same"` // of them, byte for byte as stored
	Aged int `json:"aged"` // of them, not stored any more: they have grown too old

	// Differences counts them, by what they are and the kind of the event.
	Differences map[string]map[events.Kind]int `json:"differences"`
	First       []Difference                   `json:"-"`
}

// Empty reports whether no event differs.
func (c *Comparison) Empty() bool { return len(c.Differences) == 0 }

func (c *Comparison) count(what string, k events.Kind) {
	if c.Differences == nil {
		c.Differences = map[string]map[events.Kind]int{}
	}
	if c.Differences[what] == nil {
		c.Differences[what] = map[events.Kind]int{}
	}
	c.Differences[what][k]++
}

// An eventID is the ce-id of an event, which is 32 hexadecimal digits.
type eventID [16]byte

func idOf(h nats.Header) (id eventID, ok bool) {
	v := h[events.HeaderID]
	if len(v) != 1 || len(v[0]) != hex.EncodedLen(len(id)) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(v[0]))
	return id, err == nil
}

// made is an event that was made, and what became of looking for it.
type made struct {
	sum    uint64
	result uint64 // its sequence
	stored uint64 // sequence of the one that it differs from
	kind   byte   // index into collector.Kinds
	found  bool
}

// A stray is a stored event that is not made of its answer any more.
type stray struct {
	seq  uint64
	kind events.Kind
}

type diff struct {
	*Diff
	seed  maphash.Seed
	made  map[eventID]made
	pages map[page]bool
	stale map[eventID]stray
	found Comparison
}

// Run compares. Results that no collector has dealt with yet are left out.
func (d *Diff) Run(ctx context.Context) (*Comparison, error) {
	run := &diff{Diff: d, seed: maphash.MakeSeed(), made: map[eventID]made{}, pages: map[page]bool{}, stale: map[eventID]stray{}}
	if d.Tell == nil {
		d.Tell = func(uint64, uint64) {}
	}
	read := broker.NewReader(d.JS)
	since, err := run.makeAll(ctx, read)
	if err == nil && !since.IsZero() {
		err = run.compareAll(ctx, read, since)
	}
	if err == nil {
		err = run.sortOut(ctx, read)
	}
	return &run.found, err
}

// makeAll makes the events of all results, and returns when the first of these
// was stored.
func (d *diff) makeAll(ctx context.Context, read *broker.Reader) (since time.Time, err error) {
	w := d.Choose.window()
	if w.To, err = d.collected(ctx, w.To); err != nil || w.To == 0 {
		return since, err
	}
	err = pipeline(ctx, read, w, func(b *batch) {
		d.Maker.make(b, &d.Choose)
		d.sumUp(b)
	}, func(b *batch) error {
		if since.IsZero() {
			since = b.results[0].Time
		}
		d.found.add(b.seen)
		d.note(b)
		last := b.results[len(b.results)-1].Seq
		d.Tell(last-min(w.From, last), w.To-min(w.From, w.To))
		return nil
	})
	return since, err
}

// collected returns up to which result all events are stored, at most to.
func (d *diff) collected(ctx context.Context, to uint64) (uint64, error) {
	s, err := d.JS.Stream(ctx, broker.Results)
	if err != nil {
		return 0, fmt.Errorf("compare events: %w", err)
	}
	end := s.CachedInfo().State.LastSeq
	cons, err := s.Consumer(ctx, collector.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound): // no collector has ever been here
	case err != nil:
		return 0, fmt.Errorf("compare events: %w", err)
	default:
		end = min(end, cons.CachedInfo().AckFloor.Stream)
	}
	if to > 0 {
		end = min(end, to)
	}
	return end, nil
}

// sumUp makes of events what is kept of them.
func (d *diff) sumUp(b *batch) {
	for i, result := range b.results {
		for _, e := range b.made[i] {
			id, ok := idOf(e.Header)
			if !ok {
				continue
			}
			kind, _ := kindOf(e.Subject)
			b.sums = append(b.sums, sum{id, made{
				sum: d.sum(e.Subject, e.Header, e.Data), result: result.Seq, kind: byte(slices.Index(collector.Kinds, kind)),
			}})
		}
	}
	b.made = nil
}

// note keeps what was made. Of two events with one id the first one counts, as
// for the broker.
func (d *diff) note(b *batch) {
	for _, s := range b.sums {
		if _, twice := d.made[s.id]; !twice {
			d.made[s.id] = s.made
			d.found.Made++
		}
	}
	for _, p := range b.pages {
		d.pages[p] = true
	}
}

// sum stands for all of an event but the marks of how it was published.
func (d *diff) sum(subject string, header nats.Header, data []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(subject)
	h.WriteByte(0)
	h.Write(data)
	total := h.Sum64()
	for name, values := range header { // in any order
		if name == events.HeaderMsgID || name == events.HeaderReplay {
			continue
		}
		h.Reset()
		h.WriteString(name)
		for _, v := range values {
			h.WriteByte(0)
			h.WriteString(v)
		}
		total += h.Sum64()
	}
	return total
}
