package sandbox

import (
	"sync"
	"time"
)

// An Account is what the sandbox knows of one account.
type Account struct {
	Provider string // caresoft, ahachat, momo, facebook, pancake
	ID       string // as in paths: CareSoft's domain, AhaChat's bot, MoMo's business page, a page; or PancakeUser
	Token    string

	OAs       []string // CareSoft: the connected Zalo OAs
	Campaigns int      // MoMo: of the last 30 days, for each condition. Defaults to 57

	DeadMetrics []string // Facebook: of the document's, those that are no more

	Edition string // Pancake: Documented, or "" for what it is at present

	// PerSecond and PerHour are how many calls are let pass in any such span.
	// Zero is what the provider documents: CareSoft 15 and 54,000, Facebook 4,800
	// in an hour by assumption, Pancake 5 in a second, the others nothing. Negative is no limit.
	PerSecond, PerHour int
}

// DefaultAccounts are there when [Options] names none: one for each provider,
// and for Pancake its user and two pages.
func DefaultAccounts() []Account {
	return []Account{
		{Provider: "caresoft", ID: "sandbox", Token: "sandbox-caresoft-token", OAs: []string{"1600190000000000001"}},
		{Provider: "ahachat", ID: "1001", Token: "sandbox-ahachat-token"},
		{Provider: "momo", ID: "130035", Token: "sandbox-momo-token"},
		{Provider: "facebook", ID: "104500000000001", Token: "sandbox-facebook-token"},
		{Provider: "pancake", ID: PancakeUser, Token: "sandbox-pancake-user-token"},
		{Provider: "pancake", ID: "109483769790976", Token: "sandbox-pancake-page-token"},
		{Provider: "pancake", ID: "wa_c.us@84900000001", Token: "sandbox-pancake-shop-token"},
		{Provider: "webhook", ID: "sandbox", Token: "sandbox-webhook-token"},
	}
}

type accountKey struct{ provider, id string }

// A state is an account with what its provider counts.
type state struct {
	Account
	api *api

	mu           sync.Mutex
	second, hour sliding
	streak       int // refusals in a row
	lockedUntil  time.Time
}

func newStates(accounts []Account, apis map[string]*api) map[accountKey]*state {
	states := map[accountKey]*state{}
	for _, a := range accounts {
		api := apis[a.Provider]
		if api == nil {
			panic("sandbox: account of unknown provider " + a.Provider)
		}
		if a.PerSecond == 0 {
			a.PerSecond = api.perSecond
		}
		if a.PerHour == 0 {
			a.PerHour = api.perHour
		}
		states[accountKey{a.Provider, a.ID}] = &state{
			Account: a, api: api, second: sliding{per: time.Second}, hour: sliding{per: time.Hour},
		}
	}
	return states
}

// admit counts a call against the limits. It returns false with the number of
// refusals in a row when there are too many.
func (s *state) admit(now time.Time) (bool, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.api.lockAfter > 0 && s.streak > s.api.lockAfter && !now.Before(s.lockedUntil) {
		s.streak = 0
	}
	full := s.PerSecond > 0 && s.second.count(now) >= s.PerSecond ||
		s.PerHour > 0 && s.hour.count(now) >= s.PerHour
	if locked := now.Before(s.lockedUntil); full || locked {
		s.streak++
		if !locked && s.api.lockAfter > 0 && s.streak > s.api.lockAfter {
			s.lockedUntil = now.Add(s.api.lockFor)
		}
		return false, s.streak
	}
	s.streak = 0
	if s.PerSecond > 0 {
		s.second.add(now)
	}
	if s.PerHour > 0 {
		s.hour.add(now)
	}
	return true, 0
}

// reset forgets what was counted.
func (s *state) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.second.times, s.hour.times = nil, nil
	s.streak, s.lockedUntil = 0, time.Time{}
}

// sliding is the times of the last span, which is what limits and judges need.
type sliding struct {
	per   time.Duration
	times []int64 // unix nanoseconds, in order
}

func (s *sliding) add(t time.Time) {
	n := t.UnixNano()
	i := len(s.times)
	s.times = append(s.times, n)
	for ; i > 0 && s.times[i-1] > n; i-- { // handlers run in parallel: nearly in order
		s.times[i] = s.times[i-1]
	}
	s.times[i] = n
}

// count returns how many times lie in the span that ends at t, its start
// excluded, and forgets those before it.
func (s *sliding) count(t time.Time) int {
	start := t.Add(-s.per).UnixNano()
	i := 0
	for i < len(s.times) && s.times[i] <= start {
		i++
	}
	s.times = s.times[i:]
	return len(s.times)
}
