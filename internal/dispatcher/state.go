package dispatcher

import (
	"cmp"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// Lanes returns how every account stands that this dispatcher has had requests
// of, in no order. It takes about a microsecond for each.
func (d *Dispatcher) Lanes() []ledger.Lane {
	d.mu.Lock()
	opened := make([]*partition, 0, len(d.opened))
	for _, p := range d.opened {
		opened = append(opened, p)
	}
	d.mu.Unlock()
	var all []ledger.Lane
	now := time.Now()
	for _, p := range opened {
		for _, l := range p.all() {
			if s, ok := l.state(now); ok {
				all = append(all, s)
			}
		}
	}
	return all
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
		InFlight: l.busy, Open: len(l.open),
	}
	for i := range l.queues {
		q := &l.queues[i]
		s.Queued[i], s.Behind[i], s.Head[i] = len(q.items), q.behind(), q.head
	}
	l.acct.describe(&s, now)
	if s.State == events.LaneWorking && s.InFlight == 0 && l.restLocked() {
		s.State = ledger.LaneIdle
	}
	return s, true
}

// describe says what of a lane's state is the account's.
func (a *account) describe(s *ledger.Lane, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.MaxConcurrency = cmp.Or(a.known.Concurrency, 16)
	s.Concurrency, s.UsagePercent = s.MaxConcurrency, a.usage
	switch silent := a.limiter.Silence(); {
	case a.paused:
		s.State = events.LaneCredentialRefused
	case a.openUntil.After(now):
		s.State, s.UntilMS = events.LaneBreakerOpen, a.openUntil.UnixMilli()
	case silent.After(now):
		s.State, s.UntilMS = events.LaneSilenced, silent.UnixMilli()
	default:
		s.State = events.LaneWorking
	}
}
