package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// Account is one account as the dispatcher works it.
type Account struct {
	channels.Account
	Limits      ratelimit.Limits // none: as fast as Concurrency lets it
	Concurrency int              // calls at once; default 16
	Breaker     Breaker
	OnAmbiguous events.OnAmbiguous // default hold
}

// Breaker says when an account's provider counts as down. Zero fields are
// replaced by their defaults.
type Breaker struct {
	MinCalls int           // in the window before it may open; default 10
	Ratio    float64       // of calls that failed by the provider's fault; default 0.5
	Window   time.Duration // over which calls are counted; default 10s
	Open     time.Duration // before one probe is let through; default 15s
}

// A known account is one that is configured, with what its provider package
// makes of it. It never changes; a reload makes another.
type known struct {
	*Account
	provider channels.Provider
	contract events.Contract
	limits   ratelimit.Limits
	spacing  time.Duration // between two calls at the limit
}

func newKnown(a *Account, p channels.Provider) (*known, error) {
	c, err := p.Contract(&a.Account)
	if err != nil {
		return nil, fmt.Errorf("account %s/%s: %w", a.Provider, a.Name, err)
	}
	k := &known{Account: a, provider: p, contract: c, limits: a.Limits}
	if len(k.limits.Windows) == 0 { // cool-downs need a limiter all the same
		k.limits.Windows = []ratelimit.Window{{Limit: 100_000, Per: time.Second, Burst: 10_000}}
	}
	if err := k.limits.Validate(); err != nil {
		return nil, fmt.Errorf("account %s/%s: limits: %w", a.Provider, a.Name, err)
	}
	for _, w := range k.limits.Windows {
		k.spacing = max(k.spacing, w.Per/time.Duration(w.Limit))
	}
	return k, nil
}

// account is the running state of a known account in its lane: what must hold
// for all its calls together. It starts with an empty limiter, because the
// owner before may have spent the budget a moment ago.
type account struct {
	log     *slog.Logger
	limiter *ratelimit.Limiter

	mu        sync.Mutex
	known     *known
	breaker   *gobreaker.TwoStepCircuitBreaker[struct{}]
	openUntil time.Time // the breaker's next probe
	paused    bool      // the credential was refused
	throttles int       // in a row
	usage     float64   // percent, as the provider told it last
}

// errProviderFault is what the breaker counts; errNoVerdict it ignores.
var (
	errProviderFault = errors.New("the provider is in trouble")
	errNoVerdict     = errors.New("no call was made")
)

func newAccount(k *known, log *slog.Logger) *account {
	acc := &account{log: log, known: k, limiter: ratelimit.New(k.limits)}
	acc.breaker = acc.newBreaker(k)
	return acc
}

func (a *account) newBreaker(k *known) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	b := k.Breaker
	window, open := cmp.Or(b.Window, 10*time.Second), cmp.Or(b.Open, 15*time.Second)
	minCalls, ratio := uint32(cmp.Or(b.MinCalls, 10)), cmp.Or(b.Ratio, 0.5)
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         k.Provider + "/" + k.Name,
		MaxRequests:  1,
		Interval:     window,
		BucketPeriod: window / 10,
		Timeout:      open,
		IsExcluded:   func(err error) bool { return errors.Is(err, errNoVerdict) },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			n := c.Requests - c.TotalExclusions
			return n >= minCalls && float64(c.TotalFailures) >= ratio*float64(n)
		},
		// Runs under the breaker's lock: it must not ask the breaker anything.
		OnStateChange: func(name string, from, to gobreaker.State) {
			a.log.Warn("circuit breaker", "account", name, "from", from.String(), "to", to.String())
			if to == gobreaker.StateOpen {
				a.mu.Lock()
				a.openUntil = time.Now().Add(open)
				a.mu.Unlock()
			}
		},
	})
}

// update takes a changed configuration over. What the limiter has counted
// stays; an account that waits for another credential goes on if it has one.
func (a *account) update(k *known) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.known
	if k == old {
		return
	}
	a.known = k
	if err := a.limiter.Update(k.limits); err != nil { // newKnown has validated them
		a.log.Error("limits not changed", "provider", k.Provider, "account", k.Name, "error", err)
	}
	if k.Breaker != old.Breaker {
		a.breaker = a.newBreaker(k)
	}
	if a.paused && !maps.Equal(k.Secrets, old.Secrets) {
		a.paused = false
		a.log.Info("account goes on: its credential has changed", "provider", k.Provider, "account", k.Name)
	}
}

// state returns what one execution works with.
func (a *account) state() (*known, *gobreaker.TwoStepCircuitBreaker[struct{}]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known, a.breaker
}

// gate says how long no call may start, given that picked calls are on their
// way to the limiter already and busy calls are under way. Zero opens it;
// forever means until something changes.
func (a *account) gate(now time.Time, picked, busy int) time.Duration {
	a.mu.Lock()
	k, breaker, paused := a.known, a.breaker, a.paused
	a.mu.Unlock()
	if paused || busy >= cmp.Or(k.Concurrency, 16) {
		return forever
	}
	switch breaker.State() { // may run OnStateChange, which needs a.mu

	case gobreaker.StateOpen:
		a.mu.Lock()
		defer a.mu.Unlock()
		return max(a.openUntil.Sub(now), time.Millisecond)
	case gobreaker.StateHalfOpen:
		if busy > 0 {
			return forever // one probe at a time
		}
	}
	if a.limiter.Delay(now, picked+1) == 0 { // the burst has room for all of them
		return 0
	}
	d := a.limiter.Delay(now, 1) + time.Duration(picked)*k.spacing - lookahead
	return max(d, 0)
}

const (
	forever = time.Duration(1<<63 - 1)

	// lookahead is how early a call may be picked before the limiter admits
	// it: about the time that storing its intent takes. Longer, and a crash
	// would leave calls in doubt that were never made.
	lookahead = 4 * time.Millisecond
)

// heed applies what a verdict and the decision about it mean for the whole
// account. It reports whether the account has just been paused.
func (a *account) heed(v channels.Verdict, d decision, now time.Time) (paused bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.Usage > 0 || a.usage > 0 { // silence after a reading is a reading of nothing
		a.usage = v.Usage
		a.limiter.Usage(v.Usage, time.Duration(v.RegainMS)*time.Millisecond)
	}
	if d.cooldown > 0 {
		a.limiter.Cooldown(now.Add(d.cooldown))
	}
	if v.Class == channels.Throttled {
		a.throttles++
	} else {
		a.throttles = 0
	}
	if d.pauseAuth && !a.paused {
		a.paused = true
		return true
	}
	return false
}

// nextThrottle is the number that a throttle met now would have in its row.
func (a *account) nextThrottle() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.throttles + 1
}
