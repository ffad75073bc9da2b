package dispatcher

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// laneKey names an account. The class is set only for requests of a class that
// does not exist: they have a lane of their own, in which all are refused.
type laneKey struct{ provider, account, oddClass string }

// class returns the token that the lane's subjects of class index c carry.
func (k laneKey) class(c int) events.Class {
	if k.oddClass != "" {
		return events.Class(k.oddClass)
	}
	return events.Classes[c]
}

// A lane is the requests of one account. The crew looks at it when it may have
// something to do: the lane then picks the next request, if the account may be
// called. It has no goroutine of its own. There may be thousands: its fields are in
// an order that leaves few gaps.
type lane struct {
	p       *partition
	key     laneKey
	results string // their subject

	mu      sync.Mutex
	acct    *account          // nil: no such account is configured, every request is refused
	queues  [3]queue          // by class
	ready   [3][]*entry       // go on at once: next steps, and what a take-over brought
	waiting retries           // go on at their time
	voided  retries           // taken back, only waiting to be ended
	open    map[uint64]*entry // everything begun and not ended, by sequence
	begun   [3]int            // how many of these, by class
	quiet   *quietHours       // of the account, as the lane has heeded them
	keys    keys              // who works and who waits for each order key
	fresh   [3]bool           // by class: a new request goes before those in ready, this time
	asking  bool              // for more places
	refused int32             // how often in a row there were none
	places  []place           // in the account's group, not used yet
	useful  float64           // how many of them at once are likely to be used
	picked  int               // on the way to the limiter
	busy    int               // being executed
	calling int               // of these, those whose call has not been answered
	doubts  int               // begun, in doubt, and not being executed
	turn    int               // of normal and bulk
	alarm   *time.Timer       // has the lane looked at again; nil until there is need
	alarmAt time.Time         // when it rings; zero: it does not
	gone    bool              // from its partition, which has another one by now
	inLine  atomic.Bool       // of the crew
	dormant atomic.Bool       // see partition.awake

	cancelling bool      // goes on
	cancels    []*cancel // to be worked
	voids      voids
	scanAfter  time.Time // no backlog is searched before

	standing *standing     // as the last checkpoint had it; nil is works, and nothing to tell
	tells    *rate.Limiter // of what is told about it; nil while nothing was
}

const (
	// maxOpen bounds the requests of a class that a lane has begun, most of them
	// waiting for another try. At the bound it begins no more until some have
	// ended. What waits of one class takes no room from the others.
	maxOpen = 1024

	// maxRefusing bounds the refusals under way for an account that does not
	// exist.
	maxRefusing = 64

	// bulkTurn lets one bulk request pass for so many normal ones.
	bulkTurn = 4
)

// newLane returns an idle lane whose requests up to seq have all ended.
func newLane(p *partition, key laneKey, acct *account, seq uint64) *lane {
	l := &lane{p: p, key: key, results: broker.ResultSubject(p.n, key.provider, key.account), acct: acct}
	for i := range l.queues {
		l.queues[i] = queue{taken: seq, head: seq, skipped: seq, space: &p.d.intake.space}
	}
	return l
}

// offer hands the lane a request that the feed has read, maybe while a sweep
// follows it. It reports false if the lane is gone.
func (l *lane) offer(class int, m *broker.Stored, sweeping bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.queues[class].offer(m, sweeping)
	l.stirLocked()
	return true
}

// skipTo tells the lane that it has requests up to seq which the feed will not
// bring, the last of which is a send or an other one. It reports false if the lane
// is gone.
func (l *lane) skipTo(class int, seq uint64, other bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	q := &l.queues[class]
	q.skipped = max(q.skipped, seq)
	if other {
		q.others = max(q.others, seq)
	}
	return true
}

// account returns the state of the lane's account, or nil.
func (l *lane) account() *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acct
}

// configure takes a changed configuration over; nil says that the account is
// configured no more.
func (l *lane) configure(k *known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case k == nil:
		l.acct = nil
	case l.acct == nil:
		l.acct = newAccount(k, l.p.d.controls.of(l.key), l.p.log)
	default:
		l.acct.update(k)
	}
	l.stirLocked()
}

// silence keeps the account from being called before the given time, as the
// owners before us were told.
func (l *lane) silence(until time.Time) {
	if acct := l.account(); acct != nil && until.After(time.Now()) {
		acct.limiter.Cooldown(until)
	}
}

// stir has the crew look at the lane: something has changed.
func (l *lane) stir() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stirLocked()
}

func (l *lane) stirLocked() {
	l.dormant.Store(false)
	if !l.restLocked() && l.inLine.CompareAndSwap(false, true) {
		l.p.d.crew.look(l)
	}
}

// step is one look at the lane, by a worker of the crew that has a place for a
// call: it executes a request, if one may go now, and gives the place back.
func (l *lane) step() {
	l.inLine.Store(false)
	p := l.p
	if !p.enter() {
		p.d.crew.vacate()
		return
	}
	defer p.wg.Done()
	if e := l.pick(time.Now()); e != nil {
		p.execute(l, e)
	} else {
		p.d.crew.vacate()
	}
}

// pick returns the request to execute now. When there is none it sees to it that
// the lane is looked at again in time.
func (l *lane) pick(now time.Time) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		e, read, wait := l.nextLocked(now)
		switch {
		case e != nil:
			l.stirLocked() // there may be more
			return e
		case read >= 0:
			l.readLocked(read, now)
			continue
		}
		if wait = min(wait, l.hungerLocked(now)); wait != idle && wait != forever {
			l.alarmLocked(now, wait)
		}
		return nil
	}
}

// alarmLocked has the lane looked at after a while, if it is not before.
func (l *lane) alarmLocked(now time.Time, wait time.Duration) {
	at := now.Add(wait)
	switch {
	case !l.alarmAt.IsZero() && !at.Before(l.alarmAt):
		return
	case l.alarm == nil:
		l.alarm = time.AfterFunc(wait, l.ring)
	default:
		l.alarm.Reset(wait)
	}
	l.alarmAt = at
}

func (l *lane) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarmAt = time.Time{}
	l.stirLocked()
}

// pickedUp says that an entry has passed the limiter, or needs it no more.
func (l *lane) pickedUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.picked--
	l.stirLocked()
}

// answered says that the call of an entry is under way no more, though it is
// still being executed: its result has yet to be stored.
func (l *lane) answered(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answeredLocked(e)
	l.stirLocked()
}

func (l *lane) answeredLocked(e *entry) {
	if e.calling {
		e.calling = false
		l.calling--
	}
}

// settle ends the execution of e: for good, until its time, or with its next
// step.
func (l *lane) settle(e *entry, d decision, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.answeredLocked(e)
	e.executing = false
	over := d.state != "" && (d.state.Final() || d.planned)
	if e.doubt && !over { // it could not be settled now
		l.doubts++
	}
	switch {
	case l.settleVoidLocked(e, d, over, now):
	case d.state == "":
		l.ready[e.class] = append(l.ready[e.class], e)
	case !over:
		e.retryAt = now.Add(d.retryIn)
		l.waiting.add(e)
	default:
		l.closeLocked(e)
		if next := l.keys.leave(e); next != nil {
			l.waiting.add(next)
		}
	}
	e.noteMark()
	l.stirLocked()
}
