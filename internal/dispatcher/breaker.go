package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Breaker says when an account's provider counts as down. Zero fields are
// replaced by their defaults.
type Breaker struct {
	MinCalls int           // in the window before it may open; default 10
	Ratio    float64       // of calls that failed by the provider's fault; default 0.5
	Window   time.Duration // over which calls are counted; default 10s
	Open     time.Duration // before one probe is let through; default 15s
}

func (b Breaker) withDefaults() Breaker {
	b.MinCalls = cmp.Or(b.MinCalls, 10)
	b.Ratio = cmp.Or(b.Ratio, 0.5)
	b.Window = cmp.Or(b.Window, 10*time.Second)
	b.Open = cmp.Or(b.Open, 15*time.Second)
	return b
}

// A breaker stops the calls of an account whose provider is in trouble. While it
// is closed gobreaker counts the calls and says when to open. From there on it
// has a way of its own, because an open breaker must outlive its dispatcher, and
// all dispatchers together may make one probe per interval:
//
//	closed ─trips─▶ open ─claim, checkpoint stored, grant─▶ probing ─▶ closed, or open
//
// A probe is claimed in a checkpoint before it is made. Whoever takes the
// account over reads there that one may have been made, and waits.
type breaker struct {
	log logger

	mu      sync.Mutex
	cfg     Breaker
	state   breakerState
	why     string                                     // it has opened
	window  *gobreaker.TwoStepCircuitBreaker[struct{}] // counts while closed
	next    time.Time                                  // open: no probe before
	claimed time.Time                                  // open: a probe is to be granted, claimed at; zero is none
	granted time.Time                                  // probing: the probe must begin before
	probe   *bool                                      // probing: stands for the call that is the probe
}

type breakerState int

const (
	breakerClosed breakerState = iota
	breakerOpen
	breakerProbing
)

// grantFor is how long a probe that was claimed may still begin. A checkpoint
// allows for it, so it delays the next probe after a take-over.
const grantFor = 2 * time.Second

var (
	errProviderFault = errors.New("the provider is in trouble") // what the breaker counts
	errNoVerdict     = errors.New("the call says nothing about the provider")
	errNoCall        = errors.New("no call was made")
	errBreakerOpen   = errors.New("the circuit breaker is open")
)

func newBreaker(cfg Breaker, log logger) *breaker {
	b := &breaker{cfg: cfg.withDefaults(), log: log}
	b.closeLocked()
	return b
}

// closeLocked begins to count anew.
func (b *breaker) closeLocked() {
	cfg := b.cfg
	var why string // of the state change that follows; guarded by gobreaker's lock
	var w *gobreaker.TwoStepCircuitBreaker[struct{}]
	w = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Interval:     cfg.Window,
		BucketPeriod: cfg.Window / 10,
		IsExcluded:   func(err error) bool { return err != nil && !errors.Is(err, errProviderFault) },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			n := c.Requests - c.TotalExclusions
			if n < uint32(cfg.MinCalls) || float64(c.TotalFailures) < cfg.Ratio*float64(n) {
				return false
			}
			why = fmt.Sprintf("%d of %d calls failed within %s", c.TotalFailures, n, cfg.Window)
			return true
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.trip(w, why)
			}
		},
	})
	b.state, b.why, b.window, b.probe = breakerClosed, "", w, nil
	b.next, b.claimed, b.granted = time.Time{}, time.Time{}, time.Time{}
}

// trip opens the breaker, unless w counts no more.
func (b *breaker) trip(w *gobreaker.TwoStepCircuitBreaker[struct{}], why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.window != w || b.state != breakerClosed {
		return
	}
	b.why = why
	b.openLocked(time.Now().Add(b.cfg.Open))
	b.log().Warn("circuit breaker opened: the provider fails", "why", why, "probe_in", b.cfg.Open)
}

func (b *breaker) openLocked(next time.Time) {
	b.state, b.next, b.probe = breakerOpen, next, nil
	b.claimed, b.granted = time.Time{}, time.Time{}
}

// allow lets one call begin, or says that none may. What became of the call goes
// to done: nil, errProviderFault, errNoVerdict or errNoCall.
func (b *breaker) allow(now time.Time) (done func(error), err error) {
	b.mu.Lock()
	if w := b.window; b.state == breakerClosed {
		b.mu.Unlock() // gobreaker calls trip under its own lock
		return w.Allow()
	}
	defer b.mu.Unlock()
	if b.state == breakerOpen || b.probe != nil || !now.Before(b.granted) {
		return nil, errBreakerOpen
	}
	probe := new(bool)
	b.probe = probe
	return func(err error) { b.judge(probe, err) }, nil
}

// lets reports whether a call may begin, with busy others under way: a probe
// goes alone.
func (b *breaker) lets(now time.Time, busy int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == breakerClosed || b.state == breakerProbing && b.probe == nil && busy == 0 && now.Before(b.granted)
}

// closed reports whether calls are made as usual.
func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == breakerClosed
}

// judge ends a probe.
func (b *breaker) judge(probe *bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probe != probe { // the breaker was closed by an operator
		return
	}
	b.probe = nil
	switch {
	case err == nil:
		b.closeLocked()
		b.log().Info("circuit breaker closed: the provider works again")
	case errors.Is(err, errNoCall): // the next request may be the probe
	default:
		b.openLocked(time.Now().Add(b.cfg.Open))
		b.log().Info("probe failed: the circuit breaker stays open", "probe_in", b.cfg.Open)
	}
}

// claim asks for a probe when it is time for one and something wants to be
// called. It returns until when an owner after this one must not probe, which is
// to be stored before grant; zero is not to be waited for, the breaker is closed.
func (b *breaker) claim(now time.Time, wanted bool) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == breakerProbing && b.probe == nil && !now.Before(b.granted) { // it did not begin
		b.openLocked(now)
	}
	if b.state == breakerOpen && wanted && !now.Before(b.next) {
		b.claimed = now
		b.next = now.Add(grantFor + b.cfg.Open)
	}
	return b.next
}

// grant lets the probe begin that was claimed in a checkpoint now stored. It
// reports whether there is one.
func (b *breaker) grant(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != breakerOpen || b.claimed.IsZero() {
		return false
	}
	until := b.claimed.Add(grantFor)
	b.claimed = time.Time{}
	if !now.Before(until) { // storing it took too long
		b.next = now
		return false
	}
	b.state, b.granted = breakerProbing, until
	return true
}

// restore opens the breaker as an owner before us left it.
func (b *breaker) restore(next time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.why = why
	b.openLocked(next)
}

// reset closes the breaker, whatever the calls under way come to.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeLocked()
}

// update takes a changed configuration over. What is open stays so, for no
// longer than is configured now.
func (b *breaker) update(cfg Breaker, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cfg = cfg.withDefaults(); cfg == b.cfg {
		return
	}
	b.cfg = cfg
	switch b.state {
	case breakerClosed:
		b.closeLocked()
	case breakerOpen:
		if latest := now.Add(cfg.Open); b.claimed.IsZero() && b.next.After(latest) {
			b.next = latest
		}
	}
}

// stands returns the state, and unless it is closed when the next probe is due
// and why it has opened.
func (b *breaker) stands() (state breakerState, next time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.next, b.why
}
