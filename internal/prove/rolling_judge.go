package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

// judge waits for the ends of everything that was published, and says what
// became of it.
func (r *rollingRun) judge(ctx context.Context, table *report, taking *cancels, reports *reportLoad) error {
	b := newBook(r.stage)
	everybody := func() []*process { return slices.Concat(r.dispatchers, r.collectors) }
	err := until(ctx, 2*time.Minute+r.plan.Later, "what waits", func() (bool, error) {
		if err := joinFirst(b.read(ctx), reports.read(ctx, r.stage)); err != nil {
			return false, err
		}
		done := b.waiting(0, r.filled)+b.unanswered(taking) == 0 && reports.ended()
		return done, alive(everybody()...)
	})
	if dead := alive(everybody()...); err != nil && dead != nil {
		return err
	} // else they are lost: the verdict says so
	if err := pause(ctx, time.Second); err != nil { // for what comes a second time
		return err
	}
	for _, p := range everybody() {
		if err := p.stop(); err != nil {
			return err
		}
	}
	if err := joinFirst(b.read(ctx), reports.read(ctx, r.stage)); err != nil {
		return err
	}
	v := b.judge(0, r.filled)
	table.note("sends, of these due later, taken back", fmt.Sprintf("%d, %d, %d", v.sends, len(r.due), v.taken))
	unanswered := b.unanswered(taking)
	table.add("lost", v.lost+unanswered, "0", v.lost+unanswered == 0)
	table.add("ended twice", v.several, "0", v.several == 0)
	table.add("called twice", v.twice, "0", v.twice == 0)
	doubts := v.unknown + v.assumed + v.again
	table.add("in doubt", doubts, "0", doubts == 0 || r.plan.Same)
	others := v.mistaken + v.unclosed + v.letters
	table.add("ended otherwise than the provider saw it, or without a record of the call", others, "0", others == 0)
	wrong := reports.wrong(r.log)
	table.add("reports, of these not done exactly once", fmt.Sprintf("%d, %d", reports.published, wrong), "0", wrong == 0)
	if err := r.judgeEvents(ctx, table, v.unknown); err != nil {
		return err
	}
	return r.judgeTimes(ctx, table)
}

// judgeEvents reads everything that others are told as the present programs
// read it. Each send that ended as unknown has a dead letter.
func (r *rollingRun) judgeEvents(ctx context.Context, table *report, unknown int) error {
	all, unread := 0, 0
	err := broker.NewReader(r.js).Replay(ctx, broker.Events, ">", 1, func(m *broker.Stored) error {
		all++
		if _, err := events.DecodeEvent(m.Subject, m.Header, m.Data); err != nil {
			unread++
			r.log.Error("a promise is broken", "event", m.Seq, "error", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	table.add("events, of these not as the newest schema has them", fmt.Sprintf("%d, %d", all, unread), "0", unread == 0)
	letters, err := r.count(ctx, broker.Dead, ">")
	table.add("dead letters of anything else", int(letters)-unknown, "0", int(letters) == unknown)
	return err
}

// judgeTimes says who was called too early and how long nothing went on.
func (r *rollingRun) judgeTimes(ctx context.Context, table *report) error {
	calls := r.sandbox.Calls(sandbox.Filter{Outcome: sandbox.Accepted})
	slices.SortFunc(calls, func(a, b sandbox.Call) int { return a.At.Compare(b.At) })
	early, last, rest := 0, map[string]time.Time{}, time.Duration(0)
	for _, c := range calls {
		if number, ok := strings.CutPrefix(c.Recipient, "09"); ok { // else it is of a report
			if i, err := strconv.Atoi(number); err == nil && c.At.Before(r.due[i]) {
				early++
			}
		}
		if before, ok := last[c.Account]; ok {
			rest = max(rest, c.At.Sub(before))
		}
		last[c.Account] = c.At
	}
	table.add("called before they were due", early, "0", early == 0)
	w, err := r.readWork(ctx)
	if err != nil || len(calls) == 0 {
		return err
	}
	from, to := calls[0].At, calls[len(calls)-1].At
	table.note("longest time without any call, without any event", fmt.Sprintf("%s, %s", seconds(longest(w.called, from, to)), seconds(longest(w.told, from, to))))
	table.note("longest time in which an account was not called", rest.Round(time.Millisecond))
	return nil
}
