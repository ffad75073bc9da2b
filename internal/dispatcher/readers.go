package dispatcher

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
)

// readers read backlogs for all lanes, a few at a time: thousands of accounts may
// have something to catch up with at once.
type readers struct {
	reader *broker.Reader
	beside *rate.Limiter // those that are made though a sweep is under way

	mu      sync.Mutex
	line    []wanted
	working int                // goroutines
	series  map[string]*series // of lanes that read much, by filter
	most    int                // of them
	over    bool
	all     sync.WaitGroup
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

// wanted is what a lane has to read: requests that match filter.
type wanted struct {
	ctx    context.Context
	filter string

	// plan says from which sequence on, how many at most, and whether there were as
	// many as the lane wanted the last time. It is asked when they are read: hundreds
	// of lanes may wait for that.
	plan func() (from uint64, most int, deep bool)
	done func(batch)
}

type batch struct {
	msgs []*broker.Stored
	full bool // as many as were wanted
	err  error
}

func newReaders(r *broker.Reader) *readers {
	return &readers{reader: r, beside: newReadsBeside(), series: make(map[string]*series), most: maxSeries}
}

// want has w read, unless readers are closed.
func (r *readers) want(w wanted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.line = append(r.line, w)
	if r.working < maxReads {
		r.working++
		r.all.Go(r.work)
	}
}

func (r *readers) work() {
	for {
		r.mu.Lock()
		if len(r.line) == 0 || r.over {
			r.working--
			r.mu.Unlock()
			return
		}
		w := r.line[0]
		r.line[0] = wanted{}
		r.line = r.line[1:]
		r.mu.Unlock()
		w.done(r.fetch(w))
	}
}

// close ends the reading. The contexts of what is being read must be done.
func (r *readers) close() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.all.Wait()
	for _, s := range r.series {
		s.Close()
	}
	clear(r.series)
}

// fetch reads what w wants: a lane's long backlog in series, and the rest, as
// well as what a series does not bring, by a look at the stream.
func (r *readers) fetch(w wanted) batch {
	from, most, deep := w.plan()
	if s := r.take(w, from, most, deep); s != nil {
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
	msgs, _, err := r.reader.NextBySubject(w.ctx, broker.Requests, w.filter, from, most)
	return batch{msgs, len(msgs) >= most, err}
}

// take returns the series that stands at from, or begins it if that is worth while
// and there is room for it. nil is none.
func (r *readers) take(w wanted, from uint64, most int, deep bool) *broker.Series {
	r.mu.Lock()
	s := r.series[w.filter]
	delete(r.series, w.filter)
	r.mu.Unlock()
	if s != nil && s.From() == from {
		return s.Series
	}
	if s != nil {
		s.Close()
	}
	if !deep || most < seriesFrom || !r.room() {
		return nil
	}
	began, err := r.reader.Series(w.ctx, broker.Requests, w.filter, from)
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
