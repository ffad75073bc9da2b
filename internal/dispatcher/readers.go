package dispatcher

import (
	"context"
	"sync"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// readers read backlogs for all lanes, a few at a time. When thousands of
// accounts have something to catch up with at once, each lane waits with next to
// no stack, and the broker has a queue of a few reads.
type readers struct {
	reader *broker.Reader
	jobs   chan wanted

	mu     sync.Mutex
	series map[string]*series // of lanes that read much, by filter
	most   int                // of them
}

const (
	// maxReads is how many backlogs are read at once.
	maxReads = 16

	// maxSeries is how many of them may have a consumer on the broker, which is a
	// few kilobytes and three goroutines to it.
	maxSeries = 64

	// seriesFrom is how much a lane must read at once for a consumer to be worth
	// its while.
	seriesFrom = 256

	// seriesIdle is how long a lane that has a consumer may have read nothing before
	// another gets one.
	seriesIdle = 10 * time.Second
)

// A series is one that waits for its lane to want more.
type series struct {
	*broker.Series
	since time.Time
}

// wanted is what a lane has to read: requests that match filter, from a sequence
// on.
type wanted struct {
	ctx    context.Context
	filter string
	from   uint64
	chunk  func() int // how many at most, asked when it is read: hundreds of lanes may wait for that
	deep   bool       // there were as many as it wanted the last time
	answer chan batch
}

type batch struct {
	msgs []*broker.Stored
	full bool // as many as were wanted
	err  error
}

func newReaders(r *broker.Reader) *readers {
	return &readers{reader: r, jobs: make(chan wanted), series: make(map[string]*series), most: maxSeries}
}

// start reads, in goroutines that wg waits for, until over is closed.
func (r *readers) start(wg *sync.WaitGroup, over <-chan struct{}) {
	for range maxReads {
		wg.Go(func() {
			for {
				select {
				case w := <-r.jobs:
					w.answer <- r.fetch(w)
				case <-over:
					r.forget()
					return
				}
			}
		})
	}
}

// read returns what w asks for. The error may be that of its context.
func (r *readers) read(w wanted) batch {
	w.answer = make(chan batch, 1)
	select {
	case r.jobs <- w:
		return <-w.answer // it heeds the context
	case <-w.ctx.Done():
		return batch{err: context.Cause(w.ctx)}
	}
}

// fetch reads what w wants: a lane's long backlog in series, and the rest, as
// well as what a series does not bring, by a look at the stream.
func (r *readers) fetch(w wanted) batch {
	most := w.chunk()
	if s := r.take(w, most); s != nil {
		msgs, err := s.Next(w.ctx, most)
		if len(msgs) > 0 {
			r.keep(w.filter, s)
			return batch{msgs, len(msgs) >= most, nil}
		}
		s.Close()
		if w.ctx.Err() != nil {
			return batch{err: err}
		}
	}
	msgs, _, err := r.reader.NextBySubject(w.ctx, broker.Requests, w.filter, w.from, most)
	return batch{msgs, len(msgs) >= most, err}
}

// take returns the series that stands where w begins, or begins it if that is
// worth while and there is room for it. nil is none.
func (r *readers) take(w wanted, most int) *broker.Series {
	r.mu.Lock()
	s := r.series[w.filter]
	delete(r.series, w.filter)
	r.mu.Unlock()
	if s != nil && s.From() == w.from {
		return s.Series
	}
	if s != nil {
		s.Close()
	}
	if !w.deep || most < seriesFrom || !r.room() {
		return nil
	}
	began, err := r.reader.Series(w.ctx, broker.Requests, w.filter, w.from)
	if err != nil {
		return nil // the look at the stream says what is wrong
	}
	return began
}

// room reports whether there is room for another series, and makes it if a lane
// has not used its own for long.
func (r *readers) room() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for filter, s := range r.series {
		if len(r.series) < r.most {
			break
		}
		if time.Since(s.since) > seriesIdle {
			s.Close()
			delete(r.series, filter)
		}
	}
	return len(r.series) < r.most
}

// keep keeps s until its lane wants more.
func (r *readers) keep(filter string, s *broker.Series) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.series[filter]; other != nil {
		other.Close()
	}
	r.series[filter] = &series{s, time.Now()}
}

func (r *readers) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for filter, s := range r.series {
		s.Close()
		delete(r.series, filter)
	}
}
