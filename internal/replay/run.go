package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

const (
	recordEvery = time.Second
	maxPending  = 2048 // messages that wait for the broker's acknowledgement
	ackTimeout  = 5 * time.Second

	// patience is how long something is tried again while the broker does not
	// answer. It is well under the time for which the broker remembers ids.
	patience = 2 * time.Minute
)

// ErrUnconfigured says that answers might be read otherwise than they were.
var ErrUnconfigured = errors.New("its settings are not known, such as its time zone, and events could come out wrong without them")

// Run carries j out from where it stands, and calls tell after each batch of
// results that is done. After an error, or when the process dies, j can be
// carried out again, by any process: nothing is published twice.
func (jobs *Jobs) Run(ctx context.Context, j *Job, work Work, tell func(*Job)) error {
	if _, resends := work.(*Resender); resends != (j.Resend != nil) {
		return fmt.Errorf("replay %s: %w", j.Name, ErrOtherWork)
	}
	js, err := jetstream.New(jobs.js.Conn(), jetstream.WithPublishAsyncMaxPending(maxPending+2), jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	defer js.CleanupPublisher()
	r := &run{Jobs: jobs, job: j, work: work, js: js, tell: tell, sent: make(chan publication, maxPending)}
	if j.Rate > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(j.Rate), max(1, int(j.Rate/10)))
	}
	if err := jobs.claim(ctx, j); err != nil {
		return err
	}
	if r.there, err = jobs.published(ctx, j); err != nil {
		return err
	}
	if err := r.all(ctx); err != nil {
		if !errors.Is(err, ErrTaken) {
			// It saves the next run from looking for what is there.
			_ = jobs.record(context.WithoutCancel(ctx), j)
		}
		return err
	}
	j.Done, j.Ended = j.To, time.Now()
	return jobs.record(ctx, j)
}

// published returns which messages of j are stored, by ce-id, of the results
// that are not recorded as done.
func (jobs *Jobs) published(ctx context.Context, j *Job) (map[string]bool, error) {
	there := map[string]bool{}
	err := jobs.read.Scan(ctx, j.Target, broker.Window{From: j.After + 1}, func(m *broker.Stored) error {
		if id, ok := strings.CutPrefix(m.Header.Get(events.HeaderMsgID), j.mark()); ok {
			there[id] = true
		}
		return nil
	})
	return there, err
}

// mark begins the Nats-Msg-Id of what j publishes. It is not the id of the first
// time, by which the broker would take a replay for a repetition and drop it.
func (j *Job) mark() string { return "replay/" + j.Name + "/" }

// A run carries a job out. One goroutine publishes without waiting; the other
// follows in the same order, and waits for the broker to have each message.
type run struct {
	*Jobs
	job     *Job
	work    Work
	js      jetstream.JetStream
	tell    func(*Job)
	limiter *rate.Limiter // or nil
	there   map[string]bool
	sent    chan publication
	acked   atomic.Uint64 // highest sequence in the target stream that is known
}

// A publication is a message under way, or the end of a batch.
type publication struct {
	msg    *nats.Msg
	future jetstream.PubAckFuture
	err    error // instead of a future

	end    *batch
	count  int    // of its messages
	behind uint64 // in the target stream, they all come after it
}

// all publishes what is not done yet.
func (r *run) all(ctx context.Context) error {
	w := r.job.window()
	if w.From = r.job.Done + 1; w.From > w.To {
		return nil
	}
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	settled := make(chan error, 1)
	go func() {
		err := r.settle(working)
		stop(err) // ends the rest, if it is not at its end
		settled <- err
	}()
	err := pipeline(working, r.read, w, func(b *batch) { r.work.fill(working, b, r.job) }, func(b *batch) error { return r.publish(working, b) })
	close(r.sent)
	if end := <-settled; end != nil {
		return end
	}
	return err
}

func (r *run) publish(ctx context.Context, b *batch) error {
	if b.err != nil {
		return b.err
	}
	if b.unconfigured != "" && !r.job.Unconfigured {
		return fmt.Errorf("replay answers of %s: %w", b.unconfigured, ErrUnconfigured)
	}
	end := publication{end: b, behind: r.acked.Load()}
	for _, all := range b.made {
		for _, m := range all {
			end.count++
			id := m.Header.Get(events.HeaderID)
			if r.there[id] {
				continue
			}
			m.Subject = r.job.subject(m.Subject)
			m.Header.Set(events.HeaderMsgID, r.job.mark()+id)
			m.Header.Set(events.HeaderReplay, r.job.Name)
			if r.limiter != nil {
				if err := r.limiter.Wait(ctx); err != nil {
					return context.Cause(ctx)
				}
			}
			p := publication{msg: m}
			p.future, p.err = r.js.PublishMsgAsync(m)
			if err := r.send(ctx, p); err != nil {
				return err
			}
		}
	}
	return r.send(ctx, end)
}

func (r *run) send(ctx context.Context, p publication) error {
	select {
	case r.sent <- p:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settle waits for what is under way until there is no more. It records how far
// the job has come.
func (r *run) settle(ctx context.Context) error {
	recorded := time.Now()
	for p := range r.sent {
		if p.end == nil {
			if err := r.store(ctx, p); err != nil {
				return err
			}
			continue
		}
		j := r.job
		j.Done, j.After = p.end.results[len(p.end.results)-1].Seq, max(j.After, p.behind)
		j.Seen.add(p.end.seen)
		j.Published += p.count
		r.tell(j)
		if time.Since(recorded) < recordEvery {
			continue
		}
		recorded = time.Now()
		if err := r.record(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// store returns once the broker has the message.
func (r *run) store(ctx context.Context, p publication) error {
	if p.err == nil {
		select { // one comes within ackTimeout
		case ack := <-p.future.Ok():
			r.saw(ack.Sequence)
			return nil
		case p.err = <-p.future.Err():
		}
	}
	return broker.Insist(ctx, patience, "publish again", func(ctx context.Context) error {
		ack, err := r.js.PublishMsg(ctx, p.msg, jetstream.WithRetryAttempts(0))
		if err == nil {
			r.saw(ack.Sequence)
		}
		return err
	})
}

// saw notes a sequence that the target stream has. Only settle calls it.
func (r *run) saw(seq uint64) { r.acked.Store(max(seq, r.acked.Load())) }
