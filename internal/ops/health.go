package ops

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Readiness and liveness are different questions. Ready: can the process do its
// work now? That takes the broker, and comes back by itself when the broker
// does. Alive: would a restart help? It would not help against a broker that is
// away, only against a process that is wedged, so nothing outside of the
// process counts there.

const (
	lookEvery   = 2 * time.Second // between two looks at what is needed
	lookTimeout = 2 * time.Second
	stale       = 10 * time.Second // a look that is older says nothing

	touchEvery = 5 * time.Second
	wedged     = 30 * time.Second // a touch that takes longer will not return
)

// A Check reports why a part of the process cannot do its work, or nil. The
// text is shown to strangers.
type Check func(context.Context) error

// Health knows whether a process is ready and alive.
type Health struct {
	log *slog.Logger

	mu       sync.Mutex
	checks   map[string]Check
	found    map[string]error
	looked   time.Time
	told     bool // in the log: whether ready
	stopping bool
	touches  []*touch
}

func newHealth(log *slog.Logger) *Health {
	return &Health{log: log, checks: make(map[string]Check), found: make(map[string]error)}
}

// A Readiness is what /readyz answers.
type Readiness struct {
	Ready bool              `json:"ready"`
	Parts map[string]string `json:"parts"` // "ok", or what is in the way
}

// Need makes readiness depend on a part, in place of what it was before. The
// part counts as not ready until it has been looked at.
func (h *Health) Need(part string, c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[part], h.found[part] = c, errNotLooked
}

// Stopping makes the process not ready, for good.
func (h *Health) Stopping() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Ready returns whether the process can do its work, by the newest look.
func (h *Health) Ready() Readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := Readiness{Ready: !h.stopping && len(h.checks) > 0, Parts: make(map[string]string)}
	if h.stopping {
		r.Parts["process"] = "stopping"
	}
	if age := time.Since(h.looked); age > stale && !h.looked.IsZero() {
		r.Ready = false
		r.Parts["process"] = fmt.Sprintf("not looked at for %s", age.Round(time.Second))
	}
	for part, err := range h.found {
		r.Parts[part] = text(err)
		r.Ready = r.Ready && err == nil
	}
	return r
}

// watch looks at everything until ctx is done.
func (h *Health) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		h.look(ctx)
		h.touchAll()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look asks all parts side by side.
func (h *Health) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	h.mu.Lock()
	checks := maps.Clone(h.checks)
	h.mu.Unlock()
	type finding struct {
		part string
		err  error
	}
	findings := make(chan finding, len(checks))
	for part, check := range checks {
		go func() { findings <- finding{part, check(ctx)} }()
	}
	found := make(map[string]error, len(checks))
	for range checks {
		f := <-findings
		found[f.part] = f.err
	}
	h.mu.Lock()
	maps.Copy(h.found, found)
	h.looked = time.Now()
	h.mu.Unlock()
	h.tell()
}

// tell logs when readiness has changed.
func (h *Health) tell() {
	r := h.Ready()
	h.mu.Lock()
	changed := r.Ready != h.told
	h.told = r.Ready
	h.mu.Unlock()
	switch {
	case !changed:
	case r.Ready:
		h.log.Info("ready")
	default:
		h.log.Warn("not ready", "parts", r.Parts)
	}
}

// A touch is a function that returns at once unless its part is wedged.
type touch struct {
	part string
	fn   func()

	mu    sync.Mutex
	since time.Time // it was begun and has not returned; zero: it is not running
	last  time.Time // it was begun
}

// Touch makes liveness depend on a part: fn must take the locks that all of the
// part's work needs, and nothing else, so that it hangs when the part does. It
// must not wait for anything outside of the process.
func (h *Health) Touch(part string, fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touches = append(h.touches, &touch{part: part, fn: fn})
}

// touchAll touches every part whose time has come and that does not hang.
func (h *Health) touchAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.touches {
		t.begin(time.Now())
	}
}

func (t *touch) begin(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.since.IsZero() || now.Sub(t.last) < touchEvery {
		return
	}
	t.since, t.last = now, now
	go func() {
		t.fn()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.since = time.Time{}
	}()
}

// hangs returns for how long the touch has not returned.
func (t *touch) hangs(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return 0
	}
	return now.Sub(t.since)
}

// Alive returns nil unless the process is wedged, so that only a restart helps:
// a part has held its locks for half a minute, or the looking itself has
// stopped. A worker that hangs without a lock is not seen.
func (h *Health) Alive() error {
	h.mu.Lock()
	touches, looked := h.touches, h.looked
	h.mu.Unlock()
	now := time.Now()
	for _, t := range touches {
		if d := t.hangs(now); d > wedged {
			return fmt.Errorf("the %s has not moved for %s", t.part, d.Round(time.Second))
		}
	}
	if d := now.Sub(looked); !looked.IsZero() && d > wedged {
		return fmt.Errorf("the process has not looked at itself for %s", d.Round(time.Second))
	}
	return nil
}
