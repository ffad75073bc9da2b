package schedule

import (
	"regexp"
	"strconv"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// Ranges are the relative ranges, for people to read. N is a number.
const Ranges = "today, yesterday, this_week, last_week, this_month, last_month, last_N_days, last_N_hours"

var lastSome = regexp.MustCompile(`^last_([1-9][0-9]{0,3})_(days|hours)$`)

// maxSome bounds N.
const maxSome = 3660

// resolve returns the half-open range that a name means at a time, in the zone of
// that time. Whole days are given as dates, which are days of 23 or 25 hours
// where clocks are put forward or back. Weeks begin on Monday. What is called
// this or today includes today, of which a part is still to come.
func resolve(name string, at time.Time) (events.Range, error) {
	y, m, d := at.Date()
	weekday := (int(at.Weekday()) + 6) % 7 // since Monday
	switch name {
	case "today":
		return dates(at, day(y, m, d), day(y, m, d+1)), nil
	case "yesterday":
		return dates(at, day(y, m, d-1), day(y, m, d)), nil
	case "this_week":
		return dates(at, day(y, m, d-weekday), day(y, m, d+1)), nil
	case "last_week":
		return dates(at, day(y, m, d-weekday-7), day(y, m, d-weekday)), nil
	case "this_month":
		return dates(at, day(y, m, 1), day(y, m, d+1)), nil
	case "last_month":
		return dates(at, day(y, m-1, 1), day(y, m, 1)), nil
	}
	if some := lastSome.FindStringSubmatch(name); some != nil {
		n, _ := strconv.Atoi(some[1]) // it has four digits at most
		switch {
		case n > maxSome:
		case some[2] == "hours":
			return events.Range{FromMS: at.Add(-time.Duration(n) * time.Hour).UnixMilli(), ToMS: at.UnixMilli()}, nil
		default:
			return dates(at, day(y, m, d-n), day(y, m, d)), nil
		}
	}
	return events.Range{}, invalid("range", "must be one of "+Ranges+" (N up to "+strconv.Itoa(maxSome)+")")
}

// day is a date of no zone; days and months below or above what a month or a year
// has are those of the one before or after.
func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func dates(at, from, to time.Time) events.Range {
	return events.Range{FromDate: from.Format(time.DateOnly), ToDate: to.Format(time.DateOnly), Zone: at.Location().String()}
}
