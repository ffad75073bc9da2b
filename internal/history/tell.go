package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/mask"
	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

// Find returns the histories of the requests that q names, the newest first. The
// error wraps [ErrNotFound] if there is none.
func (r *Reader) Find(ctx context.Context, q Query) ([]*History, error) {
	found, err := r.find(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []*History
	for _, s := range found {
		h, err := r.tell(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

// A telling gathers the history of one request.
type telling struct {
	*Reader
	*subject
	h         *History
	req       *events.Request      // as far as it can be read; nil if nowhere
	published map[uint64]time.Time // when each of its messages was stored, as far as that is known
	began     time.Time            // the oldest of these; zero is not known
	results   []stored
	ended     bool // by the last of the results
	gone      bool // some of its messages have left REQUESTS
}

// A stored is a result as the stream has it.
type stored struct {
	*ledger.Result
	at  time.Time
	seq uint64
}

func (r *Reader) tell(ctx context.Context, s *subject) (*History, error) {
	slices.SortFunc(s.messages, func(a, b message) int { return cmp.Compare(a.seq, b.seq) })
	t := &telling{Reader: r, subject: s, published: map[uint64]time.Time{}, h: &History{
		ID: s.id, Source: s.source, Provider: s.provider, Account: s.account,
	}}
	for _, part := range []func(context.Context) error{
		t.requests, t.later, t.readResults, t.intents, t.told, t.replays, t.dead, t.cancels, t.ancestor,
	} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	if t.gone {
		t.add(t.first(), Entry{What: Incomplete, Stream: broker.Requests, Note: "what was published has left the stream"})
	}
	slices.SortStableFunc(t.h.Entries, func(a, b Entry) int { return a.order.Compare(b.order) })
	t.h.Standing = t.standing()
	return t.h, nil
}

// first returns the time before all that is known.
func (t *telling) first() time.Time {
	first := time.Now()
	for _, e := range t.h.Entries {
		if e.order.Before(first) {
			first = e.order
		}
	}
	return first.Add(-1)
}

// add adds what happened at a time of the broker's.
func (t *telling) add(at time.Time, e Entry) {
	e.AtMS = cmp.Or(e.AtMS, at.UnixMilli())
	e.order = at
	e.Detail, e.ProviderText = t.words(e.Detail), t.words(e.ProviderText)
	for i := range e.Warnings {
		e.Warnings[i] = t.words(e.Warnings[i])
	}
	t.h.Entries = append(t.h.Entries, e)
}

func (t *telling) words(text string) string { return mask.Words(t.req, text, t.Reveal) }

// requests tells how the request was published, and as what it came back.
func (t *telling) requests(ctx context.Context) error {
	for _, m := range t.messages {
		e := Entry{What: Published, Stream: broker.Requests, Seq: m.seq}
		if m.from != 0 {
			e.What = CameBack
		}
		switch {
		case m.stored != nil:
			full, err := t.read.Get(ctx, broker.Requests, m.seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				t.gone = true
				continue
			}
			if err != nil {
				return err
			}
			at, err := broker.ParseStored(full.Subject)
			if err != nil {
				return err
			}
			t.original(m.seq, full.Time, at.Public().String(), full.Header, full.Data)
			e.Subject, e.Headers = full.Subject, envelope(full.Header)
			t.add(full.Time, e)
		case m.result != nil:
			at := time.UnixMilli(m.result.TimeMS)
			t.original(m.seq, at, m.result.Subject, m.result.Header, m.result.Data)
			e.Subject, e.Headers, e.Note = m.result.Subject, envelope(m.result.Header), "it has left the stream; this is what its result or dead letter has"
			t.add(at, e)
		default:
			t.gone = true
		}
	}
	for _, c := range t.children {
		t.add(c.stored.Time, Entry{What: Redriven, Stream: broker.Requests, Seq: c.stored.Seq, RequestID: c.id})
	}
	return nil
}

// original takes in the request as it was published, and when.
func (t *telling) original(seq uint64, at time.Time, subject string, h nats.Header, data []byte) {
	if _, known := t.published[seq]; !known && !at.IsZero() {
		t.published[seq] = at
		if t.began.IsZero() || at.Before(t.began) {
			t.began = at
		}
	}
	if t.req != nil {
		return
	}
	t.req, _ = events.DecodeRequest(subject, h, data)
	if t.req == nil {
		return
	}
	t.h.Kind, t.h.Class, t.h.AncestorID = t.req.Kind, t.req.Class, t.req.AncestorID
	if name, ok := strings.CutPrefix(t.source, schedule.Source("")); ok {
		t.h.Schedule = name
	}
	switch {
	case t.req.Report != nil:
		t.h.Name = t.req.Report.Report
	case t.req.Command != nil:
		t.h.Name = t.req.Command.Command
	case t.req.Cancel != nil:
		_, t.h.Name = t.req.Target()
	}
	if t.Body {
		t.h.Body = mask.Request(t.req, t.Reveal)
	}
}

// envelope returns the headers that carry no personal data, by contract.
func envelope(h nats.Header) map[string]string {
	all := map[string]string{}
	for name, values := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "ce-") || slices.Contains([]string{"nats-msg-id", "traceparent", "tracestate"}, lower) {
			all[name] = strings.Join(values, ", ")
		}
	}
	return all
}
