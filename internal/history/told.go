package history

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// ends returns the ids that the request's deliveries or outcomes have, as the
// collector makes them: they are the same whoever tells them.
func (t *telling) ends(kind events.Kind) map[string]bool {
	all := map[string]bool{}
	for _, r := range t.results {
		occasion := strconv.Itoa(r.Call)
		switch {
		case r.State == "":
			continue
		case r.Resolved:
			occasion = "resolved"
		case r.State.Final():
			occasion = "final"
		}
		ids := r.Request.EventIDs(t.source, t.id)
		if t.req == nil || t.malformed(r) { // it has no claim on its id
			ids = []string{"", ledger.Place(r.Seq)}
		}
		all[events.DeterministicID(slices.Concat([]string{string(kind)}, ids, []string{occasion})...)] = true
	}
	return all
}

func (t *telling) malformed(r stored) bool {
	_, err := events.DecodeRequest(r.Request.Subject, r.Request.Header, r.Request.Data)
	return err != nil
}

// told tells the events that were made of the results: each delivery and outcome,
// and how many stats and records.
func (t *telling) told(ctx context.Context) error {
	if len(t.results) == 0 {
		return nil
	}
	kind, others := events.KindDelivery, []events.Kind(nil)
	if t.h.Kind != events.KindSend {
		kind = events.KindOutcome
	}
	if t.h.Kind == events.KindReport {
		others = []events.Kind{events.KindStat, events.KindRecord}
	}
	from, err := t.from(ctx, broker.Events, t.results[0].at)
	if err != nil {
		return err
	}
	w := broker.Window{From: from, HeadersOnly: others == nil}
	for _, k := range append(others, kind) {
		w.Subjects = append(w.Subjects, "tram."+string(k)+"."+t.provider+"."+t.account+".*")
	}
	open := t.ends(kind)
	more := t.results[len(t.results)-1].State == "" // stats may follow that no outcome does
	several := map[events.Kind]*Entry{}
	err = t.scan(ctx, broker.Events, w, func(m *broker.Stored) error {
		s, err := events.ParseSubject(m.Subject)
		id := m.Header.Get(events.HeaderID)
		if err != nil || m.Header.Get(events.HeaderReplay) != "" {
			return nil
		}
		switch {
		case open[id]:
			delete(open, id)
			t.add(m.Time, Entry{What: Told, Stream: broker.Events, Seq: m.Seq, Subject: m.Subject, State: events.State(s.Last)})
			if len(open) == 0 && !more {
				return errEnough
			}
		case slices.Contains(others, s.Kind) && t.isAbout(m):
			e := several[s.Kind]
			if e == nil {
				e = &Entry{What: Told, Stream: broker.Events, Seq: m.Seq, Subject: "tram." + string(s.Kind) + "." + t.provider + "." + t.account + ".*", order: m.Time}
				several[s.Kind] = e
			}
			e.Count, e.To = e.Count+1, m.Seq
		}
		return nil
	})
	for _, e := range several {
		t.add(e.order, *e)
	}
	return err
}

// isAbout reports whether a stat or record is of the request.
func (t *telling) isAbout(m *broker.Stored) bool {
	if !bytes.Contains(m.Data, []byte(t.id)) { // cheaper than reading it
		return false
	}
	e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
	return err == nil && e.About().RequestID == t.id && e.About().RequestSource == t.source
}

// replays tells which jobs have made the request's events again, and where they
// are if that was for everybody.
func (t *telling) replays(ctx context.Context) error {
	jobs, err := t.jobs.All(ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		of := func(r stored) bool { return j.From <= r.seq && r.seq <= j.To }
		if j.Resend != nil || j.Provider != "" && j.Provider != t.provider || j.Account != "" && j.Account != t.account || !slices.ContainsFunc(t.results, of) {
			continue
		}
		t.add(j.At, Entry{What: Replayed, Stream: j.Target, Note: j.Name})
		kind := events.KindOutcome
		if t.h.Kind == events.KindSend {
			kind = events.KindDelivery
		}
		if j.Target != broker.Events || len(j.Kinds) > 0 && !slices.Contains(j.Kinds, kind) {
			continue
		}
		open := t.ends(kind)
		w := broker.Window{From: j.After + 1, HeadersOnly: true, Subjects: []string{"tram." + string(kind) + "." + t.provider + "." + t.account + ".*"}}
		err := t.scan(ctx, broker.Events, w, func(m *broker.Stored) error {
			if id := m.Header.Get(events.HeaderID); open[id] && m.Header.Get(events.HeaderReplay) == j.Name {
				t.add(m.Time, Entry{What: Told, Stream: broker.Events, Seq: m.Seq, Subject: m.Subject, Note: "again, by the replay " + j.Name})
				if delete(open, id); len(open) == 0 {
					return errEnough
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dead tells the request's dead letters and what people decided about them.
func (t *telling) dead(ctx context.Context) error {
	expected, read := false, 0
	for _, r := range t.results {
		expected = expected || r.Dead != ""
	}
	from, err := t.from(ctx, broker.Dead, t.began)
	if err != nil {
		return err
	}
	w := broker.Window{Subjects: []string{broker.DeadOf("", t.provider, t.account)}, From: from}
	err = t.scan(ctx, broker.Dead, w, func(m *broker.Stored) error {
		l, err := deadletter.Read(m)
		if err != nil || !t.same(l) {
			return err
		}
		if read++; len(t.results) == 0 {
			t.attempts(l)
		}
		t.add(m.Time, Entry{AtMS: l.AtMS, What: Dead, Stream: broker.Dead, Seq: l.ID, State: l.State, Attempt: l.Attempt, Why: l.Why, Note: "group " + string(l.Group)})
		return nil
	})
	if err != nil {
		return err
	}
	decided := false
	for seq, at := range t.published {
		d, err := t.box.Decision(ctx, seq, at.UnixMilli())
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		decided = true
		t.add(d.At(), Entry{What: Decided, RequestID: d.NewID, Note: string(d.Action)})
	}
	if expected && read == 0 && !decided {
		last := t.results[len(t.results)-1]
		t.add(last.at, Entry{What: Incomplete, Stream: broker.Dead, Note: "its dead letter is not there: not made yet, dropped, or too old"})
	}
	return nil
}

// same reports whether a letter is of the request, and not of one that had the
// same place in a stream that was made anew.
func (t *telling) same(l *deadletter.Letter) bool {
	at, known := t.published[l.Seq]
	return t.has(l.Seq) && (!known || at.UnixMilli() == l.Request.TimeMS)
}

// attempts tells the calls as a dead letter has them, which outlives the results.
func (t *telling) attempts(l *deadletter.Letter) {
	t.h.State = l.State
	for _, a := range l.Attempts {
		at := time.UnixMilli(a.AtMS)
		t.add(at, Entry{What: Called, Call: a.Call, Step: a.Step, TookUS: a.TookUS, State: a.State, Why: a.Why, Note: "as its dead letter has it"})
	}
}
