package dispatcher

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/internal/ledger"
)

// past is what the logs tell about one request since the checkpoint.
type past struct {
	Seq      uint64         `msgpack:"s"`
	Calls    int            `msgpack:"n"`
	CalledMS int64          `msgpack:"t,omitempty"`  // when the intent of the newest call was stored
	Last     *ledger.Result `msgpack:"l,omitempty"`  // of the newest call that has one, as far as adopt needs it
	LastSeq  uint64         `msgpack:"ls,omitempty"` // of Last in RESULTS
	Plan     bool           `msgpack:"p,omitempty"`  // the newest intent was no call, but to put it off
	Void     bool           `msgpack:"v,omitempty"`  // the newest intent was no call, but to end it as taken back
	Touched  bool           `msgpack:"a,omitempty"`  // a call may have been carried out, though nobody knows
}

// inDoubt reports whether the newest call has no result.
func (h *past) inDoubt() bool { return h.Last == nil || h.Last.Call < h.Calls }

func (h *past) ended() bool {
	return !h.inDoubt() && h.Last.State != "" && (h.Last.State.Final() || h.Last.Planned)
}

// restore makes e go on where the owners before us left it, unless e knows of
// later calls than h.
func (h *past) restore(e *entry, patience time.Duration, c clock) {
	if h.Last != nil && h.Last.Call >= e.calls {
		e.adopt(h.Last, c)
		e.prev = h.LastSeq
	}
	calls := h.Calls
	switch undecided := h.inDoubt() && h.Calls > 0 && h.Calls >= e.calls; {
	case undecided && h.Void: // it is taken back all the same, under the same number
		calls--
	case undecided && h.Plan:
		e.planning = true
	case undecided:
		// Whoever made the call may be alive behind a broken network: it gets
		// the time of a call to tell before anybody says what became of it.
		e.doubt = true
		e.retryAt = c.local(h.CalledMS).Add(patience)
	}
	e.calls = max(e.calls, calls)
	e.touched = e.touched || h.Touched
}

// A history is what owners before us did about requests that were not met again
// yet. A lane that may not send meets few, and the positions in the logs go on
// meanwhile.
type history struct {
	mu     sync.Mutex
	of     map[uint64]*past
	doubts atomic.Int32 // how many of them are in doubt, once that was counted
}

func newHistory() *history { return &history{of: make(map[uint64]*past)} }

// at returns the past of a request, for what is read about it. It is for who takes
// over, while nobody else knows of the history.
func (h *history) at(seq uint64) *past {
	one := h.of[seq]
	if one == nil {
		one = &past{Seq: seq}
		h.of[seq] = one
	}
	return one
}

// countDoubts is for when all was read that there is.
func (h *history) countDoubts() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.of {
		if one.inDoubt() {
			h.doubts.Add(1)
		}
	}
}

// meet takes the past of a request out of the history, or returns nil.
func (h *history) meet(seq uint64) *past {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.of[seq]
	if one != nil {
		h.forgetLocked(one)
	}
	return one
}

func (h *history) forgetLocked(one *past) {
	delete(h.of, one.Seq)
	if one.inDoubt() && h.doubts.Load() > 0 {
		h.doubts.Add(-1)
	}
}

// met forgets what is told of requests up to seq, for all of them were met.
func (h *history) met(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at, one := range h.of {
		if at <= seq {
			h.forgetLocked(one)
		}
	}
}

// ended reports whether a request had ended under an owner before us.
func (h *history) ended(seq uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.of[seq]
	return one != nil && one.ended()
}

// doubtful returns how many of the requests in a queue there are up to the last one
// of which owners before us did something, as long as any is in doubt: it may stand
// behind the others, in the stream.
func (h *history) doubtful(items []parked) int {
	if h.doubts.Load() == 0 { // as almost always
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, w := range slices.Backward(items) {
		if h.of[w.seq] != nil {
			return i + 1
		}
	}
	return 0
}

// all returns what there is, in the order of the requests.
func (h *history) all() []*past {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.of), func(a, b *past) int { return cmp.Compare(a.Seq, b.Seq) })
}

// bySeq returns the same by the sequences of the requests.
func (h *history) bySeq() map[uint64]*past {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.of)
}
