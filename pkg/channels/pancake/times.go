package pancake

import (
	"errors"
	"fmt"
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

// hour reads the hour of a statistics row. hourInteger, where the row has it,
// is the same one in UTC and leaves nothing to assume.
func (z zone) hour(hour, hourInteger string) (events.Bucket, error) {
	if hourInteger != "" {
		start, err := time.Parse("20060102150405", hourInteger)
		if err != nil {
			return events.Bucket{}, errors.New("hour_in_integer is not a time such as 20210826060000")
		}
		utc := zone{time.UTC, "UTC", events.Declared}
		return utc.bucket("hour", start, start.Add(time.Hour), hour), nil
	}
	start, err := time.ParseInLocation(naive, hour, z.loc)
	if err != nil {
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

// days reads the labels of a series of days within [from, to): d/m/yyyy as
// they stand, and d/m by the year that puts them into the range.
//
// Those without a year must go back day by day. Nothing else could tell that
// one was read with the wrong year.
func (z zone) days(labels []string, from, to time.Time) ([]time.Time, error) {
	days := make([]time.Time, len(labels))
	bare := false
	for i, label := range labels {
		if day, err := time.ParseInLocation("2/1/2006", label, z.loc); err == nil {
			days[i] = day
			continue
		}
		bare = true
		day, err := z.dayWithin(label, from, to)
		if err != nil {
			return nil, err
		}
		days[i] = day
	}
	for i := 1; bare && i < len(days); i++ {
		if !days[i].Equal(days[i-1].AddDate(0, 0, -1)) {
			return nil, fmt.Errorf("label %d is not the day before label %d", i+1, i)
		}
	}
	return days, nil
}

// dayWithin finds the day of a label d/m in [from, to).
func (z zone) dayWithin(label string, from, to time.Time) (time.Time, error) {
	d, m, _ := strings.Cut(label, "/")
	day, err1 := strconv.Atoi(d)
	month, err2 := strconv.Atoi(m)
	if err1 != nil || err2 != nil {
		return time.Time{}, errors.New("a label is not a day such as 26/8")
	}
	if !to.Before(from.AddDate(0, 0, 366)) {
		return time.Time{}, errors.New("labels without a year can be any of a range of 366 days or more")
	}
	for year := from.Year(); year <= to.Year(); year++ {
		t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, z.loc)
		if t.Day() == day && int(t.Month()) == month && t.AddDate(0, 0, 1).After(from) && t.Before(to) {
			return t, nil
		}
	}
	return time.Time{}, errors.New("a label is no day of the range")
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
