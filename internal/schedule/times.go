package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Times are the instants at which a schedule is due, to the second.
//
// Those of Cron are what a clock on a wall in the zone shows, each once: one
// that is left out when clocks are put forward comes as much later as they are,
// and one that is shown twice when they are put back counts the first time.
// Those of Every are the multiples of it since 1970 in UTC, so that they do not
// drift and do not depend on when the schedule was made.
type Times struct {
	zone  *time.Location
	every time.Duration
	cron  cron.Schedule // nil: every
}

const (
	minEvery = time.Minute
	maxEvery = 366 * 24 * time.Hour
)

// cronForm has the five fields of crontab(5), without names such as @daily.
var cronForm = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Times returns when s is due for an account of the given zone, "" if it has
// none. The error is an [*events.InvalidError] with every fault.
func (s *Schedule) Times(accountZone string) (*Times, error) {
	zone, noZone := s.location(accountZone)
	t := &Times{zone: zone}
	var err error
	switch {
	case (s.Every == "") == (s.Cron == ""):
		err = invalid("every", "or cron must be given, one of the two")
	case s.Every != "":
		t.every, err = parseEvery(s.Every)
	default:
		t.cron, err = parseCron(s.Cron)
	}
	if err := together([]error{noZone, err}); err != nil {
		return nil, err
	}
	return t, nil
}

func parseEvery(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < minEvery || d > maxEvery || d%time.Minute != 0 {
		return 0, invalid("every", "must be whole minutes such as 15m or 6h, a year at most")
	}
	return d, nil
}

func parseCron(text string) (cron.Schedule, error) {
	if strings.ContainsRune(text, '=') { // the library would take TZ= for a zone
		return nil, invalid("cron", "must be five fields such as 0 6 * * *: the zone is given as zone")
	}
	c, err := cronForm.Parse(text)
	if err != nil {
		return nil, invalid("cron", fmt.Sprintf("must be five fields such as 0 6 * * * (minute, hour, day of the month, month, day of the week): %v", err))
	}
	if c.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, invalid("cron", "names no day of the next five years")
	}
	return c, nil
}

// Zone is the one of the schedule, in which its times are best shown.
func (t *Times) Zone() *time.Location { return t.zone }

// Next returns the first time after the given one. It is zero if none comes
// within five years.
func (t *Times) Next(after time.Time) time.Time {
	if t.cron == nil {
		return t.multiple(after).Add(t.every)
	}
	// The library is asked in a zone whose clocks are never put forward or back,
	// and from well before: a time that was left out comes later than it says.
	var first time.Time
	for face := t.cron.Next(clockFace(after.In(t.zone)).Add(-maxShift)); !face.IsZero(); face = t.cron.Next(face) {
		if !first.IsZero() && face.After(clockFace(first)) {
			break
		}
		if at := t.shows(face); at.After(after) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// maxShift bounds by how much clocks are put forward.
const maxShift = 2 * time.Hour

// clockFace returns what a clock shows at t as if it were in UTC.
func clockFace(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// shows returns when a clock in the zone shows face, or would have had it not been
// put forward over it.
func (t *Times) shows(face time.Time) time.Time {
	at := time.Date(face.Year(), face.Month(), face.Day(), face.Hour(), face.Minute(), 0, 0, t.zone)
	return at.Add(max(0, face.Sub(clockFace(at)))) // what Date makes of such a face may be before it
}

// multiple returns the newest multiple of every that is not after t.
func (t *Times) multiple(at time.Time) time.Time {
	s, every := at.Unix(), int64(t.every/time.Second)
	return time.Unix(s-s%every, 0).In(t.zone)
}

// Newest returns the last time that is after one and not after another, or zero
// if there is none. However many were missed, one is made up for: the newest.
func (t *Times) Newest(after, upTo time.Time) time.Time {
	if t.cron == nil {
		if at := t.multiple(upTo); at.After(after) {
			return at
		}
		return time.Time{}
	}
	// After a long time only the end of it is walked through.
	for back := time.Hour; ; back *= 8 {
		from := upTo.Add(-back)
		if from.Before(after) {
			from = after
		}
		var newest time.Time
		for at := t.Next(from); !at.IsZero() && !at.After(upTo); at = t.Next(at) {
			newest = at
		}
		if !newest.IsZero() || !from.After(after) {
			return newest
		}
	}
}
