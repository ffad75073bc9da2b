package history

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// has reports whether a sequence of REQUESTS is one of the request's.
func (t *telling) has(seq uint64) bool {
	return slices.ContainsFunc(t.messages, func(m message) bool { return m.seq == seq })
}

// readResults reads what became of each call. Results have the place of their
// request in their ids, so that headers tell which are its own.
func (t *telling) readResults(ctx context.Context) error {
	from, err := t.from(ctx, broker.Results, t.began)
	if err != nil {
		return err
	}
	w := broker.Window{
		Subjects: []string{broker.ResultSubject(t.partition, t.provider, t.account)}, From: from, HeadersOnly: true,
	}
	err = t.scan(ctx, broker.Results, w, func(m *broker.Stored) error {
		place, _, _ := strings.Cut(m.Header.Get(jetstream.MsgIDHeader), "/")
		seq, err := strconv.ParseUint(place, 10, 64)
		if err != nil || !t.has(seq) {
			return nil
		}
		return t.readResult(ctx, m.Seq)
	})
	if err != nil {
		return err
	}
	for _, r := range t.results {
		t.addResult(r)
	}
	return nil
}

// readResult reads one result, and returns [errEnough] if none follows it.
func (t *telling) readResult(ctx context.Context, seq uint64) error {
	full, err := t.read.Get(ctx, broker.Results, seq)
	if err != nil {
		return err
	}
	r, err := ledger.DecodeResult(full.Data)
	if err != nil {
		t.add(full.Time, Entry{What: Incomplete, Stream: broker.Results, Seq: seq, Note: "the result cannot be read: " + err.Error()})
		return nil
	}
	t.results = append(t.results, stored{r, full.Time, seq})
	t.original(r.Seq, time.UnixMilli(r.Request.TimeMS), r.Request.Subject, r.Request.Header, r.Request.Data)
	if r.State == "" || !r.State.Final() || r.Seq != t.messages[len(t.messages)-1].seq {
		t.ended = false
		return nil
	}
	t.ended, t.h.State = true, r.State
	if r.State == events.StateUnknown {
		// A person may have found out, long after.
		d, err := t.box.Decision(ctx, r.Seq, r.Request.TimeMS)
		if err != nil {
			return err
		}
		if d != nil && d.Action != deadletter.Redriven {
			return nil
		}
	}
	return errEnough
}

// addResult tells the call, if there was one, and what was made of it.
func (t *telling) addResult(r stored) {
	if a := r.Answer; a != nil {
		began := time.UnixMilli(a.StartedMS) // by another clock, in whole milliseconds
		if at := t.published[r.Seq]; began.Before(at) {
			began = at
		}
		if began.After(r.at) {
			began = r.at
		}
		t.add(began, Entry{
			AtMS: a.StartedMS, What: Called, Call: r.Call, Step: r.Step, TookUS: a.TookUS, Failure: string(a.Failure),
			Why: events.Why{HTTPStatus: a.Status, Detail: a.Detail},
		})
	}
	e := Entry{
		What: Result, Stream: broker.Results, Seq: r.seq, Call: r.Call, Step: r.Step, Attempt: r.Attempt,
		State: r.State, Evidence: r.Evidence, MessageID: r.MessageID, RetryAtMS: r.RetryAtMS, Warnings: slices.Clone(r.Warnings), Why: r.Why,
	}
	var notes []string
	switch {
	case r.Resolved:
		notes = append(notes, "by a person")
	case r.State == "":
		notes = append(notes, fmt.Sprintf("page %d is done", r.Step))
	case r.Planned:
		notes = append(notes, "comes back from "+broker.Later)
	}
	if r.Stats+r.Records > 0 {
		notes = append(notes, fmt.Sprintf("%d stats and %d records so far", r.Stats, r.Records))
	}
	if r.Dead != "" {
		notes = append(notes, "to the dead letters, group "+string(r.Dead))
	}
	if r.Stack != "" {
		notes = append(notes, "a panic in "+strings.TrimSpace(strings.SplitN(r.Stack, "\n", 2)[0]))
	}
	e.Note = strings.Join(notes, "; ")
	t.add(r.at, e)
}

// intents tells when the dispatchers stored that calls were about to start.
func (t *telling) intents(ctx context.Context) error {
	w := broker.Window{Subjects: []string{broker.IntentSubject(t.partition)}}
	var err error
	if w.From, err = t.from(ctx, broker.Intents, t.began); err == nil && t.ended {
		w.To, err = t.until(ctx, broker.Intents)
	}
	if err != nil {
		return err
	}
	return t.scan(ctx, broker.Intents, w, func(m *broker.Stored) error {
		g, err := ledger.DecodeIntents(m.Data)
		if err != nil {
			return nil // it is no intent of anybody
		}
		for _, in := range g.Calls {
			if !t.has(in.Seq) {
				continue
			}
			e := Entry{What: Intent, Stream: broker.Intents, Seq: m.Seq, Call: in.Call, Owner: g.Owner, Epoch: g.Epoch}
			switch {
			case in.Plan:
				e.Call, e.Note = 0, "no call: it is about to be put off"
			case in.Void:
				e.Call, e.Note = 0, "no call: it was taken back, and is about to end"
			}
			t.add(m.Time, e)
			t.afterIntent(in.Call, m.Time)
		}
		return nil
	})
}

// afterIntent makes the call stand after its intent, whatever its dispatcher's
// clock says.
func (t *telling) afterIntent(call int, at time.Time) {
	for i := range t.h.Entries {
		if e := &t.h.Entries[i]; e.What == Called && e.Call == call && e.order.Before(at) {
			e.order = at.Add(1)
		}
	}
}

// standing says how the request stands, in words.
func (t *telling) standing() string {
	if t.ended {
		text := "ended as " + string(t.h.State)
		if reason := t.results[len(t.results)-1].Why.Reason; reason != "" {
			text += ": " + reason
		}
		return text
	}
	last := Entry{What: Published}
	for _, e := range t.h.Entries {
		if slices.Contains([]What{Published, CameBack, Planned, Intent, Called, Result}, e.What) {
			last = e
		}
	}
	until := ""
	if last.RetryAtMS != 0 {
		until = " until " + time.UnixMilli(last.RetryAtMS).Format(time.DateTime)
	}
	switch {
	case last.What == Planned:
		return "waits for its time" + until
	case last.What == Intent && last.Call > 0:
		return fmt.Sprintf("call %d is under way, or its dispatcher has died and the next one decides", last.Call)
	case last.What == Result && last.State == events.StateDeferred:
		return "deferred" + until
	case last.What == Result:
		return "goes on with its next page"
	case t.h.State != "": // of its dead letter, which outlives the results
		return "ended as " + string(t.h.State)
	}
	return "waits for its turn"
}
