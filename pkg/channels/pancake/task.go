package pancake

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A task is one step of a request, with all that its account and cursor say
// about it.
type task struct {
	*operation
	a    *channels.Account
	r    *events.Request
	at   cursor
	zone zone

	// from and to are the part of the request's range that this step is about,
	// [from, to) in the page's zone; older says that there is a part before it.
	from, to time.Time
	older    bool

	warnings []string
}

// A cut says how a report's range is asked for.
type cut struct {
	// edge is "hour" or "day" where rows are that: a range is widened to whole
	// ones, for a part of one would replace the whole downstream. "" is any.
	edge string
	// days is the longest range of one call; a longer one is asked for in
	// parts, the newest first. 0 is no bound.
	days int
}

// newTask reads step s of r. Its error is an [*events.InvalidError] where the
// request is wrong.
func newTask(a *channels.Account, r *events.Request, s channels.Step) (*task, error) {
	op := operationOf(r)
	if op == nil {
		return nil, channels.Refuse(r, string(r.Kind), "is not one of Pancake's")
	}
	t := &task{operation: op, a: a, r: r}
	var err error
	if t.zone, err = zoneOf(a); err != nil {
		return nil, err
	}
	if t.at, err = readCursor(s.Cursor); err != nil {
		return nil, err
	}
	if e := t.at.Edition; e != "" && (op.editions == nil || !slices.Contains(op.editions.values, e)) {
		return nil, errCursor
	}
	if op.cut != nil {
		err = t.cutRange(op.cut(r.Report))
	}
	return t, err
}

// cutRange finds the part of the range that this step is about.
func (t *task) cutRange(c cut) error {
	from, to, err := channels.Span(t.r.Report.Range, t.zone.name)
	switch {
	case err != nil:
		return channels.Refuse(t.r, "range", err.Error())
	case from.IsZero() || to.IsZero():
		return channels.Refuse(t.r, "range", "needs both ends")
	}
	from, to = t.widen(from.In(t.zone.loc), to.In(t.zone.loc), c.edge)
	t.from, t.to = from, to
	if c.days > 0 {
		t.to = to.AddDate(0, 0, -c.days*t.at.Part)
		if start := to.AddDate(0, 0, -c.days*(t.at.Part+1)); start.After(from) {
			t.from, t.older = start, true
		}
	}
	if !t.from.Before(t.to) {
		return errors.New("the step's cursor lies outside the range")
	}
	return nil
}

// widen returns the whole hours or days that lie in [from, to), even in part.
func (t *task) widen(from, to time.Time, edge string) (time.Time, time.Time) {
	if edge == "" {
		return from, to
	}
	first, last := t.zone.begin(from, edge), t.zone.begin(to, edge)
	switch {
	case last.Equal(to):
	case edge == "day":
		last = last.AddDate(0, 0, 1)
	default:
		last = last.Add(time.Hour)
	}
	if !first.Equal(from) || !last.Equal(to) {
		layout := map[string]string{"day": time.DateOnly, "hour": "2006-01-02 15:04"}[edge]
		t.warnings = append(t.warnings, fmt.Sprintf("the range was widened to whole %ss in %s, from %s to before %s",
			edge, t.zone.name, first.Format(layout), last.Format(layout)))
	}
	return first, last
}

// since and until are the ends in unix seconds, the unit of the calls that
// take instants. Whether Pancake includes until is not documented (§3b): so it
// is the last second of the range.
func (t *task) since() int64 { return t.from.Unix() }
func (t *task) until() int64 { return ceil(t.to) - 1 }

func ceil(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// A cursor says which call of a request comes next.
type cursor struct {
	Edition string `json:"edition,omitempty"` // where it is not the account's own

	Part  int    `json:"part,omitempty"`  // of the range, from 0
	Page  int    `json:"page,omitempty"`  // P3 v1 and P16: page_number, from 1
	Count int    `json:"count,omitempty"` // objects received of this part so far
	Last  string `json:"last,omitempty"`  // P3 v2: last_conversation_id
	Seen  string `json:"seen,omitempty"`  // digests of the pages before
}

var errCursor = errors.New("the step's cursor is not one of this package's")

func readCursor(s string) (cursor, error) {
	var c cursor
	if s == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(s), &c); err != nil || c.Part < 0 || c.Page < 0 || c.Count < 0 {
		return c, errCursor
	}
	return c, nil
}

func (c cursor) String() string {
	b, _ := json.Marshal(c) // numbers and texts always can be
	return string(b)
}

// nextPart returns the cursor of the part of the range before this one, "" if
// this was the last.
func (t *task) nextPart() string {
	if !t.older {
		return ""
	}
	return cursor{Edition: t.at.Edition, Part: t.at.Part + 1}.String()
}
