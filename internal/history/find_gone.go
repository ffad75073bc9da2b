package history

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// findPlanned looks for the id in LATER, which keeps a request longer than
// REQUESTS does.
func (r *Reader) findPlanned(ctx context.Context, q Query) ([]*subject, error) {
	all := gathered{query: q, partitions: r.partitions}
	w := broker.Window{Subjects: []string{broker.PlansOf(q.Provider, q.Account)}, HeadersOnly: true}
	err := r.scan(ctx, broker.Later, w, func(m *broker.Stored) error {
		at, _, seq, err := broker.ParseLater(m.Subject)
		source := m.Header.Get(events.HeaderSource)
		if err != nil || m.Header.Get(events.HeaderID) != q.ID || q.Source != "" && q.Source != source {
			return nil
		}
		s := all.add(nil, q.ID, source, at.Provider, at.Account)
		s.messages = append(s.messages, message{seq: seq})
		return nil
	})
	return all.subjects, err
}

// findResult looks for the id in the results of requests that have left REQUESTS:
// the ledger is kept for some hours longer.
func (r *Reader) findResult(ctx context.Context, q Query) ([]*subject, error) {
	w := broker.Window{Subjects: []string{broker.ResultsOf(q.Provider, q.Account)}}
	s, err := r.js.Stream(ctx, broker.Requests)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", broker.Requests, err)
	}
	if state := s.CachedInfo().State; state.Msgs > 0 {
		// Results come after their requests: those of what has just left are a little younger.
		if w.To, err = r.read.SeqAt(ctx, broker.Results, state.FirstTime.Add(skew)); err != nil {
			return nil, err
		}
	}
	all := gathered{query: q, partitions: r.partitions}
	err = r.scan(ctx, broker.Results, w, func(m *broker.Stored) error {
		if !bytes.Contains(m.Data, []byte(q.ID)) { // cheaper than reading it
			return nil
		}
		if result, err := ledger.DecodeResult(m.Data); err == nil {
			all.original(result.Seq, &result.Request)
		}
		return nil
	})
	return all.subjects, err
}

// findLetter looks for the id among the dead letters, which wait the longest.
func (r *Reader) findLetter(ctx context.Context, q Query) ([]*subject, error) {
	all := gathered{query: q, partitions: r.partitions}
	w := broker.Window{Subjects: []string{broker.DeadOf("", q.Provider, q.Account)}}
	err := r.scan(ctx, broker.Dead, w, func(m *broker.Stored) error {
		l, err := deadletter.Read(m)
		if err == nil {
			all.original(l.Seq, &l.Request)
		}
		return err
	})
	return all.subjects, err
}

// original takes in a request as a result or a dead letter has it, if it is the
// one that is looked for.
func (g *gathered) original(seq uint64, o *ledger.Original) {
	h := nats.Header(o.Header)
	at, err := events.ParseSubject(o.Subject)
	source := h.Get(events.HeaderSource)
	if err != nil || h.Get(events.HeaderID) != g.query.ID || g.query.Source != "" && g.query.Source != source {
		return
	}
	s := g.add(nil, g.query.ID, source, at.Provider, at.Account)
	if !slices.ContainsFunc(s.messages, func(m message) bool { return m.seq == seq }) {
		s.messages = append(s.messages, message{seq: seq, result: o})
	}
}
