package replay

import (
	"context"
	"runtime"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/broker"
)

// A batch is results that follow each other, and what was made of each.
type batch struct {
	results []*broker.Stored
	made    [][]*nats.Msg // one for each result
	pages   []page
	sums    []sum
	seen    Seen
	err     error // it could not be made

	unconfigured string // the first account whose answers were read without its settings

	done chan struct{} // closed when it is made
}

// A page is an answer that was read for events: request and step.
type page struct {
	source, id string
	step       int
}

// A sum is what a diff keeps of an event.
type sum struct {
	id eventID
	made
}

// Seen is what was found among results.
type Seen struct {
	Results      int `json:"results"`                // that were read
	Unreadable   int `json:"unreadable,omitempty"`   // of them, that are none
	Untold       int `json:"untold,omitempty"`       // whose events could not all be made
	Refused      int `json:"refused,omitempty"`      // requests that are not sent again
	Unconfigured int `json:"unconfigured,omitempty"` // answers that were read without the settings of their accounts
}

func (s *Seen) add(o Seen) {
	s.Results += o.Results
	s.Unreadable += o.Unreadable
	s.Untold += o.Untold
	s.Refused += o.Refused
	s.Unconfigured += o.Unconfigured
}

const (
	batchSize  = 256
	batchBytes = 4 << 20
)

// pipeline reads a window of RESULTS, has the batches made on all processors, and
// hands them to take one after the other, in the order of the stream.
func pipeline(ctx context.Context, read *broker.Reader, w broker.Window, fill func(*batch), take func(*batch) error) error {
	workers := runtime.GOMAXPROCS(0)
	work, order := make(chan *batch, workers), make(chan *batch, 4*workers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(work)
		defer close(order)
		b, size := new(batch), 0
		send := func() error {
			b.done = make(chan struct{})
			for _, to := range []chan *batch{order, work} {
				select {
				case to <- b:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			b, size = new(batch), 0
			return nil
		}
		err := read.Scan(ctx, broker.Results, w, func(m *broker.Stored) error {
			b.results, size = append(b.results, m), size+len(m.Data)
			if len(b.results) < batchSize && size < batchBytes {
				return nil
			}
			return send()
		})
		if err == nil && len(b.results) > 0 {
			err = send()
		}
		return err
	})
	for range workers {
		g.Go(func() error {
			for b := range work {
				fill(b)
				close(b.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		for b := range order {
			select {
			case <-b.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if err := take(b); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}
