package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// ErrGone says that there is no letter of that number, or no more.
var ErrGone = errors.New("there is no such dead letter: it may have been dealt with, or have grown too old")

// A Box is the dead letters of a broker, and what was decided about them. It is
// safe for concurrent use.
type Box struct {
	js         jetstream.JetStream
	read       *broker.Reader
	dead       jetstream.Stream
	decisions  jetstream.KeyValue
	partitions int

	// abandoned is the age from which on a decision is not being carried out by
	// anybody any more.
	abandoned time.Duration

	// patience is how long something is tried again while the broker does not
	// answer. It is well under the time for which the broker remembers ids, so
	// that what was stored, its answer lost, is not stored a second time, nor by
	// somebody else who takes it for abandoned.
	patience time.Duration
}

// Open returns the box of the relay that js leads to. The error wraps
// [events.ErrNotSetUp] if its streams are not there.
func Open(ctx context.Context, js jetstream.JetStream) (*Box, error) {
	b := &Box{js: js, read: broker.NewReader(js), abandoned: abandonedAfter, patience: maxPatience}
	var err error
	if b.dead, err = js.Stream(ctx, broker.Dead); err == nil {
		b.decisions, err = js.KeyValue(ctx, broker.DecisionsBucket)
	}
	if err == nil {
		b.partitions, err = broker.PartitionCount(ctx, js)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("open dead letters: %w: %w", events.ErrNotSetUp, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open dead letters: %w", err)
	}
	requests, err := b.info(ctx, broker.Requests)
	if err != nil {
		return nil, err
	}
	b.patience = min(maxPatience, requests.Config.Duplicates/4)
	return b, nil
}

// gently returns a box that reads so that live traffic hardly notices it.
func (b *Box) gently() *Box {
	gentle := *b
	gentle.read = b.read.Gently()
	return &gentle
}

// Newest returns the number of the newest letter that ever was.
func (b *Box) Newest(ctx context.Context) (uint64, error) { return b.lastSeq(ctx, broker.Dead) }

// lastSeq returns the last sequence of a stream, as its leader knows it.
func (b *Box) lastSeq(ctx context.Context, stream string) (uint64, error) {
	info, err := b.info(ctx, stream)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

func (b *Box) info(ctx context.Context, stream string) (info *jetstream.StreamInfo, err error) {
	err = b.insist(ctx, "read stream "+stream, func(ctx context.Context) error {
		s, err := b.js.Stream(ctx, stream)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	return info, err
}

// Get returns letter number id, or an error that wraps [ErrGone].
func (b *Box) Get(ctx context.Context, id uint64) (*Letter, error) {
	m, err := b.read.Get(ctx, broker.Dead, id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("read dead letter %d: %w", id, ErrGone)
	}
	if err != nil {
		return nil, err
	}
	return Read(m)
}

var errEnough = errors.New("enough")

// Each calls fn for every letter that f chooses up to number upTo, the oldest
// first. An error of fn ends it and is returned as it is.
func (b *Box) Each(ctx context.Context, f *Filter, upTo uint64, fn func(*Letter) error) error {
	if len(f.IDs) > 0 {
		return b.eachOf(ctx, f, upTo, fn)
	}
	newest, err := b.Newest(ctx)
	if err != nil || newest == 0 {
		return err
	}
	part := broker.Window{Subjects: []string{f.subject()}, To: min(upTo, newest)}
	return b.read.Scan(ctx, broker.Dead, part, func(m *broker.Stored) error {
		l, err := Read(m)
		if err != nil || !f.chooses(l) {
			return err
		}
		return fn(l)
	})
}

// eachOf is Each for letters that are named.
func (b *Box) eachOf(ctx context.Context, f *Filter, upTo uint64, fn func(*Letter) error) error {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(f.IDs))) {
		if id > upTo {
			break
		}
		l, err := b.Get(ctx, id)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err == nil && f.chooses(l) {
			err = fn(l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removals bounds how many letters are removed at once.
const removals = 16

// remove takes letters out of the stream. One that is gone is no error.
func (b *Box) remove(ctx context.Context, ids ...uint64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(removals)
	for _, id := range ids {
		g.Go(func() error {
			return b.insist(ctx, fmt.Sprintf("remove dead letter %d", id), func(ctx context.Context) error {
				err := b.dead.DeleteMsg(ctx, id)
				if err != nil && b.gone(ctx, id) {
					return nil
				}
				return err
			})
		})
	}
	return g.Wait()
}

func (b *Box) gone(ctx context.Context, id uint64) bool {
	_, err := b.Get(ctx, id)
	return errors.Is(err, ErrGone)
}
