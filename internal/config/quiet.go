package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Quiet is hours of the day in which some sends of an account wait.
type Quiet struct {
	From       TimeOfDay      `yaml:"from"`
	To         TimeOfDay      `yaml:"to"`         // on the day after where it is not later than From; the same as From is 24 hours
	Zone       string         `yaml:"zone"`       // IANA name. Defaults to the account's
	Days       []Day          `yaml:"days"`       // on which it begins. Defaults to all
	Classes    []events.Class `yaml:"classes"`    // whose sends wait. Defaults to bulk
	Promotions Promotions     `yaml:"promotions"` // of the other classes but urgent. Defaults to hold
}

// TimeOfDay is a time by the clock on the wall, such as 21:00; "" is none.
type TimeOfDay string

// UnmarshalText reads hours and minutes.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	at, err := time.Parse("15:04", string(text))
	if err != nil {
		return fmt.Errorf("must be a time of the day from 00:00 to 23:59, it is %q", text)
	}
	*t = TimeOfDay(at.Format("15:04"))
	return nil
}

// Since returns how long after midnight t is on a day of 24 hours.
func (t TimeOfDay) Since() time.Duration {
	at, _ := time.Parse("15:04", string(t)) // as UnmarshalText has made it
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

// Day is a day of the week, mon to sun.
type Day string

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// UnmarshalText takes the names of days alone.
func (d *Day) UnmarshalText(text []byte) error {
	if !slices.Contains(weekdays, string(text)) {
		return fmt.Errorf("must be one of mon, tue, wed, thu, fri, sat and sun, it is %q", text)
	}
	*d = Day(text)
	return nil
}

// Weekday returns d as package time has it.
func (d Day) Weekday() time.Weekday { return time.Weekday(slices.Index(weekdays, string(d))) }

// Promotions says what becomes of a send whose policy.expect_kind is promotion.
type Promotions string

const (
	HoldPromotions Promotions = "hold" // it waits until the quiet hours are over
	SendPromotions Promotions = "send" // as any other of its class
)

// fill gives every zero field of q its default.
func (q *Quiet) fill() {
	if len(q.Classes) == 0 {
		q.Classes = []events.Class{events.Bulk}
	}
	or(&q.Promotions, HoldPromotions)
}

// quiet validates the quiet hours of an account, and gives those that name no
// time zone the account's, which is "" if it has none.
func (v *validator) quiet(all []Quiet, zone, key string) {
	for i := range all {
		q, key := &all[i], fmt.Sprintf("%s[%d]", key, i)
		v.require(q.From != "", key+".from", "must be given, such as 21:00")
		v.require(q.To != "", key+".to", "must be given, such as 07:30")
		or(&q.Zone, zone)
		if q.Zone == "" {
			v.add(key+".zone", "must be given, such as Asia/Ho_Chi_Minh: the account has none of its own")
		} else if _, err := channels.Zone(q.Zone); err != nil {
			v.add(key+".zone", "must be an IANA time zone such as Asia/Ho_Chi_Minh, it is %q", q.Zone)
		}
		for j, class := range q.Classes {
			v.require(slices.Contains(events.Classes, class), fmt.Sprintf("%s.classes[%d]", key, j), "must be urgent, normal or bulk, it is %q", class)
		}
		v.require(slices.Contains([]Promotions{HoldPromotions, SendPromotions}, q.Promotions), key+".promotions",
			"must be %s or %s, it is %q", HoldPromotions, SendPromotions, q.Promotions)
	}
}
