package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// health is what a collector knows of itself.
type health struct {
	mu     sync.Mutex
	lanes  []*lane
	err    error     // why no results can come; nil when they can
	silent time.Time // when they did not come last
	why    error
}

var errNotReading = errors.New("does not read results yet")

func (h *health) watch(lanes []*lane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lanes, h.err = lanes, errNotReading
}

// deaf says that no results can come, hears that they can, and troubled that
// they do not.
func (h *health) deaf(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *health) hears() { h.deaf(nil) }

func (h *health) troubled(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent, h.why = time.Now(), err
}

// Check reports why no results come, or nil: the subscription has ended, or the
// broker has not said for two heartbeats that it is there. A collector whose
// events cannot be stored is as it should be: it waits.
func (c *Collector) Check(ctx context.Context) error {
	c.health.mu.Lock()
	err, silent, why := c.health.err, c.health.silent, c.health.why
	c.health.mu.Unlock()
	switch {
	case errors.Is(err, errHeldBack):
		return nil
	case err != nil:
		return fmt.Errorf("cannot read results: %w", err)
	case time.Since(silent) < 3*pullHeartbeat: // it is told again every two
		return fmt.Errorf("results do not come: %w", why)
	}
	cons, err := c.JS.Consumer(ctx, broker.Results, Durable)
	if err != nil {
		return fmt.Errorf("cannot read results: %w", err)
	}
	c.Observer.Waiting(cons.CachedInfo().NumPending)
	return nil
}

// Touch returns once every worker has moved: it waits for none but one that is
// reading a result at this moment, which takes no longer than its parser.
func (c *Collector) Touch() {
	c.health.mu.Lock()
	lanes := c.health.lanes
	c.health.mu.Unlock()
	for _, l := range lanes {
		l.touch()
	}
}

func (l *lane) touch() {
	l.reading.Lock()
	defer l.reading.Unlock()
}

// awaitStoring returns when events can be stored again, or ctx is done. The
// lanes try as long as they have any, and should do so where somebody serves
// them.
func (c *Collector) awaitStoring(ctx context.Context) {
	for c.storing.Lasts() && sleep(ctx, retryWait) {
		_, _ = c.consumer(ctx)
	}
}
