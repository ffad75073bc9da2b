package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// doubtMargin is waited beyond the time of a call that an owner before us had
// under way, for its result to arrive.
const doubtMargin = time.Second

// past is what the logs tell about one request since the checkpoint.
type past struct {
	calls    int
	calledMS int64          // when the intent of the newest call was stored
	last     *ledger.Result // of the newest call that has one
}

// inDoubt reports whether the newest call has no result.
func (h *past) inDoubt() bool { return h.last == nil || h.last.Call < h.calls }

func (h *past) ended() bool {
	return !h.inDoubt() && h.last.State != "" && h.last.State.Final()
}

// restore makes e go on where the owners before us left it.
func (h *past) restore(e *entry, patience time.Duration) {
	if h.last != nil {
		e.adopt(h.last)
	}
	e.calls = max(e.calls, h.calls)
	if h.inDoubt() && h.calls > 0 {
		// Whoever made the call may be alive behind a broken network: it gets
		// the time of a call to tell before anybody says what became of it.
		e.doubt = true
		e.retryAt = time.UnixMilli(h.calledMS).Add(patience)
	}
}

// open takes the partition over: it closes the intent log to the owner before,
// learns from checkpoint, intents and results what was done, and goes on from
// there.
//
//	result stored            → as the result says
//	intent without a result  → in doubt
//	neither                  → never called
func (p *partition) open(ctx context.Context) error {
	if err := p.intents.claim(ctx); err != nil {
		return err
	}
	ck, err := p.marks.read(ctx)
	if err != nil {
		return err
	}
	if err := p.marks.write(ctx, ck); err != nil { // closes the checkpoint to the owner before, too
		return err
	}
	if err := p.readIntents(ctx, ck.Intents); err != nil {
		return err
	}
	if err := p.readResults(ctx, ck.Results); err != nil {
		return err
	}
	p.fed.Store(ck.Feed)
	for i := range ck.Lanes {
		if err := p.restoreLane(ctx, &ck.Lanes[i]); err != nil {
			return err
		}
	}
	for _, l := range p.lanes { // nobody else knows the partition yet
		l.start()
	}
	p.run(ck.Feed)
	return nil
}

func (p *partition) readIntents(ctx context.Context, after uint64) error {
	return p.reader.Replay(ctx, broker.Intents, broker.IntentSubject(p.n), after+1, func(m *broker.Stored) error {
		g, err := ledger.DecodeIntents(m.Data)
		if err != nil {
			return fmt.Errorf("read intents at %d: %w", m.Seq, err)
		}
		for _, in := range g.Calls {
			h := p.pastOf(in.Seq)
			if in.Call > h.calls {
				h.calls, h.calledMS = in.Call, m.Time.UnixMilli()
			}
		}
		return nil
	})
}

func (p *partition) readResults(ctx context.Context, after uint64) error {
	return p.reader.Replay(ctx, broker.Results, broker.ResultFilter(p.n), after+1, func(m *broker.Stored) error {
		r, err := ledger.DecodeResult(m.Data)
		if err != nil {
			return fmt.Errorf("read result at %d: %w", m.Seq, err)
		}
		h := p.pastOf(r.Seq)
		h.calls = max(h.calls, r.Call)
		if h.last == nil || r.Call >= h.last.Call {
			r.Request, r.Answer = ledger.Original{}, nil // only its state matters here
			h.last = r
		}
		p.d.sawResult(m.Seq)
		return nil
	})
}

func (p *partition) pastOf(seq uint64) *past {
	h := p.past[seq]
	if h == nil {
		h = &past{}
		p.past[seq] = h
	}
	return h
}

// restoreLane makes a lane stand where the checkpoint has it, then applies what
// happened to its begun requests since.
func (p *partition) restoreLane(ctx context.Context, m *laneMark) error {
	l := p.lane(laneKey{m.Provider, m.Account, m.OddClass})
	for i, q := range m.Queues {
		l.queues[i].taken, l.queues[i].head, l.queues[i].skipped = q.Taken, q.Taken, q.Known
	}
	slices.SortFunc(m.Open, func(a, b entryMark) int { return cmp.Compare(a.Seq, b.Seq) }) // for the order keys
	for i := range m.Open {
		mark := &m.Open[i]
		h := p.past[mark.Seq]
		delete(p.past, mark.Seq)
		if h != nil && h.ended() {
			continue
		}
		msg, err := p.reader.Get(ctx, broker.Requests, mark.Seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			p.log.Error("a begun request has left the stream", "provider", m.Provider, "account", m.Account, "seq", mark.Seq)
			continue
		}
		if err != nil {
			return fmt.Errorf("read request %d: %w", mark.Seq, err)
		}
		e := mark.entry(msg)
		if h != nil {
			h.restore(e, p.d.cfg.CallTimeout+doubtMargin)
		}
		e.noteMark()
		l.open[mark.Seq] = e
		if l.keys.enter(e) {
			l.waiting.add(e)
		}
	}
	return nil
}
