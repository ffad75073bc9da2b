package dispatcher

import (
	"container/heap"
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// An entry is one request that a lane has begun and not ended.
type entry struct {
	msg   *broker.Stored
	asked ledger.Original // msg as its producer published it
	class int             // index of events.Classes
	req   *events.Request // nil if it cannot be decoded
	fault error           // why not
	key   string          // requests of a lane with the same key are worked one after the other; "" is no key

	calls    int // intents stored so far
	attempts int // calls that counted
	step     channels.Step
	stats    int // events told so far, over all steps
	records  int
	warnings []string
	prev     uint64 // sequence in RESULTS of the newest result

	retryAt  time.Time // not before
	doubt    bool      // an owner before us died in its last call
	touched  bool      // a call of it may have been carried out, though nobody knows
	kept     bool      // it will not be planned, see later.go
	hushed   bool      // it waits for the end of quiet hours
	planning bool      // somebody was about to put it off, and it may have been
	aged     bool      // it would leave the stream unsent: end it now
	place    place     // in the group of its account, where that has one

	// An execution changes the fields above without a lock. What a checkpoint
	// needs of them is noted before and after it, with the positions from which
	// a new owner must read to learn what happened in between.
	mark        entryMark
	executing   bool
	calling     bool // and its call has no answer yet
	intentFloor uint64
	resultFloor uint64

	void    atomic.Uint64 // sequence of the cancel that takes it back; set with the lane locked
	looked  bool          // for the void of a cancel before it was begun
	cancels []*cancel     // that wait for the end of its execution
}

// newEntry decodes a request that nobody has begun.
func newEntry(m *broker.Stored, class int) *entry {
	e := &entry{msg: m, asked: original(m), class: class, step: channels.Step{Number: 1}}
	req, err := events.DecodeRequest(e.asked.Subject, m.Header, m.Data)
	if err != nil {
		e.fault = err
		return e
	}
	e.req = req
	switch {
	case req.Send != nil && req.Send.OrderKey != "":
		e.key = "send " + req.Send.OrderKey
	case req.Command != nil && req.Command.ConversationID != "":
		e.key = "conversation " + req.Command.PageID + " " + req.Command.ConversationID
	}
	return e
}

// next moves e on to its next step, which has all its attempts before it.
func (e *entry) next(cursor string) {
	e.step = channels.Step{Number: e.step.Number + 1, Cursor: cursor}
	e.attempts = 0
}

// retries orders waiting entries by time; it implements heap.Interface.
type retries []*entry

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, j int) bool { return r[i].retryAt.Before(r[j].retryAt) }
func (r retries) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *retries) Push(x any)        { *r = append(*r, x.(*entry)) }
func (r *retries) Pop() any {
	old := *r
	n := len(old) - 1
	e := old[n]
	old[n] = nil
	*r = old[:n]
	return e
}

func (r *retries) add(e *entry) { heap.Push(r, e) }

// due removes and returns an entry whose time has come, or nil.
func (r *retries) due(now time.Time) *entry {
	if len(*r) == 0 || (*r)[0].retryAt.After(now) {
		return nil
	}
	return heap.Pop(r).(*entry)
}

// wait returns how long it is until the next one is due.
func (r retries) wait(now time.Time) time.Duration {
	if len(r) == 0 {
		return forever
	}
	return r[0].retryAt.Sub(now)
}

// result starts the record of what became of e's newest call.
func (e *entry) result(now time.Time) *ledger.Result {
	return &ledger.Result{
		Seq: e.msg.Seq, Call: e.calls, Attempt: e.attempts,
		Step: e.step.Number, Cursor: e.step.Cursor,
		Request: e.asked, AtMS: now.UnixMilli(),
		Stats: e.stats, Records: e.records, Warnings: e.warnings, Prev: e.prev,
	}
}

// original is m as its producer published it.
func original(m *broker.Stored) ledger.Original {
	subject := m.Subject
	if s, err := broker.ParseStored(m.Subject); err == nil {
		subject = s.Public().String()
	}
	return ledger.Original{Subject: subject, Header: m.Header, Data: m.Data, TimeMS: m.Time.UnixMilli(), Seq: origin(m)}
}

// adopt makes e stand where a stored result of its newest call says, and
// returns what follows from it.
func (e *entry) adopt(r *ledger.Result, c clock) decision {
	e.attempts, e.stats, e.records, e.warnings = r.Attempt, r.Stats, r.Records, r.Warnings
	e.step = channels.Step{Number: r.Step, Cursor: r.Cursor}
	e.doubt, e.touched = false, e.touched || r.Why.Class == string(channels.Ambiguous)
	switch r.State {
	case "":
		e.next(r.Next)
	case events.StateDeferred:
		e.retryAt = c.local(r.RetryAtMS)
		return decision{state: r.State, retryIn: time.Until(e.retryAt), planned: r.Planned}
	}
	return decision{state: r.State}
}
