package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A load is messages that are published at a steady rate, as long as the broker
// takes them. What it did not acknowledge is published again under its id until
// it does, so in the end each number was published once.
type load struct {
	from    int
	done    chan struct{}
	workers sync.WaitGroup

	mu  sync.Mutex
	err error
}

const loadWorkers = 16

// load begins to publish messages numbered from s.filled on.
func (s *stage) load(ctx context.Context, rate float64, message func(i int) (*nats.Msg, error)) *load {
	l := &load{from: s.filled, done: make(chan struct{})}
	for range loadWorkers {
		l.workers.Go(func() {
			tick := time.NewTicker(time.Duration(loadWorkers / rate * float64(time.Second)))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-l.done:
					return
				case <-tick.C:
				}
				l.mu.Lock()
				i := s.filled
				s.filled++
				l.mu.Unlock()
				m, err := message(i)
				if err == nil {
					err = s.publishUntilStored(ctx, m)
				}
				if err != nil {
					l.mu.Lock()
					l.err = fmt.Errorf("publish %d: %w", i, err)
					l.mu.Unlock()
					return
				}
			}
		})
	}
	return l
}

// stop returns when all that was begun is stored.
func (l *load) stop() error {
	close(l.done)
	l.workers.Wait()
	return l.err
}

func (s *stage) publishUntilStored(ctx context.Context, m *nats.Msg) error {
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := s.js.PublishMsg(try, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}
