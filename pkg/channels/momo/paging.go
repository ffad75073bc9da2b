package momo

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const day = 24 * time.Hour

// patience is how long a request may have waited before it is carried out
// without its preset, which counts from that moment, falling short of its
// range. A preset that reaches further costs nothing: pages come newest first
// and end with the range.
const patience = 7 * day

// A window is what is asked for: MoMo's preset, and the range that is
// published out of it, which is open where its times are zero.
type window struct {
	preset   string
	from, to time.Time
}

// windowOf maps a range to the smallest preset that covers it.
func windowOf(a *channels.Account, r *events.Request) (window, error) {
	if p := r.Report.Range.Preset; p != "" {
		return window{preset: p}, nil
	}
	from, to, err := channels.Span(r.Report.Range, a.Setting(settingZone, defaultZone))
	switch {
	case err != nil:
		return window{}, channels.Refuse(r, "range", err.Error())
	case from.IsZero():
		return window{}, channels.Refuse(r, "range", "is missing: give it, or range.preset")
	}
	w := window{preset: "ALL", from: from, to: to}
	asked := r.Time
	if t := time.UnixMilli(r.Timing().NotBeforeMS); t.After(asked) {
		asked = t
	}
	if asked.Before(from) { // not told, or by a wrong clock: the widest covers it if any does
		return w, nil
	}
	if from.Before(asked.Add(-365 * day)) {
		return window{}, channels.Refuse(r, "range", "begins more than a year ago, which is as far as MoMo's reports go")
	}
	for _, p := range []struct {
		name string
		days time.Duration
	}{{"DAY_AGO_90", 90}, {"DAY_AGO_60", 60}, {"DAY_AGO_30", 30}} {
		if !from.Before(asked.Add(patience - p.days*day)) {
			w.preset = p.name
		}
	}
	return w, nil
}

// holds reports whether a message created at ms is published.
func (w window) holds(ms int64) bool {
	return (w.from.IsZero() || ms >= w.from.UnixMilli()) && (w.to.IsZero() || ms < w.to.UnixMilli())
}

// A cursor says which page comes next. Pages go back in time, by
// target_created_at; the document calls what it returns "older than" it.
//
// Messages may share a create_at, and a page may end between them. So the next
// page is asked for from one millisecond above the oldest, and those that came
// already are known by their ids and left out. Should "older than" have the
// moment itself in it, there are some of that millisecond too. Where one moment
// fills a page, the next one is larger, or nothing behind it would ever come.
type cursor struct {
	Target int64    `json:"target"`          // target_created_at; 0 is the newest
	Limit  int      `json:"limit,omitempty"` // where the request's own is too small for one moment
	Oldest int64    `json:"oldest"`          // smallest create_at so far
	Seen   []string `json:"seen,omitempty"`  // ids of that time
	Above  []string `json:"above,omitempty"` // ids of the millisecond after it
}

// maxSeen bounds a cursor. More messages of one millisecond are not told from
// each other, and those that no page has shown by then are passed over.
const maxSeen = 500

func readCursor(s string) (cursor, error) {
	var c cursor
	if s == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		return c, errors.New("the step's cursor is not one of this package's")
	}
	return c, nil
}

// limit returns how many the page is asked for.
func (c cursor) limit(r *events.Request) int {
	return cmp.Or(c.Limit, r.Report.Page.Size, defaultLimit)
}

// seen reports whether an earlier page had r.
func (c cursor) seen(r *row) bool { return slices.Contains(c.idsAt(r.createdAt), r.id()) }

// idsAt returns the ids known to have been created at ms.
func (c cursor) idsAt(ms int64) []string {
	switch ms {
	case c.Oldest:
		return c.Seen
	case c.Oldest + 1:
		return c.Above
	}
	return nil
}

// next returns the cursor after a page that was asked for with c and limit, ""
// when it was the last one, and a warning if it passes over some rows. Those that
// cannot be read have no place in the order, but fill a page as the others do.
//
// A page that is shorter than its limit need not be the last one, because the
// first may be held at 20 whatever the limit (T-27). The last page is one that
// is empty, adds nothing, or goes back behind the window.
func (c cursor) next(p page, limit int, w window) (next, warning string) {
	rows := p.rows
	if len(rows) == 0 {
		return "", ""
	}
	n := cursor{Oldest: cmp.Or(c.Oldest, rows[0].createdAt)}
	added := false
	for i := range rows {
		n.Oldest = min(n.Oldest, rows[i].createdAt)
		added = added || (c.Oldest == 0 || rows[i].createdAt <= c.Oldest) && !c.seen(&rows[i])
	}
	n.Seen, n.Above = slices.Clone(c.idsAt(n.Oldest)), slices.Clone(c.idsAt(n.Oldest+1))
	for i := range rows {
		switch r := &rows[i]; {
		case len(n.Seen)+len(n.Above) > maxSeen:
		case r.createdAt == n.Oldest && !n.seen(r):
			n.Seen = append(n.Seen, r.id())
		case r.createdAt == n.Oldest+1 && !n.seen(r):
			n.Above = append(n.Above, r.id())
		}
	}
	n.Target = n.Oldest + 1
	if n.Oldest == c.Oldest {
		n.Limit = c.Limit
	}
	switch {
	case !w.from.IsZero() && n.Oldest < w.from.UnixMilli():
		return "", ""
	case len(n.Seen)+len(n.Above) > maxSeen:
		n = cursor{Target: n.Oldest, Oldest: n.Oldest}
		warning = "more than 500 messages share one create_at: some may be missing"
	case added:
	case c.Target < c.Oldest || p.size() < min(limit, defaultLimit):
		return "", ""
	case c.Target == c.Oldest: // full of that moment, which "older than" then has in it
		n.Target = n.Oldest - 1
	case p.size() >= limit && limit < maxSeen:
		n.Limit = min(2*limit, maxSeen)
	default: // MoMo gives no more at once: the older ones are behind it
		n.Target = n.Oldest
		warning = "as many messages as a page has share one create_at: some may be missing"
	}
	text, _ := json.Marshal(n) // numbers and texts always can be
	return string(text), warning
}
