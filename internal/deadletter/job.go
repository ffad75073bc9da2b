package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/renew"
	"github.com/tramhq/tram/pkg/events"
)

// A Job is a redrive as it was asked for. It is kept until it is done, so that
// it can go on after its process has died. Letters made after it was asked for
// are none of its: one that fails again does not go round and round.
type Job struct {
	ID        string        `json:"id"`
	At        time.Time     `json:"at"`
	Filter    Filter        `json:"filter"`
	UpTo      uint64        `json:"up_to"`                // the newest letter
	Letters   int           `json:"letters,omitempty"`    // as they were counted before it began
	Class     events.Class  `json:"class"`                // of the new requests
	Rate      float64       `json:"rate"`                 // of them per second
	ExpiresIn time.Duration `json:"expires_in,omitempty"` // 0: as they would have, or never if that has passed
	Unknown   bool          `json:"unknown,omitempty"`    // letters of unknown ends, too: a message may arrive twice
}

// ErrNoJob says that there is no unfinished job of that id.
var ErrNoJob = errors.New("there is no such unfinished redrive")

func jobKey(id string) string { return "job." + id }

// NewJob completes j and keeps it.
func (b *Box) NewJob(ctx context.Context, j *Job) error {
	var err error
	if j.UpTo, err = b.Newest(ctx); err != nil {
		return err
	}
	j.ID, j.At = strings.ToLower(events.NewID()[:8]), time.Now()
	data, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("store job: %w", err)
	}
	if _, err := b.decisions.Create(ctx, jobKey(j.ID), data); err != nil {
		return fmt.Errorf("store job: %w", err)
	}
	return nil
}

// Job returns an unfinished job, or an error that wraps [ErrNoJob].
func (b *Box) Job(ctx context.Context, id string) (*Job, error) {
	v, err := b.decisions.Get(ctx, jobKey(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("resume %s: %w", id, ErrNoJob)
	}
	if err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	j := new(Job)
	if err := json.Unmarshal(v.Value(), j); err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	return j, nil
}

// Jobs returns the unfinished jobs, the oldest first.
func (b *Box) Jobs(ctx context.Context) ([]*Job, error) {
	keys, err := b.decisions.ListKeysFiltered(ctx, jobKey("*"))
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	var all []*Job
	for key := range keys.Keys() {
		j, err := b.Job(ctx, strings.TrimPrefix(key, jobKey("")))
		if errors.Is(err, ErrNoJob) { // done since
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b *Job) int { return a.At.Compare(b.At) })
	return all, nil
}

// A Plan says what a job would do, as things are now.
type Plan struct {
	Letters    int
	Requests   int // of them, to be published
	Kinds      map[events.Kind]int
	Recipients int // of sends: different ones
	Accounts   int
	Lifted     int            // requests whose time was over, and that get none or a new one
	Refused    map[string]int // letters that are not redriven, by the reason
}

// A plan takes its time, too: planStep letters, then a rest, and planRate per
// second.
const (
	planRate = 10_000
	planStep = 25
)

// Plan looks at everything that j is about, and changes nothing.
func (b *Box) Plan(ctx context.Context, j *Job) (*Plan, error) {
	p := &Plan{Kinds: map[events.Kind]int{}, Refused: map[string]int{}}
	seed := maphash.MakeSeed()
	recipients, accounts := map[uint64]bool{}, map[[2]string]bool{}
	c, now := b.checker(j), time.Now()
	pace := rate.NewLimiter(planRate, planStep)
	err := b.gently().Each(ctx, &j.Filter, j.upTo(), func(l *Letter) error {
		if p.Letters%planStep == 0 {
			if err := pace.WaitN(ctx, planStep); err != nil {
				return context.Cause(ctx)
			}
		}
		p.Letters++
		if err := c.check(ctx, l); err != nil {
			if r, ok := errors.AsType[*RefusedError](err); ok {
				p.Refused[r.Why]++
				return nil
			}
			return err
		}
		p.Requests++
		p.Kinds[l.Event.Kind]++
		accounts[[2]string{l.Provider, l.Account}] = true
		if s := l.Event.Send; s != nil {
			recipients[maphash.Comparable(seed, [2]string{l.Provider, s.Recipient.Value})] = true
		}
		if l.Event.Expired(now) {
			p.Lifted++
		}
		return nil
	})
	p.Recipients, p.Accounts = len(recipients), len(accounts)
	return p, err
}

// Left is how many letters are left of those that j is about, or somewhat more:
// the broker counts them, which does not know all that was asked for.
func (b *Box) Left(ctx context.Context, j *Job) (int, error) {
	var left uint64
	err := b.insist(ctx, "count dead letters", func(ctx context.Context) error {
		info, err := b.dead.Info(ctx, jetstream.WithSubjectFilter(j.Filter.subject()))
		if err != nil {
			return err
		}
		left = 0
		for _, n := range info.State.Subjects {
			left += n
		}
		return nil
	})
	return min(int(left), cmp.Or(j.Letters, math.MaxInt)), err
}

// upTo is the newest letter that j is about. A job that was not stored has no
// bound.
func (j *Job) upTo() uint64 {
	if j.UpTo == 0 && j.ID == "" {
		return math.MaxUint64
	}
	return j.UpTo
}

func (b *Box) checker(j *Job) *checker {
	return &checker{unknown: j.Unknown, contracts: renew.NewContracts(b.js, b.patience)}
}
