package dispatcher

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/tramhq/tram/pkg/events"
)

// A standing is the state of a lane as a checkpoint has it, and whether the
// world has been told. Only what a checkpoint has is told, under an id that is
// made of it: so whoever takes the lane over knows what was told, or tells it
// again under the same id. A lane that works as it always did has none.
type standing struct {
	events.Lane `msgpack:",inline"` // times are the broker's
	Told        bool                `msgpack:"told,omitempty"`

	sent bool // it may have been told
}

const (
	// worthTelling is the shortest silence that a person may want to know of.
	worthTelling = 5 * time.Second

	// A lane that flaps is told tellBurst times, then once every tellEvery.
	tellBurst = 3
	tellEvery = 30 * time.Second

	tellPatience = 2 * time.Second // for the broker to store what is told
)

// markStandingLocked notes where the lane's account stands, asks for a probe
// where one is due, and reports whether a new owner needs to know any of it.
func (l *lane) markStandingLocked(m *laneMark) bool {
	if l.acct == nil || l.key.oddClass != "" {
		return false
	}
	now := time.Now()
	wanted := l.wantsLocked(now) && l.p.take.Err() == nil && l.acct.ready(now)
	m.Probe = l.p.clock.ms(l.acct.breaker.claim(now, wanted))
	l.acct.mark(m)
	l.standing = l.standing.follow(l.key, l.acct.condition(now), now, l.p.clock)
	if l.standing != nil {
		m.State = new(*l.standing)
	}
	return m.Probe != 0 || m.Refused != 0 || m.State != nil
}

// wantsLocked reports whether a request would be picked now if none was held
// back.
func (l *lane) wantsLocked(now time.Time) bool {
	for c := range l.queues {
		if _, still := l.stillLocked(c, now); !l.queues[c].idle() && !still || len(l.ready[c]) > 0 {
			return true
		}
	}
	return len(l.waiting) > 0 && !l.waiting[0].retryAt.After(now)
}

// follow returns how the lane stands under the condition c.
func (s *standing) follow(key laneKey, c condition, now time.Time, clock clock) *standing {
	before, told := events.LaneWorking, true
	if s != nil {
		before, told = s.State, s.Told || s.sent
	}
	if c.state == events.LaneSilenced && before != c.state && c.until.Sub(now) < worthTelling {
		c = condition{state: events.LaneWorking}
	}
	switch {
	case c.state != before:
	case c.state == events.LaneWorking && (s == nil || s.Told):
		return nil
	default:
		return s
	}
	n := &standing{Lane: events.Lane{
		Provider: key.provider, Account: key.account, State: c.state, Was: before, Why: c.why,
		SinceMS: clock.ms(now), UntilMS: clock.ms(c.until),
	}}
	if !told {
		n.Was = s.Was
	}
	if c.state == events.LanePaused || n.Was == events.LanePaused {
		n.By = c.by
		if !c.at.IsZero() {
			n.SinceMS = c.at.UnixMilli()
		}
	}
	n.Told = n.State == n.Was // it has come back before anybody was told
	return n
}

// restoreStanding makes the lane stand as the checkpoint has it.
func (l *lane) restoreStanding(m *laneMark) {
	if acct := l.account(); acct != nil {
		acct.restore(m, l.p.clock)
		if l.standing = m.State; l.standing != nil {
			l.standing.sent = true // by an owner who did not live to note it
		}
	}
}

// grantProbes lets the probes begin that the last checkpoint claims.
func (p *partition) grantProbes() {
	for _, l := range p.awake() {
		if acct := l.account(); acct != nil && acct.breaker.grant(time.Now()) {
			l.stir()
		}
	}
}

// tell publishes the states that the last checkpoint has and nobody was told
// of. What cannot be stored now is told after the next one, as it stands then.
func (p *partition) tell() {
	type told struct {
		l   *lane
		s   standing
		ack jetstream.PubAckFuture
	}
	var all []told
	for _, l := range p.awake() {
		s, ok := l.untold()
		if !ok {
			continue
		}
		at := strconv.FormatInt(s.SinceMS, 10)
		m, err := events.EncodeLane(events.Meta{
			ID:     events.DeterministicID("lane", s.Provider, s.Account, string(s.State), at),
			Source: events.Source, Time: time.UnixMilli(s.SinceMS),
		}, &s.Lane)
		if err != nil { // names that no subject can have are never configured
			p.log.Error("lane not told", "error", err)
			continue
		}
		ack, err := p.d.cfg.JS.PublishMsgAsync(m)
		if err != nil {
			break // the broker is away
		}
		all = append(all, told{l, s, ack})
	}
	late := time.NewTimer(tellPatience)
	defer late.Stop()
	for _, t := range all {
		select {
		case <-t.ack.Ok():
			t.l.told(t.s)
			p.d.telling.Worked()
		case err := <-t.ack.Err():
			p.d.telling.Failed(err)
			return
		case <-late.C:
			return
		}
	}
}

// untold returns what is to be told about the lane now.
func (l *lane) untold() (standing, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.standing == nil || l.standing.Told {
		return standing{}, false
	}
	if l.tells == nil {
		l.tells = rate.NewLimiter(rate.Every(tellEvery), tellBurst)
	}
	byOperator := l.standing.State == events.LanePaused || l.standing.Was == events.LanePaused
	if !byOperator && l.tells.Tokens() < 1 {
		return standing{}, false
	}
	l.standing.sent = true
	return *l.standing, true
}

// told notes that s is stored.
func (l *lane) told(s standing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tells.Allow()
	if l.standing != nil && l.standing.State == s.State && l.standing.SinceMS == s.SinceMS {
		l.standing.Told = true
	}
}
