package dispatcher

import (
	"cmp"
	"errors"
	"log/slog"
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

// account is the running state of an Account in one partition owner: what must
// hold for all its calls together. It starts with an empty limiter, because the
// owner before may have spent the budget a moment ago.
type account struct {
	*Account
	provider channels.Provider
	contract events.Contract
	limiter  *ratelimit.Limiter
	spacing  time.Duration // between two calls at the limit
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu        sync.Mutex
	paused    bool      // the credential was refused
	openUntil time.Time // the breaker's next probe
	throttles int       // in a row
	usage     float64   // percent, as the provider told it last
}

// errProviderFault is what the breaker counts; errNoVerdict it ignores.
var (
	errProviderFault = errors.New("the provider is in trouble")
	errNoVerdict     = errors.New("no call was made")
)

func newAccount(a *Account, p channels.Provider, c events.Contract, log *slog.Logger) *account {
	limits := a.Limits
	if len(limits.Windows) == 0 { // cool-downs need a limiter all the same
		limits.Windows = []ratelimit.Window{{Limit: 100_000, Per: time.Second, Burst: 10_000}}
	}
	acc := &account{Account: a, provider: p, contract: c, limiter: ratelimit.New(limits)}
	for _, w := range limits.Windows {
		acc.spacing = max(acc.spacing, w.Per/time.Duration(w.Limit))
	}
	b := a.Breaker
	window, open := cmp.Or(b.Window, 10*time.Second), cmp.Or(b.Open, 15*time.Second)
	minCalls, ratio := uint32(cmp.Or(b.MinCalls, 10)), cmp.Or(b.Ratio, 0.5)
	acc.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         a.Provider + "/" + a.Name,
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
			log.Warn("circuit breaker", "account", name, "from", from.String(), "to", to.String())
			if to == gobreaker.StateOpen {
				acc.mu.Lock()
				acc.openUntil = time.Now().Add(open)
				acc.mu.Unlock()
			}
		},
	})
	return acc
}

// gate says how long no call may start, given that picked calls are on their
// way to the limiter already and busy calls are under way. Zero opens it;
// forever means until something changes.
func (a *account) gate(now time.Time, picked, busy int) time.Duration {
	if busy >= cmp.Or(a.Concurrency, 16) {
		return forever
	}
	a.mu.Lock()
	paused, openUntil := a.paused, a.openUntil
	a.mu.Unlock()
	if paused {
		return forever
	}
	switch a.breaker.State() {
	case gobreaker.StateOpen:
		return max(openUntil.Sub(now), time.Millisecond)
	case gobreaker.StateHalfOpen:
		if busy > 0 {
			return forever // one probe at a time
		}
	}
	if a.limiter.Delay(now, picked+1) == 0 { // the burst has room for all of them
		return 0
	}
	d := a.limiter.Delay(now, 1) + time.Duration(picked)*a.spacing - lookahead
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
