package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

// States of a schedule.
const (
	scheduleActive  = "active"
	schedulePaused  = "paused"
	scheduleRefused = "refused" // by its account, or there is none
	scheduleInvalid = "invalid" // nobody can read it
)

// A scheduleView is a schedule as people and programs see it.
type scheduleView struct {
	Name     string             `json:"name"`
	State    string             `json:"state"`
	Problem  string             `json:"problem,omitempty"` // why it is refused or invalid
	NextMS   []int64            `json:"next_ms"`           // none if it does not run; the first may be over, if no dispatcher works
	Last     *lastRun           `json:"last,omitempty"`
	Skipped  int                `json:"skipped"` // times, in all, at which the run before had not ended
	Schedule *schedule.Schedule `json:"schedule,omitempty"`

	zone *time.Location
}

// A lastRun is the newest run of a schedule.
type lastRun struct {
	AtMS      int64  `json:"at_ms"`      // when it was due
	RequestID string `json:"request_id"` // its source is /tram/schedule/<name>
	Seq       uint64 `json:"seq"`
	State     string `json:"state"` // as its outcome has it; under_way, or untold if its events are gone
	Reason    string `json:"reason,omitempty"`
	Stats     int    `json:"stats"`
	Records   int    `json:"records"`
}

const (
	runUnderWay = "under_way"
	runUntold   = "untold"
)

// viewSchedule looks at one schedule, which there must be.
func (c *client) viewSchedule(ctx context.Context, name string) (*scheduleView, error) {
	e, err := find(ctx, schedule.NewStore(c.js), name)
	if err != nil {
		return nil, err
	}
	all, err := c.viewSchedules(ctx, []*schedule.Entry{e})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// viewSchedules finds out how schedules stand.
func (c *client) viewSchedules(ctx context.Context, entries []*schedule.Entry) ([]*scheduleView, error) {
	directory, reader := events.NewDirectory(c.js), broker.NewReader(c.js)
	var all []*scheduleView
	for _, e := range entries {
		v := &scheduleView{Name: e.Name, State: scheduleActive, Skipped: e.Progress.Skipped, NextMS: []int64{}, zone: time.UTC}
		if run := e.Progress.Last; run != nil {
			var err error
			if v.Last, err = c.lastRun(ctx, reader, e.Name, run); err != nil {
				return nil, err
			}
		}
		all = append(all, v)
		if e.Fault != nil {
			v.State, v.Problem = scheduleInvalid, e.Fault.Error()
			continue
		}
		v.Schedule = e.Schedule
		zone, err := taken(ctx, directory, e.Name, e.Schedule)
		if events.ReasonOf(err) != "" {
			v.State, v.Problem = scheduleRefused, err.Error()
		} else if err != nil {
			return nil, err
		}
		times, err := e.Schedule.Times(zone)
		if err != nil {
			return nil, err
		}
		v.zone = times.Zone()
		if e.Schedule.Paused {
			v.State = schedulePaused
		}
		if v.State != scheduleActive {
			continue
		}
		at := e.Next(times)
		if due := e.Due(times, time.Now()); !due.IsZero() {
			at = due // of those that were missed the newest
		}
		for ; len(v.NextMS) < nextRuns && !at.IsZero(); at = times.Next(at) {
			v.NextMS = append(v.NextMS, at.UnixMilli())
		}
	}
	return all, nil
}

// lastRun says what became of a run, as the world was told.
func (c *client) lastRun(ctx context.Context, reader *broker.Reader, name string, run *schedule.Run) (*lastRun, error) {
	last := &lastRun{AtMS: run.AtMS, RequestID: run.ID, Seq: run.Seq, State: runUnderWay}
	from, err := reader.SeqAt(ctx, broker.Events, run.At())
	if err != nil {
		return nil, err
	}
	filter := fmt.Sprintf("tram.%s.%s.%s.*", events.KindOutcome, run.Provider, run.Account)
	err = reader.Replay(ctx, broker.Events, filter, from, func(m *broker.Stored) error {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err != nil || e.Outcome == nil || !e.Outcome.Final || e.Outcome.RequestID != run.ID || e.Outcome.RequestSource != schedule.Source(name) {
			return nil
		}
		o := e.Outcome
		last.State, last.Reason, last.Stats, last.Records = string(o.State), o.Why.Reason, o.Stats, o.Records
		return nil
	})
	if err != nil || last.State != runUnderWay {
		return last, err
	}
	stream, err := c.js.Stream(ctx, broker.Events)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", broker.Events, err)
	}
	if age := stream.CachedInfo().Config.MaxAge; age > 0 && time.Since(run.At()) > age {
		last.State = runUntold
	}
	return last, nil
}
