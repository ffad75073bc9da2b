package channels

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

var zones sync.Map // name → *time.Location

// Zone returns the IANA time zone of that name.
func Zone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	if name == "" || name == "Local" { // which depend on the machine
		return nil, fmt.Errorf("time zone %q does not exist", name)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q does not exist", name)
	}
	zones.Store(name, z)
	return z, nil
}

// Span returns the half-open time [from, to) that r asks for, in its zone or
// else in the given one. What r leaves open is a zero time. Dates begin at
// midnight there; to_date is not part of the span, as to_ms is not.
func Span(r events.Range, zone string) (from, to time.Time, err error) {
	if r.Zone != "" {
		zone = r.Zone
	}
	z, err := Zone(zone)
	if err != nil {
		return from, to, err
	}
	if from, err = instant(r.FromMS, r.FromDate, z); err != nil {
		return from, to, err
	}
	if to, err = instant(r.ToMS, r.ToDate, z); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, errors.New("the range ends before it begins")
	}
	return from, to, nil
}

func instant(ms int64, date string, z *time.Location) (time.Time, error) {
	switch {
	case ms != 0:
		return time.UnixMilli(ms).In(z), nil
	case date == "":
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, date, z)
	if err != nil {
		return t, errors.New("the date is not one such as 2026-11-21")
	}
	return t, nil
}
