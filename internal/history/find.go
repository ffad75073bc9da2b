package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
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
	return []string{broker.RequestsOf(q.Provider, q.Account)}
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
