package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// A holding is a partition that this process holds, or still has work of.
type holding struct {
	member *broker.Member
	epoch  uint64
	state  holdingState
	failed bool            // to be dropped, and not taken again at once
	lease  context.Context // ends when the lease is lost
	want   context.Context // ends with lease, or when the partition is to go
	unwant context.CancelFunc
}

type holdingState int

const (
	opening holdingState = iota
	open
	ending
)

var errHangs = errors.New("it takes too long")

// A failure keeps a partition that cannot be opened from being tried in a loop.
type failure struct {
	times int
	until time.Time
}

// GiveUp drops partition n as it was opened with the given epoch, which cannot
// go on here, and releases it. It is taken again after a pause, by this owner or
// another.
func (o *Owner) GiveUp(n int, epoch uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch h := o.held[n]; {
	case h == nil || h.epoch != epoch || h.state == ending:
	case h.state == opening:
		h.failed = true
		h.unwant()
	default:
		h.failed, h.state = true, ending
		o.work.Go(func() {
			o.parts.Drop(n)
			o.finish(n, h)
		})
	}
}

// dropAll drops what is open under a lease that is lost. What is being opened
// or closed learns of it by its context.
func (o *Owner) dropAll(m *broker.Member) {
	o.mu.Lock()
	var dropped []int
	for n, h := range o.held {
		if h.member == m && h.state == open {
			dropped = append(dropped, n)
			h.unwant()
			delete(o.held, n)
		}
	}
	o.mu.Unlock()
	for _, n := range dropped {
		o.parts.Drop(n)
	}
}

// closeAll begins to end everything that is held.
func (o *Owner) closeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := range o.held {
		o.end(n)
	}
}

// end begins to close a partition. Closing is not bounded: it waits for calls
// under way, and those of all partitions may as well end side by side.
// o.mu must be held.
func (o *Owner) end(n int) {
	h := o.held[n]
	if h.state == opening {
		h.unwant() // begin ends it
		return
	}
	if h.state == open {
		h.state = ending
		o.work.Go(func() { o.close(n, h) })
	}
}

// begin opens a partition that was claimed. o.mu must be held.
func (o *Owner) begin(n int, h *holding) {
	o.held[n] = h
	o.work.Go(func() {
		err := o.open(n, h)
		o.mu.Lock()
		if err == nil && h.want.Err() == nil {
			h.state = open
			delete(o.failed, n)
			o.mu.Unlock()
			return
		}
		h.state = ending
		wanted := h.want.Err() == nil
		h.failed = h.failed || wanted
		o.mu.Unlock()
		switch {
		case err != nil:
			if wanted {
				o.log.Error("partition not opened", "partition", n, "error", err)
			}
			o.finish(n, h)
		case h.failed || h.lease.Err() != nil:
			o.parts.Drop(n)
			o.finish(n, h)
		default:
			o.close(n, h)
		}
	})
}

// open opens n within the owner's patience: one that hangs would be held, and
// never be worked, as long as the lease lasts.
func (o *Owner) open(n int, h *holding) error {
	select {
	case o.slots <- struct{}{}:
	case <-h.want.Done():
		return context.Cause(h.want)
	}
	defer func() { <-o.slots }()
	ctx, cancel := context.WithTimeoutCause(h.want, o.cfg.Patience, errHangs)
	defer cancel()
	return o.parts.Open(ctx, n, h.epoch)
}

func (o *Owner) close(n int, h *holding) {
	if err := o.parts.Close(h.lease, n); err != nil {
		o.log.Warn("partition not closed cleanly", "partition", n, "error", err)
	}
	o.finish(n, h)
}

// finish releases a partition of which nothing runs any more. If that fails
// its key still names this member, and the next balance takes it up again.
func (o *Owner) finish(n int, h *holding) {
	h.unwant()
	if h.lease.Err() == nil {
		ctx, cancel := context.WithTimeout(h.lease, o.cfg.Lease)
		if err := h.member.Release(ctx, n, h.epoch); err != nil && !errors.Is(err, broker.ErrClaimed) {
			o.log.Warn("partition not released", "partition", n, "error", err)
		}
		cancel()
	}
	o.mu.Lock()
	if h.failed {
		times := o.failed[n].times + 1
		o.failed[n] = failure{times: times, until: time.Now().Add(min(o.cfg.Lease/3<<min(times, 5), 10*time.Second))}
	}
	delete(o.held, n)
	o.mu.Unlock()
	o.rouse()
}
