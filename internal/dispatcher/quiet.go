package dispatcher

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// Quiet is hours of the day in which some sends of an account wait.
type Quiet struct {
	From, To   time.Duration // since midnight by the clock on the wall; on the next day where To is not later, so 24 hours if both are the same
	Zone       *time.Location
	Days       []time.Weekday // on which it begins; none is every day
	Classes    []events.Class // whose sends wait
	Promotions bool           // sends of the other classes but urgent wait, too, if they are promotions
}

// promotions, as a class, is the promotional sends of the classes that are not
// quiet themselves.
const promotions = 3

// quietHours are those of an account: for each class, and for promotions. nil is
// none.
type quietHours [promotions + 1]hours

func newQuietHours(all []Quiet) (*quietHours, error) {
	if len(all) == 0 {
		return nil, nil
	}
	q := new(quietHours)
	for _, w := range all {
		const day = 24 * time.Hour
		if w.Zone == nil || w.From < 0 || w.From >= day || w.To < 0 || w.To >= day {
			return nil, fmt.Errorf("quiet hours from %s to %s: want two times of a day in a zone", w.From, w.To)
		}
		for i, class := range events.Classes {
			if slices.Contains(w.Classes, class) {
				q[i].windows = append(q[i].windows, w)
			}
		}
		if w.Promotions {
			q[promotions].windows = append(q[promotions].windows, w)
		}
	}
	return q, nil
}

// until returns when the class may be called again, or the zero time if it may
// be called now.
func (q *quietHours) until(now time.Time, class int) time.Time {
	if q == nil || len(q[class].windows) == 0 {
		return time.Time{}
	}
	s := q[class].at(now)
	if !s.quiet {
		return time.Time{}
	}
	return s.to
}

// hours are the windows of a class. What they say of now is what they said a
// moment ago, nearly always.
type hours struct {
	windows []Quiet
	last    atomic.Pointer[stretch]
}

// A stretch is a time, from one moment up to another, that is quiet or is not.
type stretch struct {
	from, to time.Time
	quiet    bool
}

func (s *stretch) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// at returns the stretch that t is in, or as much of it as is worth knowing.
func (h *hours) at(t time.Time) *stretch {
	if s := h.last.Load(); s != nil && s.has(t) {
		return s
	}
	s := h.stretch(t)
	h.last.Store(s)
	return s
}

const week = 7 * 24 * time.Hour

// stretch looks a week ahead at most: who is never to be called will look again.
func (h *hours) stretch(t time.Time) *stretch {
	s := &stretch{from: t, to: t.Add(week)}
	end := t
	for end.Before(s.to) { // windows may follow each other
		next := end
		for _, w := range h.windows {
			next = later(next, w.end(end))
		}
		if next.Equal(end) {
			break
		}
		end = next
	}
	if s.quiet = end.After(t); s.quiet {
		s.to = end
		return s
	}
	for _, w := range h.windows {
		if begin := w.next(t); begin.Before(s.to) {
			s.to = begin
		}
	}
	return s
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// end returns when the window ends that t is in, or t if it is in none.
func (w *Quiet) end(t time.Time) time.Time {
	end := t
	for day := -2; day <= 0; day++ { // a day may have 25 hours, and the window a clock that is set back
		if s := w.on(t, day); s.has(t) {
			end = later(end, s.to)
		}
	}
	return end
}

// next returns when the window begins next after t, within eight days.
func (w *Quiet) next(t time.Time) time.Time {
	for day := range 9 {
		if s := w.on(t, day); s.quiet && s.from.After(t) {
			return s.from
		}
	}
	return t.Add(week)
}

// on returns the window that begins so many days after the one that t is on. The
// stretch is empty if there is none.
func (w *Quiet) on(t time.Time, days int) stretch {
	year, month, day := t.In(w.Zone).Date()
	date := time.Date(year, month, day+days, 0, 0, 0, 0, time.UTC)
	if len(w.Days) > 0 && !slices.Contains(w.Days, date.Weekday()) {
		return stretch{}
	}
	ends := date
	if w.To <= w.From {
		ends = date.AddDate(0, 0, 1)
	}
	from, _ := onTheWall(date.Add(w.From), w.Zone)
	_, to := onTheWall(ends.Add(w.To), w.Zone)
	return stretch{from: from, to: to, quiet: true}
}

// onTheWall returns when clocks in zone show what t says in UTC: first, and last,
// for they do so twice when they are set back an hour. When they are set forward
// and never show it, it is the moment in which they are.
func onTheWall(t time.Time, zone *time.Location) (first, last time.Time) {
	year, month, day := t.Date()
	at := time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	start, end := at.ZoneBounds()
	_, offset := at.Zone()
	switch shown := at.Add(time.Duration(offset) * time.Second); {
	case shown.After(t):
		return start, start
	case shown.Before(t):
		return end, end
	}
	first, last = at, at
	if !start.IsZero() {
		_, before := start.Add(-time.Second).Zone()
		if twin := at.Add(-time.Duration(before-offset) * time.Second); twin.Before(start) {
			first = twin
		}
	}
	if !end.IsZero() {
		_, after := end.Zone()
		if twin := at.Add(time.Duration(offset-after) * time.Second); !twin.Before(end) {
			last = twin
		}
	}
	return first, last
}
