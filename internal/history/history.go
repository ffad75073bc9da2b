// Package history tells everything that happened to one request, from what the
// streams keep: when it was published and planned, each call with its intent and
// its answer, what was told of it, its dead letter, and what people did about it.
//
// The streams have no index of ids. A request is looked for in the headers of
// REQUESTS, from the newest back, since people mostly ask about what has just
// happened. Once it is found its place, account and time are known, and of the
// other streams only the account's part from then on is read, up to its end.
package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/pkg/events"
)

// A Query names requests. What is empty matches all.
type Query struct {
	ID                string // the ce-id, or seq:<number> for a place in REQUESTS
	Source            string // the ce-source of who published it
	Provider, Account string

	// Since bounds how far back is looked. If it is zero, the search goes on until
	// something is found, and says nothing of older requests with the same id.
	Since time.Time
}

// A History is all that is known about one request. The times of what the broker
// stored are its own; those of calls are their dispatcher's.
type History struct {
	ID       string       `json:"request_id"`
	Source   string       `json:"request_source,omitempty"`
	Provider string       `json:"provider"`
	Account  string       `json:"account"`
	Class    events.Class `json:"class,omitempty"`
	Kind     events.Kind  `json:"kind"`
	Name     string       `json:"name,omitempty"` // of a report or command

	AncestorID string          `json:"ancestor_id,omitempty"` // the request that it was made of
	Schedule   string          `json:"schedule,omitempty"`    // that made it
	State      events.State    `json:"state,omitempty"`       // its end, "" while there is none
	Standing   string          `json:"standing"`              // in words: how it ended, or what it waits for
	Body       json.RawMessage `json:"request,omitempty"`     // what it asks for, masked unless everything is to be shown

	Entries []Entry `json:"-"` // in the order in which they happened
}

// What is a sort of thing that happens to a request.
type What string

const (
	Published  What = "published"   // by its producer; more than once if the broker had forgotten the id
	Planned    What = "planned"     // for RetryAtMS: the broker will bring it back then
	CameBack   What = "came_back"   // from where it was planned, as another message
	Intent     What = "intent"      // a call, or what Note says, is about to start
	Called     What = "call"        // what the provider answered
	Result     What = "result"      // what the dispatcher made of it
	Told       What = "event"       // an event: Count of them from Seq to Seq To, if there are more
	Dead       What = "dead_letter" // Seq is its number
	Decided    What = "decided"     // by a person, about the dead letter
	Redriven   What = "sent_again"  // as the request RequestID
	Ancestor   What = "ancestor"    // the request RequestID, that this one was made of
	Cancel     What = "cancel"      // the request RequestID asks for it to be taken back
	TakenBack  What = "taken_back"  // a dispatcher has noted the cancel
	Replayed   What = "replayed"    // its events were made once more, by the job Note
	Incomplete What = "incomplete"  // Note says what has left the streams
)

// An Entry is one thing that happened. Fields that do not apply are empty.
type Entry struct {
	AtMS   int64  `json:"at_ms"`
	What   What   `json:"what"`
	Stream string `json:"stream,omitempty"` // where it stands, and at which sequence
	Seq    uint64 `json:"seq,omitempty"`

	Subject string            `json:"subject,omitempty"`
	Headers map[string]string `json:"headers,omitempty"` // of the envelope
	Owner   string            `json:"owner,omitempty"`   // dispatcher that stored the intent
	Epoch   uint64            `json:"epoch,omitempty"`   // of its lease

	Call      int             `json:"call,omitempty"`
	Step      int             `json:"step,omitempty"` // page, of a report
	Attempt   int             `json:"attempt,omitempty"`
	TookUS    int64           `json:"took_us,omitempty"`
	Failure   string          `json:"failure,omitempty"` // of a call that brought no answer
	State     events.State    `json:"state,omitempty"`
	Evidence  events.Evidence `json:"evidence,omitempty"`
	MessageID string          `json:"provider_message_id,omitempty"`
	RetryAtMS int64           `json:"retry_at_ms,omitempty"`
	Warnings  []string        `json:"warnings,omitempty"`
	events.Why

	RequestID string `json:"other_request_id,omitempty"`
	To        uint64 `json:"to_seq,omitempty"`
	Count     int    `json:"count,omitempty"`
	Note      string `json:"note,omitempty"`

	order time.Time // by the broker's clock, where it has one
}

// A Looked is a part of a stream that was read.
type Looked struct {
	Stream string
	Read   int       // messages
	Since  time.Time // the oldest of the part
}

// ErrNotFound says that no stream knows of the request.
var ErrNotFound = errors.New("no such request was found")

// A Reader reads histories. It is for one caller at a time.
type Reader struct {
	js         jetstream.JetStream
	read       *broker.Reader
	box        *deadletter.Box
	jobs       *replay.Jobs
	partitions int

	Reveal bool // do not mask what is about persons
	Body   bool // tell what the request asks for

	// Progress is told while a stream is read: which, how much of it, and how much
	// there is. It may be nil.
	Progress func(stream string, done, total uint64)

	looked    []Looked
	firstLook uint64 // see [firstLook]
}

// Open returns a reader of the relay that js leads to. The error wraps
// [events.ErrNotSetUp] if its streams are not there.
func Open(ctx context.Context, js jetstream.JetStream) (*Reader, error) {
	box, err := deadletter.Open(ctx, js)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	jobs, err := replay.Open(ctx, js)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	partitions, err := broker.PartitionCount(ctx, js)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return &Reader{js: js, read: broker.NewReader(js), box: box, jobs: jobs, partitions: partitions, firstLook: firstLook}, nil
}

// Looked returns where was looked since the reader was opened.
func (r *Reader) Looked() []Looked { return r.looked }

// errEnough ends a scan that has found what it looked for.
var errEnough = errors.New("enough")

// scan reads a window of a stream until fn returns [errEnough], and notes that it
// was looked at.
func (r *Reader) scan(ctx context.Context, stream string, w broker.Window, fn func(*broker.Stored) error) error {
	w.From = max(w.From, 1)
	if w.To == 0 {
		info, err := r.js.Stream(ctx, stream)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		w.To = info.CachedInfo().State.LastSeq
	}
	seen := Looked{Stream: stream}
	if w.To < w.From {
		r.note(seen)
		return nil
	}
	err := r.read.Scan(ctx, stream, w, func(m *broker.Stored) error {
		if seen.Read++; seen.Since.IsZero() {
			seen.Since = m.Time
		}
		if r.Progress != nil {
			r.Progress(stream, m.Seq-w.From, w.To-w.From+1)
		}
		return fn(m)
	})
	r.note(seen)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// note adds what was looked at to what was before.
func (r *Reader) note(seen Looked) {
	for i := range r.looked {
		if l := &r.looked[i]; l.Stream == seen.Stream {
			l.Read += seen.Read
			if !seen.Since.IsZero() && (l.Since.IsZero() || seen.Since.Before(l.Since)) {
				l.Since = seen.Since
			}
			return
		}
	}
	r.looked = append(r.looked, seen)
}

// skew is by how much the clocks of the servers that lead two streams may differ.
const skew = 10 * time.Second

// from returns the sequence of a stream from which on it may have something that
// came after a time.
func (r *Reader) from(ctx context.Context, stream string, at time.Time) (uint64, error) {
	return r.read.SeqAt(ctx, stream, at.Add(-skew))
}
