package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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
	// Letters are decided about, and removed, a bunch at a time, and their requests
	// go out in smaller groups, evenly. Each waking of a process costs about as much
	// as what it then does for one letter, so fewer at once would take more of the
	// processors from live traffic; and more at once, it would have to wait for.
	bunchTime = 8 * time.Millisecond // worth of letters, at the rate of the job
	groupTime = 2 * time.Millisecond // the same
	maxBunch  = 64
	atOnce    = 2 // bunches under way: one is decided about while another is published

	// A decision is carried out within publishWithin, or left alone. So what is
	// not done after abandonedAfter is not being done by anybody.
	publishWithin  = 3 * time.Second
	abandonedAfter = 5 * time.Second

	// placeAge is for how long a place in REQUESTS is taken for its end. It may
	// be an old one: more is read then, if ever somebody has to look.
	placeAge = time.Second
)

// Redrive carries j out and then forgets it. It calls tell for each letter, one
// after the other. After an error, or when the process dies, j can be carried
// out again: whatever was published is not published a second time.
func (b *Box) Redrive(ctx context.Context, j *Job, tell func(Told)) error {
	r := &redrive{
		Box: b, job: j, run: events.NewID(), check: b.checker(j), teller: tell,
		limiter: rate.NewLimiter(rate.Limit(j.Rate), max(1, int(j.Rate/50))),
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	bunch := make([]*Letter, 0, maxBunch)
	carryOut := func() error {
		if err := r.takeOver(gctx); err != nil {
			return err
		}
		after, err := r.place(gctx)
		if err != nil {
			return err
		}
		letters := slices.Clone(bunch)
		bunch = bunch[:0]
		g.Go(func() error { return r.work(gctx, letters, after) })
		return nil
	}
	err := b.gently().Each(gctx, &j.Filter, j.upTo(), func(l *Letter) error {
		err := r.check.check(gctx, l)
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			r.tell(Told{Letter: l, As: AsRefused, Why: refused.Why})
			return nil
		}
		if err != nil {
			return err
		}
		if bunch = append(bunch, l); len(bunch) < j.worth(bunchTime) {
			return nil
		}
		return carryOut()
	})
	if err == nil && len(bunch) > 0 {
		err = carryOut()
	}
	if failed := g.Wait(); failed != nil { // which is why the letters came to an end
		return failed
	}
	if err != nil {
		return err
	}
	if err := r.takeOverAll(ctx); err != nil {
		return err
	}
	if err := b.decisions.Delete(ctx, jobKey(j.ID)); err != nil && j.ID != "" {
		return fmt.Errorf("forget job: %w", err)
	}
	return nil
}

// worth is how many letters a time is worth, at the rate of j.
func (j *Job) worth(t time.Duration) int {
	return min(max(1, int(j.Rate*t.Seconds())), maxBunch)
}

// A redrive is one run of [Box.Redrive].
type redrive struct {
	*Box
	job     *Job
	run     string
	check   *checker
	limiter *rate.Limiter
	end     uint64 // of REQUESTS
	endAt   time.Time

	mu     sync.Mutex
	teller func(Told)
	others []decided // letters that another run, perhaps a dead one, has decided to redrive
	met    time.Time // when the last of them was seen
}

type decided struct {
	*Letter
	Decision
}

func (r *redrive) tell(t Told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.teller(t)
}

// place returns a sequence of REQUESTS after which whatever is decided from now
// on will stand.
func (r *redrive) place(ctx context.Context) (uint64, error) {
	if time.Since(r.endAt) < placeAge {
		return r.end, nil
	}
	at := time.Now()
	end, err := r.lastSeq(ctx, broker.Requests)
	if err == nil {
		r.end, r.endAt = end, at
	}
	return end, err
}
