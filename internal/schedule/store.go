package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// Errors of the store.
var (
	ErrNone    = errors.New("there is no such schedule: `tram schedule list` shows them")
	ErrExists  = errors.New("there is a schedule of that name: --replace puts this one in its place")
	ErrChanged = errors.New("somebody else has changed it meanwhile: look at it and try again")
)

// A Store is the bucket in which the schedules stand. It is safe for concurrent
// use.
type Store struct {
	js   jetstream.JetStream
	read *broker.Reader
}

// NewStore returns the store of the relay that js leads to.
func NewStore(js jetstream.JetStream) *Store { return &Store{js: js, read: broker.NewReader(js)} }

// Book reads all schedules. The error wraps [events.ErrNotSetUp] if there is no
// bucket.
func (s *Store) Book(ctx context.Context) (*Book, error) {
	b := new(Book)
	err := s.read.Replay(ctx, broker.SchedulesStream, broker.SchedulesPrefix+">", 1, func(m *broker.Stored) error {
		b.Take(m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", notSetUp(err))
	}
	return b, nil
}

// Get reads one schedule; what is there no more has the revisions of that. The
// error wraps [events.ErrNotSetUp] if there is no bucket.
func (s *Store) Get(ctx context.Context, name string) (*Entry, error) {
	b := &Book{entries: map[string]*Entry{name: {Name: name}}}
	for _, key := range []string{scheduleKey, progressKey} {
		m, err := s.read.Last(ctx, broker.SchedulesStream, broker.SchedulesPrefix+key+name)
		switch {
		case err == nil:
			b.Take(m)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, fmt.Errorf("read schedule %s: %w", name, notSetUp(err))
		}
	}
	return b.entries[name], nil
}

func notSetUp(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return events.ErrNotSetUp
	}
	return err
}

// Write puts sched in the place of what e has. When it returns, no run begins
// any more of what stood there before. The error wraps [ErrChanged] if e is not
// what stands there now.
func (s *Store) Write(ctx context.Context, e *Entry, sched *Schedule) error {
	data, err := json.Marshal(sched)
	if err == nil {
		_, err = s.put(ctx, scheduleKey+e.Name, data, atRevision(e.Revision))
	}
	if err == nil {
		err = s.touch(ctx, e)
	}
	if err != nil {
		return fmt.Errorf("write schedule %s: %w", e.Name, err)
	}
	return nil
}

// Remove removes what e has. When it returns, no run of it begins any more. The
// error wraps [ErrChanged] if e is not what stands there now.
func (s *Store) Remove(ctx context.Context, e *Entry) error {
	gone := atRevision(e.Revision)
	gone.Set(operation, "DEL")
	_, err := s.put(ctx, scheduleKey+e.Name, nil, gone)
	if err == nil {
		_, err = s.put(ctx, progressKey+e.Name, nil, nats.Header{operation: {"DEL"}})
	}
	if err != nil {
		return fmt.Errorf("remove schedule %s: %w", e.Name, err)
	}
	return nil
}

// touch records the progress of e once more. Whoever is about to record a run
// of what e was before is refused then, and hears first what has become of it.
func (s *Store) touch(ctx context.Context, e *Entry) error {
	for {
		err := s.Record(ctx, e, e.Progress)
		if !errors.Is(err, ErrChanged) {
			return err
		}
		now, err := s.Get(ctx, e.Name)
		if err != nil {
			return err
		}
		e.Progress, e.Recorded = now.Progress, now.Recorded
	}
}

// Record stores p as the progress of e. The error wraps [ErrChanged] if e does
// not have the newest; after any other one p may have been stored or not.
func (s *Store) Record(ctx context.Context, e *Entry, p Progress) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("record progress: %w", err)
	}
	seq, err := s.put(ctx, progressKey+e.Name, data, atRevision(e.Recorded))
	if err != nil {
		return fmt.Errorf("record progress: %w", err)
	}
	e.Progress, e.Recorded = p, seq
	return nil
}

// atRevision expects of a key that it is at a revision, or never was if that is 0.
func atRevision(revision uint64) nats.Header {
	return nats.Header{jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(revision, 10)}}
}

func (s *Store) put(ctx context.Context, key string, data []byte, header nats.Header) (uint64, error) {
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: broker.SchedulesPrefix + key, Header: header, Data: data}, jetstream.WithRetryAttempts(0))
	switch {
	case broker.IsWrongSequence(err):
		return 0, ErrChanged
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return 0, events.ErrNotSetUp
	case err != nil:
		return 0, err
	}
	return ack.Sequence, nil
}
