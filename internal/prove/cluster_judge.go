package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

// judge waits for the ends of everything that was published, and says what
// became of it and how long nothing went on.
func (r *clusterRun) judge(ctx context.Context, spans []span, reports *reportLoad) (table report, err error) {
	b := newBook(r.stage)
	err = until(ctx, 2*time.Minute, "what waits", func() (bool, error) {
		if err := joinFirst(b.read(ctx), reports.read(ctx, r.stage)); err != nil {
			return false, err
		}
		return b.waiting(0, r.filled) == 0 && reports.ended(), r.allAlive()
	})
	if err != nil && r.allAlive() != nil {
		return nil, err
	} // else they are lost: the verdict says so
	if err := pause(ctx, time.Second); err != nil { // for what comes a second time
		return nil, err
	}
	if err := r.crew.stop(); err != nil {
		return nil, err
	}
	if err := joinFirst(b.read(ctx), reports.read(ctx, r.stage)); err != nil {
		return nil, err
	}
	w, err := r.readWork(ctx)
	if err != nil {
		return nil, err
	}
	table.note("seed", r.seed)
	for _, s := range spans {
		v := b.judge(s.from, s.to)
		got := fmt.Sprintf("%d sends\t%d unknown\t%d sent again\t%d lost\t%d ended twice\t%d called twice\t%d others\tno request stored for %s\tno call for %s\tno event for %s",
			v.sends, v.unknown, v.again, v.lost, v.several, v.twice, v.mistaken+v.unclosed+v.letters,
			seconds(longest(w.stored, s.begun, s.ended)), seconds(longest(w.called, s.begun, s.ended)), seconds(longest(w.told, s.begun, s.ended)))
		table.add(s.fault, got, "0 from lost on", v.broken() == 0)
	}
	if r.moved > 0 {
		table.note("a process stayed with a node that could not serve it for", seconds(r.moved)+" at most")
	}
	v := b.judge(0, r.filled)
	table.add("all sends", fmt.Sprintf("%d: %d lost, %d ended twice, %d called twice", v.sends, v.lost, v.several, v.twice), "0 of each", v.broken() == 0)
	wrong := reports.wrong(r.log)
	table.add("all reports", fmt.Sprintf("%d: %d not done exactly once", reports.published, wrong), "0", wrong == 0)
	if table.verdict() != nil {
		table.note("logs", r.keepLogs())
	}
	return table, nil
}

// A piece of work is due at one moment and done at another.
type piece struct{ due, done time.Time }

// work is the pieces of all sends that have come to their end.
type work struct {
	stored []piece // by the broker; due when the one before was
	called []piece // by a dispatcher the first time; due when it was stored
	told   []piece // by a final delivery; due when it was stored
}

func (s *stage) readWork(ctx context.Context) (*work, error) {
	w := &work{}
	stored := map[string]time.Time{} // by recipient
	byID := map[string]time.Time{}
	var before time.Time
	reader := broker.NewReader(s.js)
	err := reader.Replay(ctx, broker.Requests, "req.*.*.*.*.send", 1, func(m *broker.Stored) error {
		subject, err := broker.ParseStored(m.Subject)
		if err != nil {
			return err
		}
		req, err := events.DecodeRequest(subject.Public().String(), m.Header, m.Data)
		if err != nil {
			return err
		}
		stored[req.Send.Recipient.Value], byID[req.ID] = m.Time, m.Time
		w.stored = append(w.stored, piece{cmp.Or(before, m.Time), m.Time})
		before = m.Time
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, c := range s.sandbox.Calls(sandbox.Filter{Outcome: sandbox.Accepted}) {
		if due, first := stored[c.Recipient]; first {
			w.called = append(w.called, piece{due, c.At})
			delete(stored, c.Recipient)
		}
	}
	err = reader.Replay(ctx, broker.Events, "tram.delivery.>", 1, func(m *broker.Stored) error {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err == nil && e.Delivery.Final {
			w.told = append(w.told, piece{byID[e.Delivery.RequestID], m.Time})
		}
		return err
	})
	return w, err
}

// longest returns the longest time of a span in which nothing was done although
// something was due.
func longest(all []piece, from, to time.Time) (most time.Duration) {
	slices.SortFunc(all, func(a, b piece) int { return a.done.Compare(b.done) })
	due := to // the earliest that was due of what was done later
	for i := len(all) - 1; i > 0; i-- {
		if all[i].due.Before(due) {
			due = all[i].due
		}
		if p := all[i]; p.done.After(from) && p.done.Before(to) {
			idle := slices.MaxFunc([]time.Time{due, all[i-1].done}, time.Time.Compare)
			most = max(most, p.done.Sub(idle))
		}
	}
	return most
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
