package main

import (
	"context"
	"sync"
	"time"
)

// A steady is something that is done at a steady rate until it is stopped or fails.
type steady struct {
	done    chan struct{}
	workers sync.WaitGroup

	mu  sync.Mutex
	err error
}

// begin has so many workers do something, perSecond times all together.
func (s *steady) begin(ctx context.Context, workers int, perSecond float64, do func() error) {
	s.done = make(chan struct{})
	for range workers {
		s.workers.Go(func() {
			tick := time.NewTicker(time.Duration(float64(workers) / perSecond * float64(time.Second)))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-s.done:
					return
				case <-tick.C:
				}
				if err := do(); err != nil {
					s.mu.Lock()
					s.err = err
					s.mu.Unlock()
					return
				}
			}
		})
	}
}

// stop returns when all that was begun is done, if anything was.
func (s *steady) stop() error {
	if s.done != nil {
		close(s.done)
	}
	s.workers.Wait()
	return s.err
}
