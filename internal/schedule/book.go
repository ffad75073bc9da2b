package schedule

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// Progress is how far a schedule has come. It stands beside it, under a key of
// its own, so that people and dispatchers do not overwrite each other. Of all
// dispatchers one changes it at a time, by compare and set.
type Progress struct {
	HandledMS int64 `json:"handled_ms,omitempty"` // the newest time at which it was run or skipped
	Skipped   int   `json:"skipped,omitempty"`    // times, in all, at which the run before had not ended
	Last      *Run  `json:"last,omitempty"`
}

// A Run is a request that a schedule has made, or is about to: it is recorded
// before it is published.
type Run struct {
	AtMS     int64        `json:"at_ms"` // when it was due
	ID       string       `json:"id"`    // its ce-id
	Provider string       `json:"provider"`
	Account  string       `json:"account"`
	Class    events.Class `json:"class"`
	After    uint64       `json:"after"`         // in REQUESTS, where it is looked for if Seq is 0
	Seq      uint64       `json:"seq,omitempty"` // its sequence there; 0 until it is known to be stored
}

// At returns when the run was due.
func (r *Run) At() time.Time { return time.UnixMilli(r.AtMS) }

// Handled returns the newest time at which the schedule was run or skipped, zero
// if it never was.
func (p *Progress) Handled() time.Time {
	if p.HandledMS == 0 {
		return time.Time{}
	}
	return time.UnixMilli(p.HandledMS)
}

// An Entry is what the bucket has about one schedule.
type Entry struct {
	Name     string
	Schedule *Schedule // nil if it cannot be read, or is there no more
	Fault    error     // why it cannot be read
	Since    time.Time // when it was written last, by the broker's clock: it is due after that
	Progress Progress

	Revision uint64 // of the schedule; 0 if there never was one
	Recorded uint64 // revision of the progress; the same
}

// Gone reports whether nothing but its progress is left of a schedule.
func (e *Entry) Gone() bool { return e.Schedule == nil && e.Fault == nil }

// Due returns the time at which the schedule must run now, zero if there is none.
// Of several that were missed it is the newest.
func (e *Entry) Due(t *Times, now time.Time) time.Time { return t.Newest(e.after(), now) }

// Next returns when the schedule is due next, as far as it is recorded; that may
// be long ago. It is zero if it never is.
func (e *Entry) Next(t *Times) time.Time { return t.Next(e.after()) }

// after returns the time up to which all is done. Who writes a schedule says what
// is to be from now on.
func (e *Entry) after() time.Time {
	if at := e.Progress.Handled(); at.After(e.Since) {
		return at
	}
	return e.Since
}

// Keys of the bucket; the name follows.
const (
	scheduleKey = "schedule."
	progressKey = "progress."
)

// operation is the header of a message that says its key is gone.
const operation = "KV-Operation"

// A Book is what the bucket says about all schedules.
type Book struct{ entries map[string]*Entry }

// Take takes in a message of the bucket and returns the entry that it is about,
// or nil if it tells nothing new.
func (b *Book) Take(m *broker.Stored) *Entry {
	key := strings.TrimPrefix(m.Subject, broker.SchedulesPrefix)
	name, ours := strings.CutPrefix(key, scheduleKey)
	progress := false
	if !ours {
		if name, progress = strings.CutPrefix(key, progressKey); !progress {
			return nil
		}
	}
	e := b.entries[name]
	if e == nil {
		e = &Entry{Name: name}
		if b.entries == nil {
			b.entries = make(map[string]*Entry)
		}
		b.entries[name] = e
	}
	gone := m.Header.Get(operation) != ""
	switch {
	case progress && m.Seq > e.Recorded:
		e.Recorded, e.Progress = m.Seq, Progress{}
		if !gone && json.Unmarshal(m.Data, &e.Progress) != nil {
			e.Progress = Progress{} // as if it had never run
		}
	case !progress && m.Seq > e.Revision:
		e.Revision, e.Since, e.Schedule, e.Fault = m.Seq, m.Time, nil, nil
		if !gone {
			e.Schedule, e.Fault = decode(name, m.Data)
		}
	default:
		return nil
	}
	return e
}

// All returns the schedules that there are, by name.
func (b *Book) All() []*Entry {
	all := slices.SortedFunc(maps.Values(b.entries), func(a, b *Entry) int { return strings.Compare(a.Name, b.Name) })
	return slices.DeleteFunc(all, (*Entry).Gone)
}
