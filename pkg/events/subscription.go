package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A subscription is one call of [Subscribe].
type subscription struct {
	js     jetstream.JetStream
	cfg    SubscribeConfig
	handle func(context.Context, *Event) error

	resume uint64 // where a consumer without a name goes on when it is made anew

	mu   sync.Mutex
	open map[uint64]jetstream.Msg // not settled, by stream sequence; nil for those to come again
	read uint64                   // the highest sequence handed out to us
}

// run reads from cons until ctx is done or cons is lost.
func (s *subscription) run(ctx context.Context, cons jetstream.Consumer) error {
	it, err := cons.Messages(
		jetstream.PullMaxMessages(s.cfg.MaxPending),
		jetstream.PullExpiry(5*time.Second),
		jetstream.PullHeartbeat(2*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		return err
	}
	defer s.drain(it)

	// The broker hands out at most MaxPending at a time, so that the queue has
	// room for all, and none waits unseen in the client's own buffer while its
	// ackWait runs down.
	queue := make(chan jetstream.Msg, s.cfg.MaxPending)
	runCtx, cancel := context.WithCancel(ctx)
	var lost error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(queue)
		defer cancel()
		lost = s.feed(runCtx, it, cons, queue)
	})
	wg.Go(func() { s.keepAlive(runCtx) })
	defer func() { // also when a handler panics
		cancel()
		wg.Wait()
		s.rewind()
	}()

	for m := range queue {
		if runCtx.Err() != nil {
			s.giveBack(m, m.Nak) // for whoever comes after us
			continue
		}
		s.deal(ctx, m)
	}
	return lost
}

// drain ends it. What the broker has handed out meanwhile comes to whoever reads
// next at once, and not after ackWait.
func (s *subscription) drain(it jetstream.MessagesContext) {
	it.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			it.Stop()
			return
		}
		s.giveBack(m, m.Nak)
	}
}

// feed puts what comes into the queue until ctx is done or cons is lost.
func (s *subscription) feed(ctx context.Context, it jetstream.MessagesContext, cons jetstream.Consumer, queue chan<- jetstream.Msg) error {
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			// The broker is away, or came back without the consumer.
			s.cfg.Log.Warn("no heartbeat from the events stream", "durable", s.cfg.Durable)
			_, err := cons.Info(ctx)
			if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				return err
			}
			continue
		case err != nil:
			return err
		}
		seq, err := sequence(m)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.open[seq] = m
		s.read = max(s.read, seq)
		s.mu.Unlock()
		select {
		case queue <- m:
		case <-ctx.Done():
			s.giveBack(m, m.Nak)
			return nil
		}
	}
}

// keepAlive tells the broker that what we hold is being worked on, however
// long the handler takes for what came before.
func (s *subscription) keepAlive(ctx context.Context) {
	tick := time.NewTicker(ackWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		for _, m := range s.open {
			if m != nil {
				_ = m.InProgress() // feed notices when the broker is away
			}
		}
		s.mu.Unlock()
	}
}

// deal decodes one message, has it handled, and tells the broker.
func (s *subscription) deal(ctx context.Context, m jetstream.Msg) {
	e, err := DecodeEvent(m.Subject(), m.Headers(), m.Data())
	if err != nil {
		seq, _ := sequence(m)
		s.cfg.Log.Error("unreadable event dropped", "seq", seq, "reason", ReasonOf(err), "err", err)
		s.finish(m, func() error { return m.TermWithReason(ReasonOf(err)) })
		return
	}
	md, err := m.Metadata()
	if err != nil {
		return // feed has read it before
	}
	e.Seq = md.Sequence.Stream
	err = s.handle(ctx, e)
	switch {
	case err == nil:
		// Waiting for the answer makes a repeat rare; it cannot rule one out.
		ackCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		s.finish(m, func() error { return m.DoubleAck(ackCtx) })
	case ctx.Err() != nil:
		s.giveBack(m, m.Nak)
	default:
		delay := backoff(int(min(md.NumDelivered, 30)), 2*s.cfg.RetryDelay, maxRetryDelay)
		s.cfg.Log.Warn("event handler failed", "kind", e.Subject.Kind, "id", e.ID, "seq", e.Seq, "again_in", delay, "err", err)
		s.giveBack(m, func() error { return m.NakWithDelay(delay) })
	}
}

// finish gives m up for good and tells the broker so.
func (s *subscription) finish(m jetstream.Msg, tell func() error) {
	seq, _ := sequence(m)
	s.mu.Lock()
	delete(s.open, seq)
	s.mu.Unlock()
	s.told(seq, tell())
}

// giveBack gives m up, so that keepAlive does not touch it any more, and tells
// the broker that it is to come again. Where others share the subscription, it
// may come to them.
func (s *subscription) giveBack(m jetstream.Msg, tell func() error) {
	seq, _ := sequence(m)
	s.mu.Lock()
	if s.cfg.Durable == "" {
		s.open[seq] = nil
	} else {
		delete(s.open, seq)
	}
	s.mu.Unlock()
	s.told(seq, tell())
}

func (s *subscription) told(seq uint64, err error) {
	if err != nil {
		s.cfg.Log.Warn("event not settled, it comes again", "seq", seq, "err", err)
	}
}

// rewind forgets what is open and remembers where to go on so that it comes
// again.
func (s *subscription) rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == 0 {
		return
	}
	s.resume = s.read + 1
	for seq := range s.open {
		s.resume = min(s.resume, seq)
	}
	clear(s.open)
}

// sequence returns the place of m in the stream.
func sequence(m jetstream.Msg) (uint64, error) {
	md, err := m.Metadata()
	if err != nil {
		return 0, fmt.Errorf("read message metadata: %w", err)
	}
	return md.Sequence.Stream, nil
}
