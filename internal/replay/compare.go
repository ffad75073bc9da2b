package replay

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/pkg/events"
)

// compareAll looks for what was made among the events that are stored.
func (d *diff) compareAll(ctx context.Context, read *broker.Reader, since time.Time) error {
	// The servers of a cluster need not agree about the time to the second.
	from, err := read.SeqAt(ctx, broker.Events, since.Add(-time.Minute))
	if err != nil {
		return err
	}
	s, err := d.JS.Stream(ctx, broker.Events)
	if err != nil {
		return fmt.Errorf("compare events: %w", err)
	}
	w := broker.Window{Subjects: d.Choose.subjects(), From: from, To: s.CachedInfo().State.LastSeq}
	if w.To < from {
		return nil
	}
	return read.Scan(ctx, broker.Events, w, func(m *broker.Stored) error {
		if m.Seq%batchSize == 0 {
			d.Tell(m.Seq-from, w.To-from)
		}
		d.compare(m)
		return nil
	})
}

func (d *diff) compare(m *broker.Stored) {
	id, ok := idOf(m.Header)
	if !ok {
		return
	}
	e, ok := d.made[id]
	if !ok {
		d.look(id, m)
		return
	}
	if e.found && m.Header.Get(events.HeaderReplay) == "" {
		return // a repetition: the first one counts, or else a replayed one
	}
	if e.found, e.stored = true, 0; e.sum != d.sum(m.Subject, m.Header, m.Data) {
		e.stored = m.Seq
	}
	d.made[id] = e
}

// look deals with a stored event that was not made: it is none of the window,
// or it is not made of its answer any more.
func (d *diff) look(id eventID, m *broker.Stored) {
	if _, known := d.stale[id]; known || len(d.pages) == 0 {
		return
	}
	e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
	if err != nil {
		return
	}
	var of page
	switch {
	case e.Stat != nil:
		of = page{e.Stat.RequestSource, e.Stat.RequestID, e.Stat.Page}
	case e.Record != nil:
		of = page{e.Record.RequestSource, e.Record.RequestID, e.Record.Page}
	}
	if d.pages[of] {
		d.stale[id] = stray{m.Seq, e.Subject.Kind}
	}
}

// sortOut counts the differences, and tells the first of them in full.
func (d *diff) sortOut(ctx context.Context, read *broker.Reader) error {
	kept, err := d.kept(ctx, read)
	if err != nil {
		return err
	}
	var all []Difference
	for id, e := range d.made {
		what := Changed
		switch {
		case e.found && e.stored == 0:
			d.found.Same++
			continue
		case e.found:
		case e.result < kept:
			d.found.Aged++
			continue
		default:
			what = Missing
		}
		d.found.count(what, collector.Kinds[e.kind])
		all = append(all, Difference{What: what, ID: hex.EncodeToString(id[:]), Result: e.result, Event: e.stored})
	}
	for id, s := range d.stale {
		d.found.count(Stale, s.kind)
		all = append(all, Difference{What: Stale, ID: hex.EncodeToString(id[:]), Event: s.seq})
	}
	slices.SortFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Result, b.Result), cmp.Compare(a.Event, b.Event), cmp.Compare(a.ID, b.ID))
	})
	return d.show(ctx, read, all[:min(len(all), d.Show)])
}

// kept returns the first result whose events must all be stored still.
func (d *diff) kept(ctx context.Context, read *broker.Reader) (uint64, error) {
	s, err := d.JS.Stream(ctx, broker.Events)
	if err != nil {
		return 0, fmt.Errorf("compare events: %w", err)
	}
	state := s.CachedInfo().State
	if state.FirstSeq <= 1 {
		return 0, nil // nothing has ever left it
	}
	if state.Msgs == 0 {
		return read.SeqAt(ctx, broker.Results, time.Now())
	}
	return read.SeqAt(ctx, broker.Results, state.FirstTime)
}
