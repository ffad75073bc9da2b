package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/failpoint"
	"github.com/tramhq/tram/pkg/channels"
)

// A checkpoint says from where on a new owner must read the streams. Its size
// depends on the accounts that have work at the moment, not on the backlog.
type checkpoint struct {
	Feed    uint64     `msgpack:"feed"`              // of accounts that are not in Lanes, exactly the requests up to here have ended
	Intents uint64     `msgpack:"intents"`           // intents after this one matter
	Results uint64     `msgpack:"results"`           // results after this one matter
	Cancels uint64     `msgpack:"cancels,omitempty"` // the cancels before this one have been answered; 0 is those up to Feed
	Strays  uint64     `msgpack:"strays,omitempty"`  // the strays up to here have been refused
	Past    []*past    `msgpack:"past,omitempty"`    // of requests that this owner has not met again yet; Lanes know better
	Lanes   []laneMark `msgpack:"lanes,omitempty"`
	Format  int        `msgpack:"format,omitempty"` // see [ledger.Format]; that of the intents and results of this owner, too
}

// A laneMark is an account that has work, or has done what the feed has not come
// to yet, or must not be called for a while.
type laneMark struct {
	Provider string       `msgpack:"p"`
	Account  string       `msgpack:"a"`
	OddClass string       `msgpack:"x,omitempty"`
	Silence  int64        `msgpack:"s,omitempty"` // the account must not be called before, in the broker's milliseconds
	Probe    int64        `msgpack:"b,omitempty"` // the breaker is open, and no probe may be made before; the same
	Refused  uint32       `msgpack:"r,omitempty"` // stands for the credential that was refused
	Control  uint64       `msgpack:"h,omitempty"` // revision of what an operator told last, as far as it was heeded
	State    *standing    `msgpack:"w,omitempty"` // what is to be told about the lane, or was
	Queues   [3]queueMark `msgpack:"q"`
	Open     []entryMark  `msgpack:"o,omitempty"`
}

// A queueMark says that all requests of a class up to Taken have been begun,
// and that there are more up to Known.
type queueMark struct {
	Taken  uint64 `msgpack:"t"`
	Known  uint64 `msgpack:"k"`
	Others uint64 `msgpack:"o,omitempty"` // up to here there may be reports and commands among them
}

// An entryMark is a request that was begun and has not ended.
type entryMark struct {
	Seq       uint64   `msgpack:"s"`
	Class     int      `msgpack:"c"`
	Calls     int      `msgpack:"n,omitempty"`
	Doubt     bool     `msgpack:"d,omitempty"` // about the last of Calls
	Attempts  int      `msgpack:"a,omitempty"`
	Step      int      `msgpack:"st,omitempty"`
	Cursor    string   `msgpack:"cu,omitempty"`
	Stats     int      `msgpack:"sc,omitempty"`
	Records   int      `msgpack:"rc,omitempty"`
	Warnings  []string `msgpack:"w,omitempty"`
	Prev      uint64   `msgpack:"p,omitempty"` // sequence in RESULTS of the newest result
	RetryAtMS int64    `msgpack:"r,omitempty"` // in the broker's time
	Touched   bool     `msgpack:"u,omitempty"`
	Planning  bool     `msgpack:"q,omitempty"` // somebody was about to put it off
	Void      uint64   `msgpack:"v,omitempty"` // the cancel that takes it back

	retryAt time.Time
}

// checkpointEvery bounds what a take-over has to read.
const checkpointEvery = time.Second

// mark writes a checkpoint every second in which something has changed.
func (p *partition) mark() {
	t := time.NewTicker(checkpointEvery)
	defer t.Stop()
	for {
		select {
		case <-p.take.Done():
			return
		case <-t.C:
		}
		if !p.mayCall() {
			continue
		}
		ctx, cancel := context.WithTimeout(p.take, 5*time.Second)
		err := p.checkpoint(ctx)
		cancel()
		switch {
		case errors.Is(err, errFenced):
			p.fail(err)
		case err != nil && p.take.Err() == nil:
			p.log.Warn("checkpoint not written, trying again", "error", err)
		case err == nil:
			p.grantProbes()
			p.tell()
		}
	}
}

func (p *partition) checkpoint(ctx context.Context) error {
	err := p.marks.write(ctx, p.snapshot())
	if err == nil {
		failpoint.Hit(failpoint.CheckpointWritten)
	}
	return err
}

// snapshot takes the marks of all lanes. The positions and the past are read
// before the lanes: what happens meanwhile is read again by a new owner, which
// is harmless; the reverse would lose it. Results come before intents, so that of
// every intent that is read again the result is, too.
func (p *partition) snapshot() *checkpoint {
	c := &checkpoint{Feed: p.fed.Load(), Strays: p.strays.Load(), Results: p.d.lastResult.Load()}
	c.Intents = p.intents.position()
	c.Past = p.past.all()
	met := min(c.Feed, p.cancels.mark(c))
	for _, l := range p.awake() {
		if m, needed := l.mark(c); needed {
			c.Lanes = append(c.Lanes, m)
			for _, q := range m.Queues {
				if q.Taken < q.Known {
					met = min(met, q.Taken)
				}
			}
		} else if l.account() == nil {
			p.forget(l)
		}
	}
	p.past.met(met)
	return c
}

// awake returns the lanes to which something has happened since a checkpoint had
// no use for them: of thousands of accounts most are idle most of the time.
func (p *partition) awake() (lanes []*lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if !l.dormant.Load() {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// forget lets go of an idle lane of an account that does not exist: anybody
// can make up names.
func (p *partition) forget(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idleLocked() && l.takenLocked() <= p.fed.Load() {
		l.gone = true
		delete(p.lanes, l.key)
	}
}

// mark notes where the lane stands, and lowers c's positions to what its calls
// under way need. It reports whether a new owner needs the mark.
func (l *lane) mark(c *checkpoint) (laneMark, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := laneMark{Provider: l.key.provider, Account: l.key.account, OddClass: l.key.oddClass}
	if l.acct != nil {
		if until := l.acct.limiter.Silence(); until.After(time.Now()) {
			m.Silence = l.p.clock.ms(until)
		}
	}
	standing := l.markStandingLocked(&m)
	if l.idleLocked() && l.takenLocked() <= c.Feed && m.Silence == 0 && !standing {
		l.dormant.Store(l.acct != nil)
		return laneMark{}, false
	}
	for i := range l.queues {
		m.Queues[i] = queueMark{Taken: l.queues[i].taken, Known: l.queues[i].known(), Others: l.queues[i].others}
	}
	for _, e := range l.open {
		if e.executing {
			c.Intents = min(c.Intents, e.intentFloor)
			c.Results = min(c.Results, e.resultFloor)
		}
		mark := e.mark
		mark.RetryAtMS = l.p.clock.ms(mark.retryAt)
		m.Open = append(m.Open, mark)
	}
	return m, true
}

// takenLocked is the newest request that the lane has begun. A lane that reads
// its backlog itself can be ahead of the feed.
func (l *lane) takenLocked() uint64 {
	return max(l.queues[0].taken, l.queues[1].taken, l.queues[2].taken)
}

func (l *lane) idleLocked() bool {
	for i := range l.queues {
		if !l.queues[i].idle() {
			return false
		}
	}
	return len(l.open) == 0
}

// noteMark notes what a new owner needs to know of e.
func (e *entry) noteMark() {
	e.mark = entryMark{
		Seq: e.msg.Seq, Class: e.class, Calls: e.calls, Doubt: e.doubt, Attempts: e.attempts,
		Step: e.step.Number, Cursor: e.step.Cursor, Stats: e.stats, Records: e.records,
		Warnings: e.warnings, Prev: e.prev, Touched: e.touched, Void: e.void.Load(), Planning: e.planning, retryAt: e.retryAt,
	}
	if e.hushed { // whoever takes over looks at once whether the hours are quiet
		e.mark.retryAt = time.Time{}
	}
}

// entry makes the marked entry again.
func (m *entryMark) entry(msg *broker.Stored, c clock) *entry {
	e := newEntry(msg, m.Class)
	e.calls, e.doubt, e.attempts = m.Calls, m.Doubt, m.Attempts
	e.stats, e.records, e.warnings, e.prev = m.Stats, m.Records, m.Warnings, m.Prev
	e.step = channels.Step{Number: max(m.Step, 1), Cursor: m.Cursor}
	e.retryAt, e.touched, e.planning = c.local(m.RetryAtMS), m.Touched, m.Planning
	e.void.Store(m.Void)
	return e
}
