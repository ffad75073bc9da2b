package dispatcher

import (
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

const atNight = "2006-01-02 15:04:05 -0700"

func TestQuietHours(t *testing.T) {
	const hour = time.Hour
	quiet := func(zone string, from, to time.Duration, days ...time.Weekday) Quiet {
		z, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		return Quiet{From: from, To: to, Zone: z, Days: days, Classes: []events.Class{events.Bulk}}
	}
	night := quiet("Asia/Ho_Chi_Minh", 21*hour, 7*hour+30*time.Minute)
	nyNight := quiet("America/New_York", 22*hour, 6*hour)
	noon := quiet("Asia/Ho_Chi_Minh", 12*hour, 13*hour)
	friday := quiet("Asia/Ho_Chi_Minh", 21*hour, 7*hour, time.Friday)
	for _, test := range []struct {
		name    string
		windows []Quiet
		now     string
		until   string // "" is not quiet
	}{
		{"before", []Quiet{night}, "2026-11-21 20:59:59 +0700", ""},
		{"at the begin", []Quiet{night}, "2026-11-21 21:00:00 +0700", "2026-11-22 07:30:00 +0700"},
		{"after midnight", []Quiet{night}, "2026-11-22 00:10:00 +0700", "2026-11-22 07:30:00 +0700"},
		{"seen from elsewhere", []Quiet{night}, "2026-11-21 15:00:00 +0000", "2026-11-22 07:30:00 +0700"},
		{"at the end", []Quiet{night}, "2026-11-22 07:30:00 +0700", ""},
		{"on one day", []Quiet{noon, night}, "2026-11-21 12:30:00 +0700", "2026-11-21 13:00:00 +0700"},
		{"one after the other", []Quiet{quiet("UTC", 10*hour, 11*hour), quiet("UTC", 11*hour, 12*hour)}, "2026-11-21 10:30:00 +0000", "2026-11-21 12:00:00 +0000"},
		{"the longer of two", []Quiet{quiet("UTC", 10*hour, 11*hour), quiet("UTC", 10*hour, 14*hour)}, "2026-11-21 10:30:00 +0000", "2026-11-21 14:00:00 +0000"},
		{"24 hours", []Quiet{quiet("UTC", 12*hour, 12*hour, time.Sunday)}, "2026-11-23 11:59:00 +0000", "2026-11-23 12:00:00 +0000"},
		{"before 24 hours", []Quiet{quiet("UTC", 12*hour, 12*hour, time.Sunday)}, "2026-11-22 11:59:00 +0000", ""},
		{"for ever", []Quiet{quiet("UTC", 0, 0)}, "2026-11-21 10:00:00 +0000", "2026-11-29 00:00:00 +0000"},

		{"its day", []Quiet{friday}, "2026-11-20 23:00:00 +0700", "2026-11-21 07:00:00 +0700"},
		{"the day after", []Quiet{friday}, "2026-11-21 06:00:00 +0700", "2026-11-21 07:00:00 +0700"},
		{"another day", []Quiet{friday}, "2026-11-21 23:00:00 +0700", ""},

		// Clocks go from 02:00 to 03:00 on March 8, and from 02:00 back to 01:00 on November 1.
		{"a short night", []Quiet{nyNight}, "2026-03-07 22:00:00 -0500", "2026-03-08 06:00:00 -0400"},
		{"a long night", []Quiet{nyNight}, "2026-10-31 22:00:00 -0400", "2026-11-01 06:00:00 -0500"},
		{"begins when there is no such time", []Quiet{quiet("America/New_York", 2*hour+30*time.Minute, 5*hour)}, "2026-03-08 03:00:00 -0400", "2026-03-08 05:00:00 -0400"},
		{"but not before", []Quiet{quiet("America/New_York", 2*hour+30*time.Minute, 5*hour)}, "2026-03-08 01:59:59 -0500", ""},
		{"ends when there is no such time", []Quiet{quiet("America/New_York", hour, 2*hour+30*time.Minute)}, "2026-03-08 01:59:00 -0500", "2026-03-08 03:00:00 -0400"},
		{"all of it when there is no such time", []Quiet{quiet("America/New_York", 2*hour, 2*hour+30*time.Minute)}, "2026-03-08 03:00:00 -0400", ""},
		{"begins at the first of two", []Quiet{quiet("America/New_York", hour+30*time.Minute, 5*hour)}, "2026-11-01 01:30:00 -0400", "2026-11-01 05:00:00 -0500"},
		{"goes on at the second of two", []Quiet{quiet("America/New_York", hour+30*time.Minute, 5*hour)}, "2026-11-01 01:10:00 -0500", "2026-11-01 05:00:00 -0500"},
		{"ends at the second of two", []Quiet{quiet("America/New_York", 22*hour, hour+30*time.Minute)}, "2026-11-01 01:31:00 -0400", "2026-11-01 01:30:00 -0500"},
		{"is over after the second of two", []Quiet{quiet("America/New_York", 22*hour, hour+30*time.Minute)}, "2026-11-01 01:30:00 -0500", ""},
	} {
		now, err := time.Parse(atNight, test.now)
		if err != nil {
			t.Fatal(err)
		}
		q, err := newQuietHours(test.windows)
		if err != nil {
			t.Fatal(err)
		}
		got := q.until(now, 2)
		want, _ := time.Parse(atNight, test.until)
		if !got.Equal(want) {
			t.Errorf("%s: quiet until %v, want %v", test.name, got, test.until)
		}
		if other := q.until(now, 1); !other.IsZero() {
			t.Errorf("%s: a class that is not named is quiet until %v", test.name, other)
		}
	}
}

// What is kept of the last answer must say the same as looking anew, whichever
// way the clock goes.
func TestQuietHoursAreRememberedRightly(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	all := []Quiet{
		{From: 22 * time.Hour, To: 90 * time.Minute, Zone: zone, Promotions: true},
		{From: 90 * time.Minute, To: 2 * time.Hour, Zone: time.UTC, Days: []time.Weekday{time.Monday, time.Sunday}, Promotions: true},
	}
	kept, err := newQuietHours(all)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC)
	for i := range 2000 {
		now := begin.Add(time.Duration(i*7%2000) * 7 * time.Minute)
		fresh, _ := newQuietHours(all)
		if got, want := kept.until(now, promotions), fresh.until(now, promotions); !got.Equal(want) {
			t.Fatalf("at %v: quiet until %v, want %v", now, got, want)
		}
	}
}

func TestQuietHours_invalid(t *testing.T) {
	for _, q := range []Quiet{{To: time.Hour}, {From: 24 * time.Hour, Zone: time.UTC}, {To: -time.Minute, Zone: time.UTC}} {
		if _, err := newQuietHours([]Quiet{q}); err == nil {
			t.Errorf("%+v was taken", q)
		}
	}
	if q, err := newQuietHours(nil); q != nil || err != nil || !q.until(time.Now(), 2).IsZero() {
		t.Errorf("none: got %v, %v", q, err)
	}
}
