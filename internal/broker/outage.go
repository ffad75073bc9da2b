package broker

import (
	"log/slog"
	"sync"
	"time"
)

// tellEvery is how often an outage that lasts is told again.
const tellEvery = time.Minute

// An Outage tells the log that something does not work which is tried again
// until it does: when that begins, once a minute while it lasts, and when it is
// over, however many try. Its methods are safe for concurrent use.
type Outage struct {
	log  *slog.Logger
	what string

	mu    sync.Mutex
	since time.Time // zero: it works
	told  time.Time
	tries int // that failed since it was told
}

// NewOutage returns an outage that has not begun; what is the message of the
// log, such as "events cannot be stored".
func NewOutage(log *slog.Logger, what string) *Outage { return &Outage{log: log, what: what} }

// Failed notes that a try failed with err and is going to be repeated.
func (o *Outage) Failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() {
		o.since = now
	}
	o.tries++
	if now.Sub(o.told) < tellEvery {
		return
	}
	o.log.Warn(o.what+", trying again", "for", now.Sub(o.since).Round(time.Second), "tries", o.tries, "error", err)
	o.told, o.tries = now, 0
}

// Worked notes that it works.
func (o *Outage) Worked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	if !o.told.Before(o.since) {
		o.log.Info(o.what+": that is over", "after", time.Since(o.since).Round(time.Millisecond))
	}
	o.since = time.Time{}
}

// Lasts reports whether the newest try has failed.
func (o *Outage) Lasts() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}
