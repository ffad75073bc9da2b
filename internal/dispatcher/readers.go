package dispatcher

import (
	"context"
	"sync"

	"github.com/tramhq/tram/internal/broker"
)

// readers read backlogs for all lanes, a few at a time. When thousands of
// accounts have something to catch up with at once, each lane waits with next to
// no stack, and the broker has a queue of a few reads.
type readers struct {
	reader *broker.Reader
	jobs   chan wanted
}

// maxReads is how many backlogs are read at once.
const maxReads = 16

// wanted is what a lane has to read: up to most requests that match filter, from a
// sequence on.
type wanted struct {
	ctx    context.Context
	filter string
	from   uint64
	most   int
	answer chan batch
}

type batch struct {
	msgs []*broker.Stored
	err  error
}

func newReaders(r *broker.Reader) *readers {
	return &readers{reader: r, jobs: make(chan wanted)}
}

// start reads, in goroutines that wg waits for, until over is closed.
func (r *readers) start(wg *sync.WaitGroup, over <-chan struct{}) {
	for range maxReads {
		wg.Go(func() {
			for {
				select {
				case b := <-r.jobs:
					msgs, _, err := r.reader.NextBySubject(b.ctx, broker.Requests, b.filter, b.from, b.most)
					b.answer <- batch{msgs, err}
				case <-over:
					return
				}
			}
		})
	}
}

// read returns what b asks for. The error may be that of ctx.
func (r *readers) read(ctx context.Context, filter string, from uint64, most int) ([]*broker.Stored, error) {
	b := wanted{ctx, filter, from, most, make(chan batch, 1)}
	select {
	case r.jobs <- b:
		a := <-b.answer // it heeds ctx
		return a.msgs, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
