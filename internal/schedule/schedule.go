// Package schedule has the reports that are asked for again and again: what a
// schedule is, when it is due, the request that it makes then, and the bucket in
// which all of them stand.
package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A Schedule is what a person has said: what to ask for, and when. It is stored
// as JSON, so that any NATS client can read and write it.
type Schedule struct {
	Provider string        `json:"provider"`
	Account  string        `json:"account"`
	Class    events.Class  `json:"class,omitempty"` // default bulk
	Every    string        `json:"every,omitempty"` // whole minutes such as 15m or 6h, counted from 1970 in UTC; or else Cron
	Cron     string        `json:"cron,omitempty"`  // minute, hour, day of the month, month, day of the week
	Zone     string        `json:"zone,omitempty"`  // of Cron and Range; default the account's, or UTC if it has none
	Range    string        `json:"range,omitempty"` // relative to when it is due, such as yesterday
	Report   events.Report `json:"report"`          // its range, if any, is a preset
	Paused   bool          `json:"paused,omitempty"`
	By       string        `json:"by,omitempty"` // who wrote this, for others to see
}

// What the metadata of the requests that schedules make have beside their own.
const (
	MetaName = "schedule"      // the name of the schedule
	MetaFor  = "scheduled_for" // when it was due, in the zone of the schedule
)

// Source is the ce-source of the requests that a schedule makes.
func Source(name string) string { return "/tram/schedule/" + name }

// ID is the ce-id of the request that is due at a time: whoever makes it makes
// the same one.
func ID(name string, at time.Time) string {
	return name + "-" + at.UTC().Format("20060102T150405.999Z")
}

// Request returns the request that is due at a time, for an account of the given
// zone, "" if it has none. It has the same id and the same body whoever makes it.
// The error is an [*events.InvalidError].
func (s *Schedule) Request(name string, at time.Time, accountZone string) (*events.Request, error) {
	zone, err := s.location(accountZone)
	if err != nil {
		return nil, err
	}
	span := s.Report.Range
	if s.Range != "" {
		if span, err = resolve(s.Range, at.In(zone)); err != nil {
			return nil, err
		}
	}
	return s.request(name, at.In(zone), span), nil
}

func (s *Schedule) request(name string, at time.Time, span events.Range) *events.Request {
	body := s.Report
	body.Range = span
	if body.Metadata = maps.Clone(body.Metadata); body.Metadata == nil {
		body.Metadata = make(map[string]string)
	}
	body.Metadata[MetaName] = name
	body.Metadata[MetaFor] = at.Format(time.RFC3339)
	return &events.Request{
		Meta: events.Meta{ID: ID(name, at), Source: Source(name), Time: at}, Kind: events.KindReport,
		Provider: s.Provider, Account: s.Account, Class: cmp.Or(s.Class, events.Bulk), Report: &body,
	}
}

// location returns the zone of Cron and Range.
func (s *Schedule) location(accountZone string) (*time.Location, error) {
	zone, err := channels.Zone(cmp.Or(s.Zone, accountZone, "UTC"))
	if err != nil {
		return nil, invalid("zone", "must be an IANA zone such as Asia/Ho_Chi_Minh")
	}
	return zone, nil
}

// Validate says what is wrong with the schedule of that name, whatever its
// account takes. The error is an [*events.InvalidError] with every fault.
func (s *Schedule) Validate(name string) error {
	var errs []error
	if !events.ValidName(name) {
		errs = append(errs, invalid("name", "must be 1 to 64 of a-z, A-Z, 0-9, - and _"))
	}
	now := time.Now()
	_, noTimes := s.Times("")
	errs = append(errs, noTimes)
	switch r := s.Report.Range; {
	case r.FromMS != 0 || r.ToMS != 0 || r.FromDate != "" || r.ToDate != "":
		errs = append(errs, invalid("report.range", "would be the same each time: give range, such as yesterday"))
	case s.Range != "" && r != (events.Range{}):
		errs = append(errs, invalid("report.range", "does not go together with range"))
	case s.Range != "":
		_, noRange := resolve(s.Range, now)
		errs = append(errs, noRange)
	}
	if s.Report.Timing != (events.Timing{}) {
		errs = append(errs, invalid("report", "takes no not_before_ms or expires_at_ms: each request is made when it is due"))
	}
	for _, set := range []string{MetaName, MetaFor} {
		if _, given := s.Report.Metadata[set]; given {
			errs = append(errs, invalid("report.metadata", set+" is for the schedule to say"))
		}
	}
	if len(s.By) > maxBy {
		errs = append(errs, invalid("by", fmt.Sprintf("has %d bytes, at most %d are allowed", len(s.By), maxBy)))
	}
	errs = append(errs, s.request(name, now, events.Range{Zone: s.Report.Range.Zone, Preset: s.Report.Range.Preset}).Validate())
	return together(errs)
}

const maxBy = 500 // bytes

// kind is that of the errors, so that they say what is invalid.
const kind events.Kind = "schedule"

func invalid(field, problem string) error {
	return &events.InvalidError{Kind: kind, Faults: []events.Fault{{Field: field, Problem: problem}}}
}

// together returns one error with the faults of all, or nil if there are none.
func together(errs []error) error {
	all := &events.InvalidError{Kind: kind}
	for _, err := range errs {
		if e, ok := errors.AsType[*events.InvalidError](err); ok {
			all.Faults = append(all.Faults, e.Faults...)
		}
	}
	if all.Faults == nil {
		return nil
	}
	return all
}
