package dispatcher

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// Lanes returns how every account stands that this dispatcher has had requests
// of, or that is paused, in no order. It takes about a microsecond for each.
func (d *Dispatcher) Lanes() []ledger.Lane {
	var lanes []*lane
	for _, p := range d.partitions() {
		lanes = append(lanes, p.all()...)
	}
	all := make([]ledger.Lane, 0, len(lanes))
	now := time.Now()
	for _, l := range lanes {
		if s, ok := l.state(now); ok {
			all = append(all, s)
		}
	}
	return all
}

// partitions returns what is open.
func (d *Dispatcher) partitions() []*partition {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.opened))
}

// state says how the lane stands. A lane of no account, or of a class that does
// not exist, only refuses: it says false.
func (l *lane) state(now time.Time) (ledger.Lane, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acct == nil || l.key.oddClass != "" {
		return ledger.Lane{}, false
	}
	s := ledger.Lane{
		Provider: l.key.provider, Account: l.key.account, Partition: l.p.n, Owner: l.p.d.owner.ID(),
		InFlight: l.calling, Open: len(l.open),
	}
	s.Quiet = l.p.quietClasses(l.acct.state().quiet, now)
	for i := range l.queues {
		q := &l.queues[i]
		s.Queued[i], s.Behind[i], s.Head[i] = len(q.items), q.behind(), q.head
		if m := q.peek(); m != nil && s.Quiet[events.Classes[i]] == 0 {
			s.OldestMS[i] = l.p.clock.local(m.time().UnixMilli()).UnixMilli()
		}
	}
	l.acct.describe(&s)
	s.Runnable = l.runnableLocked(now)
	c := l.acct.condition(now)
	s.State, s.Why, s.By = c.state, c.words(), c.by
	if !c.until.IsZero() {
		s.UntilMS = c.until.UnixMilli()
	}
	switch {
	case c.state == events.LanePaused:
		s.SinceMS = l.p.clock.local(c.at.UnixMilli()).UnixMilli()
	case l.standing != nil && l.standing.State == c.state:
		s.SinceMS = l.p.clock.local(l.standing.SinceMS).UnixMilli()
	}
	if s.State == events.LaneWorking && l.busy == 0 && l.restLocked() {
		s.State = ledger.LaneIdle
	}
	return s, true
}

// describe says what of a lane's figures is the account's.
func (a *account) describe(s *ledger.Lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.MaxConcurrency = cmp.Or(a.known.Concurrency, defaultConcurrency)
	s.Concurrency, s.UsagePercent = a.calls.limit(), a.usage
}

// A condition is what holds an account back, or that nothing does.
type condition struct {
	state events.LaneState
	until time.Time // not called before; zero: nobody knows
	at    time.Time // by the broker's clock, when an operator told it; else zero
	by    string    // that operator
	why   events.Why
	trial bool // the refused credential is tried again with the next call
}

// condition returns the gravest thing that holds the account back.
func (a *account) condition(now time.Time) condition {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held.Paused {
		return condition{state: events.LanePaused, at: a.held.at, by: a.held.By, why: events.Why{Detail: a.held.Reason}}
	}
	if a.refused != nil {
		return condition{state: events.LaneCredentialRefused, why: *a.refused, trial: a.trial}
	}
	switch state, next, why := a.breaker.stands(); {
	case state == breakerOpen:
		return condition{state: events.LaneBreakerOpen, until: next, why: events.Why{Detail: why}}
	case state == breakerProbing:
		return condition{state: events.LaneBreakerProbing, why: events.Why{Detail: why}}
	}
	if until := a.limiter.Silence(); until.After(now) {
		c := condition{state: events.LaneSilenced, until: until}
		if a.usage > 0 {
			c.why.Detail = fmt.Sprintf("%.0f%% of what the provider allows is used", a.usage)
		}
		return c
	}
	c := condition{state: events.LaneWorking}
	if a.held.revision > 0 { // resumed
		c.at, c.by = a.held.at, a.held.By
	}
	return c
}

// words says in a few words why.
func (c *condition) words() string {
	var parts []string
	if c.why.Reason != "" {
		parts = append(parts, c.why.Reason)
	}
	if c.why.HTTPStatus != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", c.why.HTTPStatus))
	}
	if c.why.Reason == "" && c.why.Detail != "" {
		parts = append(parts, c.why.Detail)
	}
	if c.trial {
		parts = append(parts, "to be tried again")
	}
	return strings.Join(parts, ", ")
}

// restore makes the account stand as an owner before us left it. What an operator
// has resumed since has no breaker open.
func (a *account) restore(m *laneMark, c clock) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var why events.Why // of the gravest; who needs another one does without
	if m.State != nil {
		why = m.State.Why
	}
	resumed := !a.held.Paused && a.held.revision > m.Control
	if m.Probe != 0 && !resumed {
		a.breaker.restore(c.local(m.Probe), why.Detail)
	}
	if m.Refused != 0 && m.Refused == fingerprint(a.known) {
		a.refused, a.trial = &why, true // a new owner may try, say after a restart
	}
}

// mark notes what restore needs.
func (a *account) mark(m *laneMark) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.Control = a.held.revision
	if a.refused != nil {
		m.Refused = fingerprint(a.known)
	}
}

// fingerprint tells the credential of an account from another one. It is too
// short to tell anything else about it.
func fingerprint(k *known) uint32 {
	h := sha256.New()
	fmt.Fprintf(h, "%s/%s", k.Provider, k.Name)
	for _, name := range slices.Sorted(maps.Keys(k.Secrets)) {
		fmt.Fprintf(h, "\x00%s\x00%s", name, k.Secrets[name].Reveal())
	}
	return max(binary.BigEndian.Uint32(h.Sum(nil)), 1) // 0 is none
}
