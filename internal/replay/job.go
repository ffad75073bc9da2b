package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A Job is a replay as it was asked for, and how far it has come.
type Job struct {
	Name      string    `json:"name"`
	At        time.Time `json:"at"` // when it was asked for
	Selection           // To is never 0
	Target    string    `json:"target"`         // the stream that it publishes to
	Rate      float64   `json:"rate,omitempty"` // of messages per second; 0 is as fast as it goes

	// Resend is set on a job that sends requests again; one without makes events.
	Resend *Resend `json:"resend,omitempty"`

	// Unconfigured lets answers be read without the settings of their accounts.
	Unconfigured bool `json:"unconfigured,omitempty"`

	// Keep is how long a stream of the job's own keeps its messages; 0 is for
	// jobs that publish to a stream of the relay.
	Keep time.Duration `json:"keep,omitempty"`

	Done      uint64    `json:"done"`  // everything of the results up to it is stored
	After     uint64    `json:"after"` // in the target stream, everything of the others comes after it
	Seen      Seen      `json:"seen"`
	Published int       `json:"published"` // messages
	Ended     time.Time `json:"ended,omitzero"`

	revision uint64 // of the record
}

// Own reports whether j publishes to a stream of its own.
func (j *Job) Own() bool { return j.Keep > 0 }

// subject is where j publishes what the relay would publish to a subject.
func (j *Job) subject(s string) string {
	if j.Own() {
		return broker.ReplayPrefix(j.Name) + strings.TrimPrefix(s, "tram.")
	}
	return s
}

// Errors of jobs.
var (
	ErrNoJob  = errors.New("there is no such replay")
	ErrExists = errors.New("there is a replay of that name")
	ErrTaken  = errors.New("another process carries it out now")
)

// Jobs are the replays of a broker.
type Jobs struct {
	js   jetstream.JetStream
	read *broker.Reader
	kv   jetstream.KeyValue
}

// Open returns the replays of the relay that js leads to. The error wraps
// [events.ErrNotSetUp] if its streams are not there.
func Open(ctx context.Context, js jetstream.JetStream) (*Jobs, error) {
	kv, err := js.KeyValue(ctx, broker.JobsBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("open replays: %w: %w", events.ErrNotSetUp, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open replays: %w", err)
	}
	return &Jobs{js: js, read: broker.NewReader(js), kv: kv}, nil
}

const jobPrefix = "replay."

// New completes j, makes its stream if it has one of its own, and keeps j.
func (jobs *Jobs) New(ctx context.Context, j *Job) error {
	results, err := jobs.js.Stream(ctx, broker.Results)
	if err != nil {
		return fmt.Errorf("begin replay: %w", err)
	}
	if _, err := jobs.Get(ctx, j.Name); !errors.Is(err, ErrNoJob) {
		return cmp.Or(err, fmt.Errorf("begin replay %s: %w", j.Name, ErrExists))
	}
	j.At = time.Now()
	state := results.CachedInfo().State
	j.From = max(j.From, state.FirstSeq, 1)
	if j.To = min(cmp.Or(j.To, state.LastSeq), state.LastSeq); j.To < j.From {
		return fmt.Errorf("begin replay %s: no results are stored in that window", j.Name)
	}
	j.Done = j.From - 1
	if j.Own() {
		if err := jobs.newStream(ctx, j); err != nil {
			return err
		}
	} else if j.After, err = jobs.end(ctx, j.Target); err != nil {
		return err
	}
	data, err := json.Marshal(j)
	if err == nil {
		j.revision, err = jobs.kv.Create(ctx, jobPrefix+j.Name, data)
	}
	if err != nil {
		return fmt.Errorf("begin replay %s: %w", j.Name, err)
	}
	return nil
}

// newStream makes the stream of a job, safe as EVENTS is.
func (jobs *Jobs) newStream(ctx context.Context, j *Job) error {
	like, err := jobs.js.Stream(ctx, broker.Events)
	if err != nil {
		return fmt.Errorf("begin replay %s: %w", j.Name, err)
	}
	c := like.CachedInfo().Config
	j.Target = broker.ReplayStream(j.Name)
	_, err = jobs.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: j.Target, Description: "tram: a replay, to be removed with tram replay clean " + j.Name,
		Subjects: []string{broker.ReplayPrefix(j.Name) + ">"},
		MaxAge:   j.Keep, Duplicates: min(c.Duplicates, j.Keep), Discard: jetstream.DiscardNew,
		Storage: jetstream.FileStorage, Replicas: c.Replicas, AllowDirect: true,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		err = fmt.Errorf("%w, whose record is gone: remove it with tram replay clean %s", ErrExists, j.Name)
	}
	if err != nil {
		return fmt.Errorf("begin replay %s: %w", j.Name, err)
	}
	return nil
}

// end is the last sequence of a stream.
func (jobs *Jobs) end(ctx context.Context, stream string) (uint64, error) {
	s, err := jobs.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Get returns a job, or an error that wraps [ErrNoJob].
func (jobs *Jobs) Get(ctx context.Context, name string) (*Job, error) {
	v, err := jobs.kv.Get(ctx, jobPrefix+name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("replay %s: %w", name, ErrNoJob)
	}
	if err != nil {
		return nil, fmt.Errorf("read replay %s: %w", name, err)
	}
	j := new(Job)
	if err := json.Unmarshal(v.Value(), j); err != nil {
		return nil, fmt.Errorf("read replay %s: %w", name, err)
	}
	j.revision = v.Revision()
	return j, nil
}

// All returns all jobs, the oldest first.
func (jobs *Jobs) All(ctx context.Context) ([]*Job, error) {
	keys, err := jobs.kv.ListKeysFiltered(ctx, jobPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("read replays: %w", err)
	}
	var all []*Job
	for key := range keys.Keys() {
		j, err := jobs.Get(ctx, strings.TrimPrefix(key, jobPrefix))
		if errors.Is(err, ErrNoJob) { // cleaned since
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

// Clean forgets a job and removes its stream, if it has one of its own. A
// process that carries it out stops.
func (jobs *Jobs) Clean(ctx context.Context, name string) error {
	_, err := jobs.Get(ctx, name)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNoJob) {
		return err
	}
	removed := jobs.js.DeleteStream(ctx, broker.ReplayStream(name))
	switch {
	case errors.Is(removed, jetstream.ErrStreamNotFound) && !known:
		return err
	case removed != nil && !errors.Is(removed, jetstream.ErrStreamNotFound):
		return fmt.Errorf("remove the stream of replay %s: %w", name, removed)
	}
	if err := jobs.kv.Purge(ctx, jobPrefix+name); err != nil {
		return fmt.Errorf("forget replay %s: %w", name, err)
	}
	return nil
}

// record keeps how far j has come. The error wraps [ErrTaken] if somebody else
// has done so since.
func (jobs *Jobs) record(ctx context.Context, j *Job) error {
	data, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("record replay %s: %w", j.Name, err)
	}
	err = broker.Insist(ctx, patience, "record replay "+j.Name, func(ctx context.Context) error {
		revision, err := jobs.kv.Update(ctx, jobPrefix+j.Name, data, j.revision)
		if err == nil {
			j.revision = revision
		}
		return err
	})
	if broker.IsWrongSequence(err) {
		// It may be this very record, if an answer was lost.
		if v, got := jobs.kv.Get(ctx, jobPrefix+j.Name); got == nil && string(v.Value()) == string(data) {
			j.revision = v.Revision()
			return nil
		}
		return fmt.Errorf("record replay %s: %w", j.Name, ErrTaken)
	}
	return err
}

// claim makes this process the one that carries j out: another that is at it
// stops at its next record.
func (jobs *Jobs) claim(ctx context.Context, j *Job) error {
	for {
		err := jobs.record(ctx, j)
		if !errors.Is(err, ErrTaken) {
			return err
		}
		now, err := jobs.Get(ctx, j.Name) // it has gone on meanwhile
		if err != nil {
			return err
		}
		j.Done, j.After, j.Seen, j.Published, j.revision = now.Done, now.After, now.Seen, now.Published, now.revision
	}
}
