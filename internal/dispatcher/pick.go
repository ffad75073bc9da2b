package dispatcher

import (
	"time"
)

// idle, as a time to wait, says that the lane has nothing to wait for.
const idle = time.Duration(-1)

// nextLocked picks the entry to execute now. When there is none it names a class
// whose queue should be read from the stream, or says how long to wait.
func (l *lane) nextLocked(now time.Time) (e *entry, read int, wait time.Duration) {
	if l.restLocked() {
		return nil, -1, idle
	}
	if e := l.voided.due(now); e != nil { // it takes no call, so it waits for no gate
		l.pickUpLocked(e)
		return e, -1, 0
	}
	l.heedQuietLocked(now)
	l.beginDoubtsLocked()
	if e, _ := l.doubtLocked(now); e != nil { // nor does this
		return e, -1, 0
	}
	gate := time.Duration(0)
	if l.acct != nil {
		gate = l.acct.gate(now, l.picked, l.calling, l.busy, l.p.intents.ahead())
	} else if l.busy >= maxRefusing {
		gate = forever
	}
	group := ""
	if gate == 0 && l.acct != nil {
		if group = l.acct.state().Group; group != "" {
			if l.quiet != nil && !l.wantsLocked(now) { // a place would be lost
				return nil, -1, min(l.waiting.wait(now), l.voided.wait(now), l.stillWaitLocked(now))
			}
			gate = l.placeLocked(now, group)
		}
	}
	if gate > 0 {
		e, read, wait := l.blockedLocked(now, gate)
		return e, read, min(wait, l.voided.wait(now))
	}
	for {
		due := l.waiting.due(now)
		if due == nil {
			break
		}
		if !l.holdLocked(due, now) {
			l.ready[due.class] = append(l.ready[due.class], due)
		}
	}
	for _, class := range l.orderLocked() {
		if l.mustReadLocked(class, now) {
			l.fresh[class] = false // if nothing is there yet, what is ready goes on meanwhile
			return nil, class, 0
		}
		if e := l.pickLocked(class, now); e != nil {
			if group != "" {
				e.place, l.places = l.places[0], l.places[1:]
			}
			return e, -1, 0
		}
		if l.mustReadLocked(class, now) { // it had none but those that are over
			return nil, class, 0
		}
	}
	return nil, -1, min(l.waiting.wait(now), l.voided.wait(now), l.stillWaitLocked(now))
}

// restLocked reports whether the lane has nothing to do but to wait for calls
// under way.
func (l *lane) restLocked() bool {
	for c := range l.queues {
		if !l.queues[c].idle() || len(l.ready[c]) > 0 {
			return false
		}
	}
	return len(l.waiting) == 0 && len(l.voided) == 0
}

// orderLocked is the order in which classes are served this time: urgent
// first; bulk before normal every bulkTurn-th time, so that it never starves.
func (l *lane) orderLocked() [3]int {
	if l.turn%bulkTurn == bulkTurn-1 {
		return [3]int{0, 2, 1}
	}
	return [3]int{0, 1, 2}
}

// mustReadLocked reports whether the next request of class is still to be read
// from the stream.
func (l *lane) mustReadLocked(class int, now time.Time) bool {
	q := &l.queues[class]
	return q.mustRead(now) && l.begun[class] < maxOpen && (l.fresh[class] || len(l.ready[class]) == 0)
}

// pickLocked takes the next entry of class, or nil: in turns one that goes on
// and one that is new, so that a report of many pages stops nobody.
func (l *lane) pickLocked(class int, now time.Time) *entry {
	var e *entry
	q := &l.queues[class]
	_, still := l.stillLocked(class, now)
	fresh := len(q.items) > 0 && l.begun[class] < maxOpen && !still
	switch {
	case len(l.ready[class]) > 0 && !(fresh && l.fresh[class]):
		l.fresh[class] = true
		e = l.ready[class][0]
		l.ready[class] = l.ready[class][1:]
		if l.holdLocked(e, now) {
			return l.pickLocked(class, now)
		}
	case fresh:
		l.fresh[class] = false
		if e = l.beginLocked(class); e == nil {
			return l.pickLocked(class, now)
		}
		if e.retryAt.After(now) {
			l.waiting.add(e)
			return l.pickLocked(class, now)
		}
		if l.holdLocked(e, now) {
			return l.pickLocked(class, now)
		}
	default:
		return nil
	}
	if class > 0 {
		l.turn++
	}
	l.pickUpLocked(e)
	return e
}

// beginLocked begins the oldest request in the queue of class. It returns nil if
// there is nothing to do about it: it had ended before we took over, or waits for
// others of its key.
func (l *lane) beginLocked(class int) *entry {
	e := l.p.begin(l.queues[class].take(), class)
	if e == nil {
		return nil
	}
	e.noteMark()
	l.openLocked(e)
	if !l.keys.enter(e) {
		return nil
	}
	return e
}

// openLocked notes that e was begun.
func (l *lane) openLocked(e *entry) {
	if l.open == nil {
		l.open = make(map[uint64]*entry)
	}
	l.open[e.msg.Seq] = e
	l.begun[e.class]++
	if e.doubt {
		l.doubts++
	}
}

// closeLocked notes that e has ended.
func (l *lane) closeLocked(e *entry) {
	delete(l.open, e.msg.Seq)
	if len(l.open) == 0 {
		l.open = nil // as in queue.take
	}
	l.begun[e.class]--
}

func (l *lane) pickUpLocked(e *entry) {
	e.noteMark()
	e.executing, e.calling, e.place = true, true, place{}
	e.resultFloor = l.p.d.lastResult.Load() // before the intents: see snapshot
	e.intentFloor = l.p.intents.position()
	if e.doubt {
		l.doubts--
	}
	l.picked++
	l.busy++
	l.calling++
}
