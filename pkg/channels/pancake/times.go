package pancake

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	naive     = "2006-01-02T15:04:05" // also reads the form with a fraction
	rangeTime = "02/01/2006 15:04:05" // of date_range in P10, P13 and P14
	rangeDate = "02/01/2006"          // of date_range in P15
)

// A zone is the page's: of everything that statistics say about time, and of
// date_range (providers.md §1.6.4 and §2.4). Records are in UTC instead.
type zone struct {
	loc    *time.Location
	name   string
	source events.Origin
}

func zoneOf(a *channels.Account) (zone, error) {
	z := zone{name: a.Setting(settingZone, defaultZone), source: events.Configured}
	if a.Setting(settingZone, "") == "" {
		z.source = events.Guessed
	}
	var err error
	z.loc, err = channels.Zone(z.name)
	return z, err
}

// bucket returns the one from start to end in the zone.
func (z zone) bucket(granularity string, start, end time.Time, label string) events.Bucket {
	return events.Bucket{
		StartMS: start.UnixMilli(), EndMS: end.UnixMilli(), Granularity: granularity,
		Zone: z.name, ZoneSource: z.source, Label: label,
	}
}

// labelBucket returns one of which nothing but the label is known.
func (z zone) labelBucket(granularity, label string) events.Bucket {
	return events.Bucket{Granularity: granularity, Zone: z.name, ZoneSource: z.source, Label: label}
}

func (z zone) dayBucket(day time.Time, label string) events.Bucket {
	return z.bucket("day", day, day.AddDate(0, 0, 1), label)
}

// midnight returns the beginning of the day of an instant in unix milliseconds.
func (z zone) midnight(ms int64) time.Time {
	y, m, d := time.UnixMilli(ms).In(z.loc).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, z.loc)
}

// begin returns when the hour or day of t begins.
func (z zone) begin(t time.Time, edge string) time.Time {
	if edge == "day" {
		return z.midnight(t.UnixMilli())
	}
	past := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	return t.Add(-past)
}

// integerTime is how hour_in_integer tells an hour.
const integerTime = "20060102150405"

// hour reads the hour of a statistics row. hourInteger, where the row has it,
// is the same one in UTC and leaves nothing to assume, as an hour with a zone.
func (z zone) hour(hour, hourInteger string) (events.Bucket, error) {
	start, err := time.Parse(integerTime, hourInteger)
	if err != nil {
		start, err = time.Parse(time.RFC3339, hour)
	}
	if err == nil {
		utc := zone{time.UTC, "UTC", events.Declared}
		return utc.bucket("hour", start, start.Add(time.Hour), hour), nil
	}
	if start, err = time.ParseInLocation(naive, hour, z.loc); err != nil {
		return events.Bucket{}, errors.New("hour is not a time such as 2021-08-26T13:00:00")
	}
	return z.bucket("hour", start, start.Add(time.Hour), hour), nil
}

// date reads P15's date: a day, or an hour of one.
func (z zone) date(label string) (events.Bucket, error) {
	if day, err := time.ParseInLocation(time.DateOnly, label, z.loc); err == nil {
		return z.dayBucket(day, label), nil
	}
	if b, err := z.hour(label, ""); err == nil {
		return b, nil
	}
	return events.Bucket{}, errors.New("date is neither a day nor an hour")
}

// days reads the labels of days in whatever order: d/m/yyyy as they stand, and
// d/m by the year that puts them into [from, to). One that is no day, or the
// same day as another, has the zero time.
func (z zone) days(labels []string, from, to time.Time) []time.Time {
	days := make([]time.Time, len(labels))
	times := map[time.Time]int{}
	for i, label := range labels {
		day, err := time.ParseInLocation("2/1/2006", label, z.loc)
		if err != nil {
			day = z.dayWithin(label, from, to)
		}
		days[i] = day
		times[day]++
	}
	for i, day := range days {
		if times[day] > 1 {
			days[i] = time.Time{}
		}
	}
	return days
}

// dayWithin finds the day of a label d/m in [from, to), the zero time where
// there is none, or could be two.
func (z zone) dayWithin(label string, from, to time.Time) time.Time {
	d, m, _ := strings.Cut(label, "/")
	day, err1 := strconv.Atoi(d)
	month, err2 := strconv.Atoi(m)
	if err1 != nil || err2 != nil || !to.Before(from.AddDate(0, 0, 366)) {
		return time.Time{}
	}
	for year := from.Year(); year <= to.Year(); year++ {
		t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, z.loc)
		if t.Day() == day && int(t.Month()) == month && t.AddDate(0, 0, 1).After(from) && t.Before(to) {
			return t
		}
	}
	return time.Time{}
}

// recordTime reads the time of a record, which is UTC unless it says
// otherwise, and returns it in unix milliseconds.
func recordTime(s string) (string, bool) {
	t, err := time.ParseInLocation(naive, s, time.UTC)
	if err != nil {
		if t, err = time.Parse(time.RFC3339, s); err != nil {
			return "", false
		}
	}
	return strconv.FormatInt(t.UnixMilli(), 10), true
}
