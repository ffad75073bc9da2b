package deadletter

import (
	"context"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/renew"
)

// work redrives a bunch of letters: decides about all, publishes them group by
// group, removes all, in this order.
func (r *redrive) work(ctx context.Context, letters []*Letter, after uint64) error {
	begun := time.Now()
	mine, err := r.decideAll(ctx, letters, begun, after)
	if err != nil {
		return err
	}
	mine, err = r.publishAll(ctx, mine, begun)
	if err != nil {
		return err
	}
	if err := r.done(ctx, mine...); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// decideAll decides about letters, all at once, and returns those that are this
// run's to publish.
func (r *redrive) decideAll(ctx context.Context, letters []*Letter, now time.Time, after uint64) (mine []decided, err error) {
	begun := make([]*deciding, len(letters))
	for i, l := range letters {
		begun[i], err = r.deciding(l, Decision{
			Action: Redriven, AtMS: now.UnixMilli(), Run: r.run, After: after,
			NewID: newID(l), Class: r.job.Class, ExpiresMS: renew.Expiry(l.Event, now, r.job.ExpiresIn),
		})
		if err != nil {
			return nil, err
		}
	}
	for i, l := range letters {
		held, err := begun[i].held(ctx)
		switch {
		case err != nil:
			return nil, err
		case held.Action != Redriven:
			r.tell(Told{Letter: l, As: AsDecided, Why: (&DecidedError{l.ID, held}).Error()})
		case held.Run != r.run:
			r.leave(decided{l, held})
		default:
			mine = append(mine, decided{l, held})
		}
	}
	return mine, nil
}

// publishAll publishes what was decided at a time, at the rate of the job. It
// returns what is stored: less than all if the run ends, or took too long.
func (r *redrive) publishAll(ctx context.Context, all []decided, at time.Time) ([]decided, error) {
	begun := make([]*sending, 0, len(all))
	for group := range slices.Chunk(all, r.job.worth(groupTime)) {
		if r.limiter.WaitN(ctx, len(group)) != nil { // the run ends
			break
		}
		if time.Since(at) > publishWithin {
			r.leave(all[len(begun):]...)
			break
		}
		for _, d := range group {
			m, err := again(d.Letter, &d.Decision)
			if err != nil {
				return nil, err
			}
			begun = append(begun, r.send(m))
		}
	}
	for _, s := range begun {
		if err := s.stored(ctx, "publish request"); err != nil {
			return nil, err
		}
	}
	return all[:len(begun)], nil
}

// publish publishes what was decided, and returns when it is stored.
func (r *redrive) publish(ctx context.Context, d decided) error {
	m, err := again(d.Letter, &d.Decision)
	if err != nil {
		return err
	}
	return r.send(m).stored(ctx, "publish request")
}

// done removes letters whose requests are stored: even if the run is to stop, for
// that saves the next one from looking.
func (r *redrive) done(ctx context.Context, all ...decided) error {
	ids := make([]uint64, len(all))
	for i, d := range all {
		ids[i] = d.ID
	}
	if err := r.remove(context.WithoutCancel(ctx), ids...); err != nil {
		return err
	}
	for _, d := range all {
		r.tell(Told{Letter: d.Letter, As: AsRedriven, NewID: d.NewID})
	}
	return nil
}
