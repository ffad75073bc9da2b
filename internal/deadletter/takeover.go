package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// leave keeps letters for later: somebody else may be at them.
func (r *redrive) leave(d decided) { r.others, r.met = append(r.others, d), time.Now() }

// overdue reports whether the last of what was left was met so long ago that
// nobody else can be at any of it. The sooner it is taken over then, the less of
// REQUESTS has to be read for it.
func (r *redrive) overdue() bool { return len(r.others) > 0 && time.Since(r.met) >= r.abandoned }

// takeOver finishes what was left, which is overdue. Nothing else of the run is
// under way: what is decided must not wait for long.
func (r *redrive) takeOver(ctx context.Context) error {
	all := r.others
	r.others = nil
	return r.finish(ctx, all)
}

// takeOverAll waits until all that was left is overdue, and takes it over.
func (r *redrive) takeOverAll(ctx context.Context) error {
	for len(r.others) > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Until(r.met.Add(r.abandoned))):
		}
		if err := r.takeOver(ctx); err != nil {
			return err
		}
	}
	return nil
}

// finish publishes those of all that were not published, and removes the
// letters of those that were.
func (r *redrive) finish(ctx context.Context, all []decided) error {
	requests, err := r.info(ctx, broker.Requests)
	if err != nil {
		return err
	}
	keeps := requests.Config.MaxAge
	var published map[string]bool
	var looked time.Time
	for _, d := range all {
		if err := r.wait(ctx, 1); err != nil {
			return err
		}
		if time.Since(looked) > publishWithin { // somebody may have published meanwhile
			looked = time.Now()
			if published, err = r.published(ctx, all); err != nil {
				return err
			}
		}
		_, err := r.Get(ctx, d.ID)
		switch {
		case errors.Is(err, ErrGone):
			r.tell(Told{Letter: d.Letter, As: AsGone, NewID: d.NewID})
		case err != nil:
			return err
		case published[d.NewID]:
			if err := r.remove(ctx, d.ID); err != nil {
				return err
			}
			r.tell(Told{Letter: d.Letter, As: AsGone, NewID: d.NewID})
		case keeps > 0 && time.Since(d.At()) > keeps:
			r.tell(Told{Letter: d.Letter, As: AsRefused, Why: whyForgotten})
		default:
			if err := r.carryOut(ctx, d); err != nil {
				return err
			}
			published[d.NewID] = true // there may be another letter of the same request
		}
	}
	return nil
}

// carryOut publishes what was decided about a letter, and removes it.
func (r *redrive) carryOut(ctx context.Context, d decided) error {
	m, err := again(d.Letter, &d.Decision)
	if err != nil {
		return err
	}
	if _, err := r.send(m).stored(ctx, "publish request"); err != nil {
		return err
	}
	if err := r.remove(ctx, d.ID); err != nil {
		return err
	}
	r.tell(Told{Letter: d.Letter, As: AsRedriven, NewID: d.NewID})
	return nil
}

const whyForgotten = "its redrive was begun so long ago that nobody can tell whether it was published: look for its events, then drop it or publish it anew"

// published returns which of the new requests are stored, by their ids. It reads
// what the accounts' classes have got since the decisions.
func (r *redrive) published(ctx context.Context, all []decided) (map[string]bool, error) {
	after := map[string]uint64{} // by what matches the lane in REQUESTS
	for _, d := range all {
		lane := broker.LaneFilter(broker.Partition(d.Provider, d.Account, r.partitions), d.Provider, d.Account, d.Class)
		if first, ok := after[lane]; !ok || d.After < first {
			after[lane] = d.After
		}
	}
	ids := map[string]bool{}
	for lane, seq := range after {
		err := r.read.Replay(ctx, broker.Requests, lane, seq+1, func(m *broker.Stored) error {
			if id := m.Header[events.HeaderID]; len(id) == 1 {
				ids[id[0]] = true
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for redriven requests: %w", err)
		}
	}
	return ids, nil
}
