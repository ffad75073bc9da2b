package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// EventsStream is the stream that holds what the relay publishes.
const EventsStream = "TRAM_EVENTS"

// SubscribeConfig says which events to read and from where on.
type SubscribeConfig struct {
	// Durable is the name under which the broker remembers what has been
	// handled, through restarts of everybody. Processes that use the same name
	// share the events among them. Empty reads for this call alone.
	Durable string

	Kinds    []Kind // defaults to all that come out
	Provider string // "" is all
	Account  string // "" is all

	// FromTime or FromSeq says where to begin: with the first event stored at
	// or after it. Zero begins with the oldest that the stream holds. A durable
	// subscription begins there only the first time.
	FromTime time.Time
	FromSeq  uint64

	// MaxPending bounds the events that are handed out and not yet handled, in
	// all processes together. Defaults to 256.
	MaxPending int

	// RetryDelay is how long an event whose handler failed waits before the
	// first repeat. It doubles with each further one, up to a minute. Defaults
	// to 1 second.
	RetryDelay time.Duration

	// Log gets what cannot be returned: failed handlers, unreadable messages,
	// an absent broker. Defaults to [slog.Default].
	Log *slog.Logger
}

const (
	ackWait       = 30 * time.Second // after it another process gets what a dead one had
	maxRetryDelay = time.Minute
	ephemeralLife = 5 * time.Minute // how long a subscription without a name outlives its connection
)

// Subscribe calls handle for one event after the other until ctx is done, and
// then returns nil. An event is done with when handle returns nil; when it
// returns an error, the event comes again later while others go on. A message
// that is no event is logged and not seen again.
//
// Each event comes at least once: again after a crash, a lost connection or a
// slow stop. [Meta.ID] is the same each time, and also when collectors run
// anew over old results, so a handler that must not repeat itself remembers
// the ids, or writes by the Key of stats and records.
//
// The error is [ErrNotSetUp] if there is no such stream. Lost connections and
// restarts of the broker are waited for.
func Subscribe(ctx context.Context, js jetstream.JetStream, cfg SubscribeConfig, handle func(context.Context, *Event) error) error {
	cfg.MaxPending = cmp.Or(cfg.MaxPending, 256)
	cfg.RetryDelay = cmp.Or(cfg.RetryDelay, time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	s := &subscription{js: js, cfg: cfg, handle: handle, open: make(map[uint64]jetstream.Msg)}
	started := false
	for failures := 1; ; failures++ {
		cons, err := s.consumer(ctx)
		if err == nil {
			started, failures = true, 1
			err = s.run(ctx, cons)
		}
		switch {
		case ctx.Err() != nil:
			s.stop(cons)
			return nil
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return ErrNotSetUp
		case !started, errors.Is(err, jetstream.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionClosed):
			return fmt.Errorf("subscribe: %w", err)
		}
		cfg.Log.Warn("subscription interrupted", "durable", cfg.Durable, "err", err)
		if pause(ctx, backoff(failures, 500*time.Millisecond, 10*time.Second)) != nil {
			return nil
		}
	}
}

// consumer opens the consumer, or creates it where it is missing: the first
// time, and after a broker came back without it.
func (s *subscription) consumer(ctx context.Context) (jetstream.Consumer, error) {
	want := s.consumerConfig()
	if s.cfg.Durable == "" {
		return s.js.CreateConsumer(ctx, EventsStream, want)
	}
	for {
		cons, err := s.js.Consumer(ctx, EventsStream, s.cfg.Durable)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			cons, err = s.js.CreateConsumer(ctx, EventsStream, want)
			if errors.Is(err, jetstream.ErrConsumerExists) {
				continue // another process was faster, with a beginning of its own
			}
			return cons, err
		}
		if err != nil {
			return nil, err
		}
		// It goes on where it is; what to read may have changed.
		cfg := cons.CachedInfo().Config
		if slices.Equal(cfg.FilterSubjects, want.FilterSubjects) && cfg.MaxAckPending == want.MaxAckPending {
			return cons, nil
		}
		cfg.FilterSubjects, cfg.MaxAckPending = want.FilterSubjects, want.MaxAckPending
		return s.js.UpdateConsumer(ctx, EventsStream, cfg)
	}
}

func (s *subscription) consumerConfig() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable:        s.cfg.Durable,
		FilterSubjects: s.filters(),
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  s.cfg.MaxPending,
	}
	from := s.cfg.FromSeq
	if s.cfg.Durable == "" {
		cfg.InactiveThreshold = ephemeralLife
		from = cmp.Or(s.resume, from)
	}
	switch {
	case from > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	case !s.cfg.FromTime.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.cfg.FromTime
	}
	return cfg
}

// filters returns the subjects to read; no two of them overlap.
func (s *subscription) filters() []string {
	kinds := kindNames(s.cfg.Kinds)
	if len(kinds) == 0 {
		kinds = kindNames(EventKinds)
	}
	for i, k := range kinds {
		kinds[i] = Subject{Kind(k), cmp.Or(s.cfg.Provider, "*"), cmp.Or(s.cfg.Account, "*"), "*"}.String()
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// stop removes a consumer that nobody can come back to.
func (s *subscription) stop(cons jetstream.Consumer) {
	if s.cfg.Durable != "" || cons == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.js.DeleteConsumer(ctx, EventsStream, cons.CachedInfo().Name); err != nil {
		s.cfg.Log.Debug("subscription left to expire", "err", err)
	}
}
