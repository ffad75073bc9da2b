package deadletter

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/renew"
)

// A pipeline is the letters that a run is at: it publishes those of one step, and
// then removes them and decides about those of the next one, at once. These two
// take turns: together they would keep the broker for too long.
type pipeline struct {
	deciding   []*deciding
	since      time.Time // that they are decided about
	publishing []publishing
	removing   []decided
	removal    *errgroup.Group
}

// A publishing is a request on its way, of a letter whose decision is stored.
type publishing struct {
	decided
	*sending
}

// busy reports whether letters are under way.
func (p *pipeline) busy() bool { return len(p.deciding)+len(p.publishing)+len(p.removing) > 0 }

// step publishes the letters of the step before, and half a step later removes
// them and begins with more. What has begun lasts longer than ctx.
func (r *redrive) step(ctx, lasting context.Context, more []*Letter) error {
	if err := r.endRemoving(); err != nil {
		return err
	}
	if err := r.endDeciding(lasting); err != nil {
		return err
	}
	if len(more) > 0 && len(r.publishing) > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(r.job.lasts(len(more)) / 2):
		}
	}
	if err := r.endPublishing(lasting); err != nil {
		return err
	}
	return r.decideAll(more)
}

// drain takes steps until no letter is under way.
func (r *redrive) drain(ctx context.Context) error {
	for r.busy() {
		if err := r.step(ctx, ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// decideAll begins to decide about letters.
func (r *redrive) decideAll(letters []*Letter) error {
	r.since = time.Now()
	for _, l := range letters {
		d := Decision{
			Action: Redriven, AtMS: r.since.UnixMilli(), Run: r.run, After: r.end,
			NewID: newID(l), Class: r.job.Class, ExpiresMS: renew.Expiry(l.Event, r.since, r.job.ExpiresIn),
		}
		m, err := d.about(l)
		if err != nil {
			return err
		}
		r.deciding = append(r.deciding, &deciding{r.send(m), l, d})
	}
	return nil
}

// endDeciding begins to publish the letters about which the decisions of this run
// hold.
func (r *redrive) endDeciding(ctx context.Context) error {
	all := r.deciding
	r.deciding = nil
	for _, begun := range all {
		held, err := begun.held(ctx)
		d := decided{begun.letter, held}
		switch {
		case err != nil:
			return err
		case held.Action != Redriven:
			r.tell(Told{Letter: d.Letter, As: AsDecided, Why: (&DecidedError{d.ID, held}).Error()})
		// Another run's, or of another letter of the same request: perhaps carried out.
		case held != begun.wanted, time.Since(r.since) > publishWithin:
			r.leave(d)
		default:
			m, err := again(d.Letter, &held)
			if err != nil {
				return err
			}
			r.publishing = append(r.publishing, publishing{d, r.send(m)})
		}
	}
	return nil
}

// endPublishing begins to remove the letters whose requests are stored.
func (r *redrive) endPublishing(ctx context.Context) error {
	all := r.publishing
	r.publishing = nil
	var ids []uint64
	var failed error
	for _, p := range all {
		seq, err := p.stored(ctx, "publish request")
		if err != nil {
			failed = err
			break
		}
		r.end = max(r.end, seq)
		r.removing, ids = append(r.removing, p.decided), append(ids, p.ID)
	}
	if len(ids) > 0 {
		r.removal = new(errgroup.Group)
		r.removal.Go(func() error { return r.remove(ctx, ids...) })
	}
	return failed
}

// endRemoving tells of the letters that are removed.
func (r *redrive) endRemoving() error {
	all := r.removing
	if r.removing = nil; len(all) == 0 {
		return nil
	}
	if err := r.removal.Wait(); err != nil {
		return err
	}
	for _, d := range all {
		r.tell(Told{Letter: d.Letter, As: AsRedriven, NewID: d.NewID})
	}
	return nil
}
