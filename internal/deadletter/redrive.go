package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	// A step has this much worth of letters, at the rate of the job. Each waking of
	// a process costs about as much as what it then does for one letter, so fewer
	// at once would take more of the processors from live traffic; and more at once,
	// it would have to wait for.
	stepTime = 10 * time.Millisecond
	maxStep  = 128

	// slow is the rate, per second, below which a letter is done with before the
	// next one is begun: what is decided must not wait for long.
	slow = 100

	// A decision is carried out within publishWithin, or left alone. So what is
	// not done after abandonedAfter is not being done by anybody.
	publishWithin  = 3 * time.Second
	abandonedAfter = 5 * time.Second

	// settleTime is how long a run that stops may take to end what it has begun,
	// which saves the next one from looking.
	settleTime = 3 * time.Second
)

// Redrive carries j out and then forgets it. It calls tell for each letter, one
// after the other. After an error, or when the process dies, j can be carried
// out again: whatever was published is not published a second time.
func (b *Box) Redrive(ctx context.Context, j *Job, tell func(Told)) error {
	r, err := b.newRedrive(ctx, j, tell)
	if err != nil {
		return err
	}
	defer r.pub.Close()
	if err := r.all(ctx); err != nil {
		return err
	}
	if err := b.decisions.Delete(ctx, jobKey(j.ID)); err != nil && j.ID != "" {
		return fmt.Errorf("forget job: %w", err)
	}
	return nil
}

// lasts is how long so many letters take at the rate of j.
func (j *Job) lasts(letters int) time.Duration {
	return time.Duration(float64(letters) / j.Rate * float64(time.Second))
}

// A redrive is one run of [Box.Redrive].
type redrive struct {
	*Box
	pipeline
	job     *Job
	run     string
	check   *checker
	tell    func(Told)
	pub     *broker.Publisher
	limiter *rate.Limiter
	size    int // letters of a step

	end    uint64    // a sequence of REQUESTS that has been reached
	others []decided // letters that another run, perhaps a dead one, has decided to redrive
	met    time.Time // when the last of them was seen
}

type decided struct {
	*Letter
	Decision
}

// newRedrive returns a run that has not begun. Its publisher must be closed.
func (b *Box) newRedrive(ctx context.Context, j *Job, tell func(Told)) (*redrive, error) {
	r := &redrive{Box: b, job: j, run: events.NewID(), check: b.checker(j), tell: tell}
	r.size = min(max(1, int(j.Rate*stepTime.Seconds())), maxStep)
	r.limiter = rate.NewLimiter(rate.Limit(j.Rate), max(r.size, int(j.Rate/50)))
	var err error
	if r.end, err = b.lastSeq(ctx, broker.Requests); err != nil {
		return nil, err
	}
	r.pub, err = broker.NewPublisher(b.js.Conn(), broker.AckWait)
	return r, err
}

// all redrives all letters of the job.
func (r *redrive) all(ctx context.Context) error {
	// What has begun goes on for settleTime after ctx.
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(settleTime, end) })()

	reading, stop := context.WithCancel(ctx)
	defer stop()
	letters := make(chan *Letter, maxStep)
	var reader errgroup.Group
	reader.Go(func() error {
		defer close(letters)
		return r.gently().Each(reading, &r.job.Filter, r.job.upTo(), func(l *Letter) error {
			select {
			case letters <- l:
				return nil
			case <-reading.Done():
				return context.Cause(reading)
			}
		})
	})
	err := r.steps(ctx, lasting, letters)
	stop()
	if read := reader.Wait(); err == nil {
		err = read
	}
	if err != nil {
		settling, cancel := context.WithTimeout(lasting, settleTime)
		defer cancel()
		_ = r.drain(settling) // what is not done then, the next run does
		return err
	}
	if err := r.drain(lasting); err != nil {
		return err
	}
	return r.takeOverAll(ctx)
}

// steps takes steps until there are no more letters.
func (r *redrive) steps(ctx, lasting context.Context, letters <-chan *Letter) error {
	for more := true; more; {
		var group []*Letter
		var err error
		if group, more, err = r.next(ctx, letters); err != nil {
			return err
		}
		if overdue := r.overdue(); overdue || r.job.Rate < slow {
			if err := r.drain(lasting); err != nil {
				return err
			}
			if overdue {
				if err := r.takeOver(ctx); err != nil {
					return err
				}
			}
		}
		if err := r.wait(ctx, len(group)); err != nil {
			return err
		}
		if err := r.step(ctx, lasting, group); err != nil {
			return err
		}
	}
	return nil
}

// wait holds the rate of the job.
func (r *redrive) wait(ctx context.Context, letters int) error {
	if err := r.limiter.WaitN(ctx, letters); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return nil
}

// next returns the letters of the next step, and whether there are more. While
// letters are under way it does not wait for others.
func (r *redrive) next(ctx context.Context, letters <-chan *Letter) (group []*Letter, more bool, err error) {
	for len(group) < r.size {
		var l *Letter
		select {
		case l, more = <-letters:
		default:
			if len(group) > 0 || r.busy() {
				return group, true, nil
			}
			l, more = <-letters
		}
		if !more {
			return group, false, nil
		}
		err := r.check.check(ctx, l)
		refused, ok := errors.AsType[*RefusedError](err)
		switch {
		case ok:
			r.tell(Told{Letter: l, As: AsRefused, Why: refused.Why})
		case err != nil:
			return nil, false, err
		default:
			group = append(group, l)
		}
	}
	return group, true, nil
}
