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
	steady
	from int
	mu   sync.Mutex // guards the stage's filled
}

const loadWorkers = 16

// load begins to publish messages numbered from s.filled on.
func (s *stage) load(ctx context.Context, rate float64, message func(i int) (*nats.Msg, error)) *load {
	l := &load{from: s.filled}
	l.begin(ctx, loadWorkers, rate, func() error {
		l.mu.Lock()
		i := s.filled
		s.filled++
		l.mu.Unlock()
		m, err := message(i)
		if err == nil {
			err = s.publishUntilStored(ctx, m)
		}
		if err != nil {
			return fmt.Errorf("publish %d: %w", i, err)
		}
		return nil
	})
	return l
}

// next is the number of the next send.
func (l *load) next(s *stage) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.filled
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
