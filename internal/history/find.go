package history

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// A subject is a request that was found.
type subject struct {
	id, source        string
	provider, account string
	partition         int
	messages          []message // as published, and as it came back
	children          []child   // made of it
}

// A message is one under which REQUESTS has, or had, a request.
type message struct {
	seq    uint64
	stored *broker.Stored   // without its body; nil if it has left the stream
	from   uint64           // it came back from LATER: the sequence of the one before it
	result *ledger.Original // as a result or dead letter has it, if the stream does not
}

type child struct {
	id     string
	stored *broker.Stored
}

// firstLook is how many of the newest requests are looked at first; each look
// after that goes back eight times as far.
const firstLook = 50_000

// find returns the requests that q names, the newest first.
func (r *Reader) find(ctx context.Context, q Query) ([]*subject, error) {
	if number, ok := strings.CutPrefix(q.ID, "seq:"); ok {
		if seq, err := strconv.ParseUint(number, 10, 64); err == nil {
			return r.findPlace(ctx, q, seq)
		}
	}
	for _, look := range []func(context.Context, Query) ([]*subject, error){
		r.findRequest, r.findPlanned, r.findResult, r.findLetter,
	} {
		if all, err := look(ctx, q); err != nil || len(all) > 0 {
			return all, err
		}
	}
	return nil, ErrNotFound
}

// findPlace finds the request at a place in REQUESTS.
func (r *Reader) findPlace(ctx context.Context, q Query, seq uint64) ([]*subject, error) {
	m, err := r.read.Get(ctx, broker.Requests, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	at, err := broker.ParseStored(m.Subject)
	if err != nil {
		return nil, err
	}
	if id := m.Header.Get(events.HeaderID); id != "" && id != q.ID {
		return r.find(ctx, Query{ID: id, Source: m.Header.Get(events.HeaderSource), Provider: at.Provider, Account: at.Account, Since: m.Time})
	}
	all := gathered{query: q, partitions: r.partitions}
	all.add(m, q.ID, m.Header.Get(events.HeaderSource), at.Provider, at.Account)
	return all.subjects, nil
}

// findRequest looks for the id in the headers of REQUESTS.
func (r *Reader) findRequest(ctx context.Context, q Query) ([]*subject, error) {
	s, err := r.js.Stream(ctx, broker.Requests)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", broker.Requests, err)
	}
	state := s.CachedInfo().State
	oldest := max(state.FirstSeq, 1)
	if !q.Since.IsZero() {
		if oldest, err = r.read.SeqAt(ctx, broker.Requests, q.Since); err != nil {
			return nil, err
		}
	}
	r.note(Looked{Stream: broker.Requests})
	all := gathered{query: q, partitions: r.partitions}
	size := r.firstLook
	for to := state.LastSeq; to >= oldest && to > 0; size *= 8 {
		from := oldest
		if to-oldest >= size {
			from = to - size + 1
		}
		w := broker.Window{Subjects: requestsOf(q), From: from, To: to, HeadersOnly: true}
		if err := r.scan(ctx, broker.Requests, w, func(m *broker.Stored) error { all.look(m); return nil }); err != nil {
			return nil, err
		}
		if len(all.subjects) > 0 && q.Since.IsZero() {
			break
		}
		to = from - 1
	}
	for _, s := range all.subjects {
		if err := r.complete(ctx, s); err != nil {
			return nil, err
		}
	}
	return all.subjects, nil
}

func requestsOf(q Query) []string {
	if q.Provider+q.Account == "" {
		return nil
	}
	return []string{"req.*." + cmp.Or(q.Provider, "*") + "." + cmp.Or(q.Account, "*") + ".*.*"}
}

// gathered are requests as they are found.
type gathered struct {
	query      Query
	partitions int
	subjects   []*subject
	children   []child
}

// look takes in what m says about the request, if anything.
func (g *gathered) look(m *broker.Stored) {
	id := m.Header.Get(events.HeaderID)
	ancestor := m.Header.Get(events.HeaderAncestorID)
	if id != g.query.ID && ancestor != g.query.ID {
		return
	}
	source := m.Header.Get(events.HeaderSource)
	at, err := broker.ParseStored(m.Subject)
	if err != nil || g.query.Source != "" && source != g.query.Source {
		return
	}
	if id != g.query.ID {
		g.children = append(g.children, child{id, m})
	} else {
		g.add(m, id, source, at.Provider, at.Account)
	}
	for _, s := range g.subjects {
		s.children = slices.DeleteFunc(slices.Clone(g.children), func(c child) bool {
			other, _ := broker.ParseStored(c.stored.Subject)
			return other.Provider != s.provider || other.Account != s.account || c.stored.Header.Get(events.HeaderSource) != s.source
		})
	}
}

// add adds a message of a request, which may be a new one, and returns it.
func (g *gathered) add(m *broker.Stored, id, source, provider, account string) *subject {
	i := slices.IndexFunc(g.subjects, func(s *subject) bool {
		return s.source == source && s.provider == provider && s.account == account
	})
	if i < 0 {
		i = len(g.subjects)
		g.subjects = append(g.subjects, &subject{
			id: id, source: source, provider: provider, account: account, partition: broker.Partition(provider, account, g.partitions),
		})
	}
	s := g.subjects[i]
	if m != nil {
		s.messages = append(s.messages, message{seq: m.Seq, stored: m, from: cameFrom(m.Header)})
	}
	return s
}

// complete adds the messages that one which came back was made of: they may be
// much older.
func (r *Reader) complete(ctx context.Context, s *subject) error {
	for i := 0; i < len(s.messages); i++ {
		seq := s.messages[i].from
		if seq == 0 || slices.ContainsFunc(s.messages, func(m message) bool { return m.seq == seq }) {
			continue
		}
		before := message{seq: seq}
		m, err := r.read.Get(ctx, broker.Requests, seq)
		switch {
		case err == nil:
			before.stored, before.from = m, cameFrom(m.Header)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return err
		}
		s.messages = append(s.messages, before)
	}
	return nil
}

// cameFrom returns the sequence of the message that one of REQUESTS is another
// of, if LATER has brought it back, or else 0.
func cameFrom(h nats.Header) uint64 {
	source := strings.Fields(h.Get("Nats-Stream-Source")) // stream, sequence, filter, transform, subject
	if len(source) < 5 || source[0] != broker.Later {
		return 0
	}
	_, _, seq, err := broker.ParseLater(source[4])
	if err != nil {
		return 0
	}
	return seq
}

// findPlanned looks for the id in LATER, which keeps a request longer than
// REQUESTS does.
func (r *Reader) findPlanned(ctx context.Context, q Query) ([]*subject, error) {
	all := gathered{query: q, partitions: r.partitions}
	w := broker.Window{Subjects: []string{"tram.later.plan.*." + cmp.Or(q.Provider, "*") + "." + cmp.Or(q.Account, "*") + ".*.*.*.*"}, HeadersOnly: true}
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
	w := broker.Window{Subjects: []string{"tram.result.*." + cmp.Or(q.Provider, "*") + "." + cmp.Or(q.Account, "*")}}
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
	w := broker.Window{Subjects: []string{broker.DeadSubject("*", cmp.Or(q.Provider, "*"), cmp.Or(q.Account, "*"))}}
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
