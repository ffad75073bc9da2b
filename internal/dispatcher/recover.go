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
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// doubtMargin is waited beyond the time of a call that an owner before us had
// under way, for its result to arrive.
const doubtMargin = time.Second

// open takes the partition over: it closes the intent log to the owner before,
// learns from checkpoint, intents and results what was done, and goes on from
// there.
//
//	result stored            → as the result says
//	intent without a result  → in doubt
//	neither                  → never called
func (p *partition) open(ctx context.Context) error {
	var err error
	if p.clock, err = p.intents.claim(ctx); err != nil {
		return err
	}
	ck, err := p.marks.read(ctx)
	if err != nil {
		return err
	}
	if err := p.marks.write(ctx, ck); err != nil { // closes the checkpoint to the owner before, too
		return err
	}
	for _, h := range ck.Past {
		p.past.of[h.Seq] = h
	}
	p.cancels = newCancels(p, ck)
	if err := p.readIntents(ctx, ck.Intents); err != nil {
		return err
	}
	since, err := p.readResults(ctx, ck.Results)
	if err != nil {
		return err
	}
	p.fed.Store(ck.Feed)
	p.strays.Store(ck.Strays)
	if p.voids, err = p.pastVoids(ctx); err != nil {
		return err
	}
	for i := range ck.Lanes {
		m := &ck.Lanes[i]
		if since[laneKey{m.Provider, m.Account, m.OddClass}].taken {
			m.Refused = 0
		}
		if err := p.restoreLane(ctx, m); err != nil {
			return err
		}
	}
	for key, s := range since {
		if !s.silent.IsZero() {
			p.lane(key).silence(s.silent)
		}
	}
	p.past.countDoubts()
	n, err := p.since(ctx, ck.Feed)
	if err != nil {
		return err
	}
	p.d.intake.join(p, n)
	for _, l := range p.all() {
		l.stir()
	}
	p.run()
	return nil
}

// since returns the newest requests, those after feed being news. The first of them
// may be far from there: lanes that are not behind begin right before it.
func (p *partition) since(ctx context.Context, feed uint64) (newest, error) {
	n, err := p.newest(ctx)
	if err != nil || !n.after(feed) {
		return n, err
	}
	first, _, err := p.reader.NextBySubject(ctx, broker.Requests, broker.PartitionFilter(p.n), feed+1, 1)
	if err == nil && len(first) > 0 {
		before := first[0].Seq - 1
		p.fed.Store(before)
		for _, l := range p.all() {
			l.nothingUpTo(before)
		}
	}
	return n, err
}

func (p *partition) readIntents(ctx context.Context, after uint64) error {
	// Up to our own claim: nobody but us has written after it. One intent missed
	// would be a call made twice.
	return p.reader.ReplayTo(ctx, broker.Intents, broker.IntentSubject(p.n), after+1, p.intents.position(), func(m *broker.Stored) error {
		g, err := ledger.DecodeIntents(m.Data)
		if err != nil {
			return fmt.Errorf("read intents at %d: %w", m.Seq, err)
		}
		for _, in := range g.Calls {
			if in.Call == 0 { // an answer to a cancel, which is no call
				continue
			}
			h := p.past.at(in.Seq)
			if in.Call > h.Calls {
				h.Calls, h.CalledMS, h.Plan, h.Void = in.Call, m.Time.UnixMilli(), in.Plan, in.Void
			}
		}
		return nil
	})
}

// A since is what results tell of an account.
type since struct {
	silent time.Time // it must not be called before
	taken  bool      // its credential was, at the last call that says so or not
}

// readResults notes what the results after a position tell of requests, and
// returns what they tell of accounts.
func (p *partition) readResults(ctx context.Context, after uint64) (all map[laneKey]since, err error) {
	all = make(map[laneKey]since)
	err = p.reader.Replay(ctx, broker.Results, broker.ResultFilter(p.n), after+1, func(m *broker.Stored) error {
		r, err := storedResult(m)
		if err != nil {
			return fmt.Errorf("read result at %d: %w", m.Seq, err)
		}
		if r.Resolved { // it tells of no call, and its request had ended
			return nil
		}
		_, provider, account, err := broker.ParseResult(m.Subject)
		if err != nil {
			return err
		}
		key := laneKey{provider: provider, account: account}
		all[key] = all[key].and(r, p.clock.local(ceilMS(m.Time)+r.SilenceMS))
		p.d.sawResult(m.Seq)
		if ofCancel(r) {
			p.cancels.before(r.Seq)
			return nil
		}
		h := p.past.at(r.Seq)
		h.Calls = max(h.Calls, r.Call)
		h.Touched = h.Touched || r.Why.Class == string(channels.Ambiguous)
		if h.Last == nil || r.Call >= h.Last.Call {
			r.Request, r.Answer, r.Why, r.Trace = ledger.Original{}, nil, events.Why{}, ""
			h.Last, h.LastSeq = r, m.Seq
		}
		return nil
	})
	return all, err
}

// and takes in one result more, whose silence ends at the given time.
func (s since) and(r *ledger.Result, silent time.Time) since {
	if r.SilenceMS > 0 && silent.After(s.silent) {
		s.silent = silent
	}
	switch {
	case r.Answer == nil:
	case r.Why.Class == string(channels.Auth):
		s.taken = false
	case takes(r.Why):
		s.taken = true
	}
	return s
}

// restoreLane makes a lane stand where the checkpoint has it, then applies what
// happened to its begun requests since.
func (p *partition) restoreLane(ctx context.Context, m *laneMark) error {
	l := p.lane(laneKey{m.Provider, m.Account, m.OddClass})
	for i, q := range m.Queues {
		l.queues[i].taken, l.queues[i].head, l.queues[i].skipped = q.Taken, q.Taken, q.Known
		l.queues[i].others = q.Others
	}
	l.silence(p.clock.local(m.Silence))
	l.restoreStanding(m)
	called := func(m entryMark) int { // of an order key, the one that is being worked
		if h := p.past.of[m.Seq]; m.Calls > 0 || h != nil && h.Calls > 0 {
			return 0
		}
		return 1
	}
	slices.SortFunc(m.Open, func(a, b entryMark) int { return cmp.Or(cmp.Compare(called(a), called(b)), cmp.Compare(a.Seq, b.Seq)) })
	for i := range m.Open {
		mark := &m.Open[i]
		h := p.past.meet(mark.Seq)
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
		e := mark.entry(msg, p.clock)
		if h != nil {
			h.restore(e, p.d.cfg.CallTimeout+doubtMargin, p.clock)
		}
		e.noteMark()
		l.openLocked(e)
		switch {
		case e.stopped():
			l.voided.add(e)
		case !l.keys.enter(e):
		default:
			l.waiting.add(e)
		}
	}
	return nil
}
