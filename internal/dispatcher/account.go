package dispatcher

import (
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

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
	Group       string             // whose limit it shares, "" if none
	Quiet       []Quiet
}

// A known account is one that is configured, with what its provider package
// makes of it. It never changes; a reload makes another.
type known struct {
	*Account
	provider channels.Provider
	terms    *events.Contract // but for its account: others may have it, too
	limits   ratelimit.Limits
	quiet    *quietHours   // nil: none
	spacing  time.Duration // between two calls at the limit
	meter    Meter
}

func newKnown(a *Account, p channels.Provider) (*known, error) {
	c, err := p.Contract(&a.Account)
	if err != nil {
		return nil, fmt.Errorf("account %s/%s: %w", a.Provider, a.Name, err)
	}
	c.Scheduling, c.Account = true, ""
	k := &known{Account: a, provider: p, terms: &c, limits: a.Limits}
	if len(k.limits.Windows) == 0 { // cool-downs need a limiter all the same
		k.limits.Windows = []ratelimit.Window{{Limit: 100_000, Per: time.Second, Burst: 10_000}}
	}
	if err := k.limits.Validate(); err != nil {
		return nil, fmt.Errorf("account %s/%s: limits: %w", a.Provider, a.Name, err)
	}
	if k.quiet, err = newQuietHours(a.Quiet); err != nil {
		return nil, fmt.Errorf("account %s/%s: %w", a.Provider, a.Name, err)
	}
	for _, w := range k.limits.Windows {
		k.spacing = max(k.spacing, w.Per/time.Duration(w.Limit))
	}
	return k, nil
}

// contract says what the account can be asked for.
func (k *known) contract() events.Contract {
	c := *k.terms
	c.Account = k.Name
	return c
}

// share has accounts that can be asked for the same keep it once, among all terms
// by what they are on the wire.
func (k *known) share(all map[string]*events.Contract) {
	b, err := events.EncodeContract(*k.terms)
	if err != nil { // whoever publishes it tells
		return
	}
	if same := all[string(b)]; same != nil {
		k.terms = same
	} else {
		all[string(b)] = k.terms
	}
}

// account is the running state of a known account in its lane: what must hold
// for all its calls together. It starts with an empty limiter, because the
// owner before may have spent the budget a moment ago.
type account struct {
	log     logger
	limiter *ratelimit.Limiter

	breaker *breaker

	mu        sync.Mutex
	known     *known
	calls     *concurrency
	held      *control    // what an operator told last
	refused   *events.Why // the credential was, because; nil: it was not
	trial     bool        // the refused credential is tried again, with one call at a time
	fresh     time.Time   // calls begun before say nothing about the credential any more
	throttles throttles
	usage     float64 // percent, as the provider told it last
}

func newAccount(k *known, held *control, base *slog.Logger) *account {
	log := loggerOf(k, base)
	return &account{log: log, limiter: ratelimit.New(k.limits), breaker: newBreaker(k.Breaker, log), known: k, calls: newConcurrency(k.Concurrency), held: held}
}

// A logger returns what logs for an account, which is made when there is
// something to say: most of thousands of accounts never have.
type logger func() *slog.Logger

func loggerOf(k *known, base *slog.Logger) logger {
	provider, name := k.Provider, k.Name // not k, which a reload replaces
	return func() *slog.Logger { return base.With("provider", provider, "account", name) }
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
	a.calls.setMost(k.Concurrency)
	if err := a.limiter.Update(k.limits); err != nil { // newKnown has validated them
		a.log().Error("limits not changed", "error", err)
	}
	a.breaker.update(k.Breaker, time.Now())
	if maps.Equal(k.Secrets, old.Secrets) {
		return
	}
	a.fresh = time.Now()
	if a.refused != nil {
		a.refused, a.trial = nil, false
		a.log().Info("account goes on: its credential has changed")
	}
}

// state returns the account as one execution works with it.
func (a *account) state() *known {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

// stopped reports whether no call may start because an operator has paused the
// account or because its credential was refused.
func (a *account) stopped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stoppedLocked()
}

// ready reports whether nothing but the breaker keeps a call from starting, now
// or in a moment.
func (a *account) ready(now time.Time) bool {
	return !a.stopped() && a.limiter.Delay(now, 1) <= grantFor/2
}

func (a *account) stoppedLocked() bool { return a.held.Paused || a.refused != nil && !a.trial }

// gate says how long no call may start, given that picked calls are on their way
// to the limiter already, that busy requests are being executed, calling of them
// without an answer yet, and that one may be picked so long ahead of its turn.
// Zero opens it; forever means until something changes.
func (a *account) gate(now time.Time, picked, calling, busy int, ahead time.Duration) time.Duration {
	a.mu.Lock()
	k, stopped, full := a.known, a.stoppedLocked(), !a.calls.allows(calling) || a.trial && busy > 0
	a.mu.Unlock()
	if stopped || full || !a.breaker.lets(now, busy) {
		return forever
	}
	if a.limiter.Delay(now, picked+1) == 0 { // the burst has room for all of them
		return 0
	}
	d := a.limiter.Delay(now, 1) + time.Duration(picked)*k.spacing - ahead
	return max(d, 0)
}

const forever = time.Duration(1<<63 - 1)

// heed applies what a verdict and the decision about it mean for the whole
// account. The call began at the given time. It reports whether the account has just been paused.
func (a *account) heed(v channels.Verdict, d decision, begun, now time.Time) (paused bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.Usage > 0 || a.usage > 0 { // silence after a reading is a reading of nothing
		a.usage = v.Usage
		a.limiter.Usage(v.Usage, time.Duration(v.RegainMS)*time.Millisecond)
	}
	if d.cooldown > 0 {
		a.limiter.Cooldown(now.Add(d.cooldown))
	}
	return !begun.Before(a.fresh) && a.heedCredential(d)
}

// heedCredential notes whether the credential is taken. It reports whether it
// has just been refused, and was not before.
func (a *account) heedCredential(d decision) (paused bool) {
	switch {
	case d.pauseAuth:
		paused = a.refused == nil
		a.refused, a.trial = new(d.why), false
		a.refused.ProviderText = "" // may say who the request was about
	case a.trial && takes(d.why):
		a.refused, a.trial = nil, false
		a.log().Info("account goes on: its credential is taken again")
	}
	return paused
}

// takes reports whether a provider that answers so has taken the credential.
func takes(why events.Why) bool { return why.Class == "" || why.Class == string(channels.Permanent) }

// ended takes in what a call that was begun at the given time tells about how
// many may be under way at once, and how often.
func (a *account) ended(operation string, begun time.Time, ans *channels.Answer, v channels.Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.calls.ended(operation, ans, v, now)
	a.throttles.heed(v.Class, begun, now)
}

// nextThrottle is the number that a throttle of a call begun at the given time
// would have in its row.
func (a *account) nextThrottle(begun time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.throttles.next(begun)
}
