package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// What became of a letter in a redrive.
const (
	AsRedriven = "redriven"
	AsRefused  = "refused" // it cannot be redriven
	AsDecided  = "decided" // somebody has decided otherwise
	AsGone     = "gone"    // another run has redriven it
)

// Told is what a redrive tells of each letter.
type Told struct {
	Letter *Letter
	As     string
	NewID  string // of the request that it is redriven as
	Why    string // refused or decided: a sentence
}

const (
	maxBatch = 100 // letters at once
	atOnce   = 32  // of them, requests to the broker

	// A decision is carried out within publishWithin, or left alone. So what is
	// not done after abandonedAfter is not being done by anybody.
	publishWithin  = 3 * time.Second
	abandonedAfter = 5 * time.Second
)

// Redrive carries j out and then forgets it. It calls tell for each letter, one
// after the other. After an error, or when the process dies, j can be carried
// out again: whatever was published is not published a second time.
func (b *Box) Redrive(ctx context.Context, j *Job, tell func(Told)) error {
	r := &redrive{
		Box: b, job: j, run: events.NewID(), check: b.checker(j), tell: tell,
		size: max(1, min(maxBatch, int(j.Rate/4))), // a quarter of a second
	}
	r.limiter = rate.NewLimiter(rate.Limit(j.Rate), r.size)
	var batch []*Letter
	err := b.Each(ctx, &j.Filter, j.upTo(), func(l *Letter) error {
		err := r.check.check(ctx, l)
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			tell(Told{Letter: l, As: AsRefused, Why: refused.Why})
			return nil
		}
		if err != nil {
			return err
		}
		if batch = append(batch, l); len(batch) < r.size {
			return nil
		}
		err = r.work(ctx, batch)
		batch = nil
		return err
	})
	if err == nil {
		err = r.work(ctx, batch)
	}
	if err == nil {
		err = r.takeOver(ctx)
	}
	if err != nil {
		return err
	}
	if err := b.decisions.Delete(ctx, jobKey(j.ID)); err != nil && j.ID != "" {
		return fmt.Errorf("forget job: %w", err)
	}
	return nil
}

// A redrive is one run of [Box.Redrive].
type redrive struct {
	*Box
	job     *Job
	run     string
	check   *checker
	tell    func(Told)
	size    int // of a batch
	limiter *rate.Limiter

	others []decided // letters that another run, perhaps a dead one, has decided to redrive
	met    time.Time // when the last of them was seen
}

type decided struct {
	*Letter
	Decision
}

// work redrives letters: decides, publishes, removes, in this order.
func (r *redrive) work(ctx context.Context, letters []*Letter) error {
	if len(letters) == 0 {
		return nil
	}
	if err := r.limiter.Wait(ctx); err != nil { // for the first; what is decided must be done at once
		return err
	}
	after, err := r.lastSeq(ctx, broker.Requests)
	if err != nil {
		return err
	}
	begun := time.Now()
	held := make([]Decision, len(letters))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, l := range letters {
		g.Go(func() (err error) {
			held[i], err = r.decide(gctx, l, Decision{
				Action: Redriven, AtMS: begun.UnixMilli(), Run: r.run, After: after,
				NewID: newID(l), Class: r.job.Class, ExpiresMS: expiry(l, begun, r.job.ExpiresIn),
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var mine []decided
	for i, l := range letters {
		switch d := (decided{l, held[i]}); {
		case d.Action != Redriven:
			r.tell(Told{Letter: l, As: AsDecided, Why: (&DecidedError{l.ID, d.Decision}).Error()})
		case d.Run == r.run:
			mine = append(mine, d)
		default:
			r.others, r.met = append(r.others, d), time.Now()
		}
	}
	return r.publish(ctx, mine, begun)
}

// publish publishes what was decided, at the rate of the job, and removes the
// letters of what is stored. What is not done in time it leaves for takeOver.
func (r *redrive) publish(ctx context.Context, all []decided, begun time.Time) error {
	done := make([]bool, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, d := range all {
		if i > 0 && r.limiter.Wait(gctx) != nil {
			break // for the error of a publication, or the context's
		}
		if time.Since(begun) > publishWithin {
			r.others, r.met = append(r.others, d), time.Now()
			continue
		}
		m, err := renew(d.Letter, &d.Decision)
		if err != nil {
			g.Go(func() error { return err })
			break
		}
		g.Go(func() error {
			err := r.insist(gctx, "publish request", func(ctx context.Context) error {
				_, err := r.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
				return err
			})
			done[i] = err == nil
			return err
		})
	}
	err := errors.Join(g.Wait(), context.Cause(ctx))
	var ids []uint64
	for i, d := range all {
		if done[i] {
			ids = append(ids, d.ID)
		}
	}
	// What is stored is removed even if the run is to stop: it saves the next
	// one from looking.
	if removed := r.Remove(context.WithoutCancel(ctx), ids...); removed != nil {
		return errors.Join(err, removed)
	}
	for i, d := range all {
		if done[i] {
			r.tell(Told{Letter: d.Letter, As: AsRedriven, NewID: d.NewID})
		}
	}
	return err
}
