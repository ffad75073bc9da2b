package facebook

import "time"

// A day is one of the calendar, counted from 1970-01-01. When it begins depends
// on a zone.
type day int

const secondsOfDay = 24 * 60 * 60

// dayOf returns the day on which t is in its own zone.
func dayOf(t time.Time) day {
	y, m, d := t.Date()
	return day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsOfDay)
}

func (d day) utc() time.Time { return time.Unix(int64(d)*secondsOfDay, 0).UTC() }

// String returns the day as Graph wants it.
func (d day) String() string { return d.utc().Format(time.DateOnly) }

// begin returns when the day begins in zone z.
func (d day) begin(z *time.Location) time.Time {
	y, m, dom := d.utc().Date()
	return time.Date(y, m, dom, 0, 0, 0, 0, z)
}

// A window is the half-open range of days that one call asks for.
type window struct{ since, until day }

func (w window) days() int { return int(w.until - w.since) }

// maxWindow is the most days that one call may ask for: Page Insights guide,
// limitations.
const maxWindow = 90

// split cuts w into windows of at most 90 days. Months are not cut in two,
// because either part would tell another value of the same month.
func split(w window, period string) []window {
	var parts []window
	for from := w.since; from < w.until; {
		to := min(from+maxWindow, w.until)
		if period == "month" && to < w.until {
			y, m, _ := to.utc().Date()
			to = dayOf(time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)) // 90 days hold a first of the month
		}
		parts = append(parts, window{from, to})
		from = to
	}
	return parts
}
