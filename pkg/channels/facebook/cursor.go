package facebook

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A position is where a step is in its query.
//
// Windows are asked for one after the other, each with all metrics at once.
// One metric that Graph does not take fails the whole list, so after such a
// failure the window's metrics are asked for singly. Those that fail singly
// are dead, and asked for no more.
type position struct {
	window int
	skip   int // days of the window that came already
	metric int // asked for singly, or allMetrics
	dead   []int
}

const allMetrics = -1

var errCursor = errors.New("is not one of this report")

// String returns the position as a cursor, such as 1.0.-1.2,5: the second
// window from its first day on, with all metrics but the third and the sixth.
func (p position) String() string {
	dead := make([]string, len(p.dead))
	for i, d := range p.dead {
		dead[i] = strconv.Itoa(d)
	}
	return fmt.Sprintf("%d.%d.%d.%s", p.window, p.skip, p.metric, strings.Join(dead, ","))
}

// read reads the cursor of a step of q. Only what String writes of a position
// that q has is one.
func (q *query) read(cursor string) (position, error) {
	p := position{metric: allMetrics}
	if cursor == "" {
		return p, nil
	}
	parts := strings.Split(cursor, ".")
	if len(parts) != 4 {
		return p, errCursor
	}
	for i, to := range []*int{&p.window, &p.skip, &p.metric} {
		*to, _ = strconv.Atoi(parts[i]) // what is no number is not written again as it was
	}
	if parts[3] != "" {
		for text := range strings.SplitSeq(parts[3], ",") {
			d, _ := strconv.Atoi(text)
			p.dead = append(p.dead, d)
		}
	}
	if p.String() != cursor || !q.has(p) {
		return p, errCursor
	}
	return p, nil
}

// has reports whether p is in q.
func (q *query) has(p position) bool {
	days := 1
	if p.window >= 0 && p.window < len(q.windows) {
		days = q.windows[p.window].days()
	} else if p.window != 0 {
		return false
	}
	if p.skip < 0 || p.skip >= days || p.metric < allMetrics || p.metric >= len(q.metrics) {
		return false
	}
	for i, d := range p.dead {
		if d < 0 || d >= len(q.metrics) || i > 0 && d <= p.dead[i-1] {
			return false
		}
	}
	return len(p.dead) < len(q.metrics) && !slices.Contains(p.dead, p.metric)
}

// windowAt returns what is left of the position's window, and whether it has one.
func (q *query) windowAt(p position) (window, bool) {
	if len(q.windows) == 0 {
		return window{}, false
	}
	w := q.windows[p.window]
	w.since += day(p.skip)
	return w, true
}

// metricsAt returns the names that the position's call asks for.
func (q *query) metricsAt(p position) []string {
	if p.metric != allMetrics {
		return q.metrics[p.metric : p.metric+1]
	}
	var live []string
	for i, name := range q.metrics {
		if !slices.Contains(p.dead, i) {
			live = append(live, name)
		}
	}
	return live
}

// after returns the cursor of the step after the last day of p's window, "" if
// there is none: the next single metric, or else the next window.
func (q *query) after(p position) string {
	if p.metric != allMetrics {
		if n, ok := q.firstLive(p.metric+1, p.dead); ok {
			return position{p.window, 0, n, p.dead}.String()
		}
	}
	if p.window+1 >= len(q.windows) {
		return ""
	}
	return position{p.window + 1, 0, allMetrics, p.dead}.String()
}

// singly returns the cursor of the step that begins p's window anew, metric by
// metric.
func (q *query) singly(p position) string {
	n, _ := q.firstLive(0, p.dead)
	return position{p.window, 0, n, p.dead}.String()
}

// bury returns p with the only metric that it asks for among the dead.
func (q *query) bury(p position) position {
	n := p.metric
	if n == allMetrics {
		n, _ = q.firstLive(0, p.dead)
	}
	p.dead = slices.Sorted(slices.Values(append(slices.Clone(p.dead), n)))
	return p
}

// firstLive returns the first metric from n on that is not dead.
func (q *query) firstLive(n int, dead []int) (int, bool) {
	for ; n < len(q.metrics); n++ {
		if !slices.Contains(dead, n) {
			return n, true
		}
	}
	return 0, false
}
