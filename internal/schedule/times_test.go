package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// at reads a time such as "2026-03-08 01:30 -0800".
func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func timesOf(t *testing.T, s Schedule) *Times {
	t.Helper()
	times, err := s.Times("")
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func TestNext(t *testing.T) {
	const pacific, saigon = "America/Los_Angeles", "Asia/Ho_Chi_Minh"
	for _, c := range []struct {
		name  string
		s     Schedule
		after string
		want  []string // in a row
	}{
		{"daily in a zone", Schedule{Cron: "0 6 * * *", Zone: saigon}, "2026-11-21 05:59 +0700",
			[]string{"2026-11-21 06:00 +0700", "2026-11-22 06:00 +0700"}},
		{"not at its own time again", Schedule{Cron: "0 6 * * *", Zone: saigon}, "2026-11-21 06:00 +0700",
			[]string{"2026-11-22 06:00 +0700"}},
		{"without a zone in UTC", Schedule{Cron: "0 6 * * *"}, "2026-11-21 05:59 +0700", []string{"2026-11-21 06:00 +0000"}},
		{"last days of months", Schedule{Cron: "0 0 31 * *"}, "2026-01-31 00:00 +0000",
			[]string{"2026-03-31 00:00 +0000", "2026-05-31 00:00 +0000"}},
		{"the 29th of February", Schedule{Cron: "0 0 29 2 *"}, "2026-01-01 00:00 +0000", []string{"2028-02-29 00:00 +0000"}},

		{"clocks put forward: as much later", Schedule{Cron: "30 2 * * *", Zone: pacific}, "2026-03-07 02:30 -0800",
			[]string{"2026-03-08 03:30 -0700", "2026-03-09 02:30 -0700"}},
		{"also for who begins in between", Schedule{Cron: "30 2 * * *", Zone: pacific}, "2026-03-08 03:10 -0700",
			[]string{"2026-03-08 03:30 -0700", "2026-03-09 02:30 -0700"}},
		{"clocks put forward: each once", Schedule{Cron: "*/30 * * * *", Zone: pacific}, "2026-03-08 01:00 -0800",
			[]string{"2026-03-08 01:30 -0800", "2026-03-08 03:00 -0700", "2026-03-08 03:30 -0700", "2026-03-08 04:00 -0700"}},
		{"clocks put back: the first time only", Schedule{Cron: "30 1 * * *", Zone: pacific}, "2026-11-01 00:00 -0700",
			[]string{"2026-11-01 01:30 -0700", "2026-11-02 01:30 -0800"}},
		{"clocks put back: each once", Schedule{Cron: "*/30 * * * *", Zone: pacific}, "2026-11-01 01:00 -0700",
			[]string{"2026-11-01 01:30 -0700", "2026-11-01 02:00 -0800"}},
		{"by half an hour, out of order", Schedule{Cron: "20,35 2 * * *", Zone: "Australia/Lord_Howe"}, "2026-10-04 01:00 +1030",
			[]string{"2026-10-04 02:35 +1100", "2026-10-04 02:50 +1100", "2026-10-05 02:20 +1100"}},

		{"every counts from 1970", Schedule{Every: "15m", Zone: saigon}, "2026-11-21 05:59 +0700",
			[]string{"2026-11-21 06:00 +0700", "2026-11-21 06:15 +0700"}},
		{"every knows no summer", Schedule{Every: "6h", Zone: pacific}, "2026-03-07 22:00 -0800",
			[]string{"2026-03-08 04:00 -0800", "2026-03-08 11:00 -0700", "2026-03-08 17:00 -0700"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			times, now := timesOf(t, c.s), at(t, c.after)
			for _, want := range c.want {
				if now = times.Next(now); !now.Equal(at(t, want)) {
					t.Fatalf("next is %s, want %s", now, want)
				}
			}
		})
	}
}

func TestNewest(t *testing.T) {
	for _, c := range []struct {
		name              string
		s                 Schedule
		after, upTo, want string
	}{
		{"nothing yet", Schedule{Cron: "0 6 * * *"}, "2026-11-20 06:00 +0000", "2026-11-21 05:59 +0000", ""},
		{"now", Schedule{Cron: "0 6 * * *"}, "2026-11-20 06:00 +0000", "2026-11-21 06:00 +0000", "2026-11-21 06:00 +0000"},
		{"one of several missed", Schedule{Cron: "0 6 * * *"}, "2026-11-10 06:00 +0000", "2026-11-21 05:00 +0000", "2026-11-20 06:00 +0000"},
		{"one of a million missed", Schedule{Cron: "* * * * *"}, "2024-11-10 06:00 +0000", "2026-11-21 05:00 +0000", "2026-11-21 05:00 +0000"},
		{"a rare one", Schedule{Cron: "0 0 29 2 *"}, "2023-01-01 00:00 +0000", "2026-11-21 05:00 +0000", "2024-02-29 00:00 +0000"},
		{"every: nothing yet", Schedule{Every: "15m"}, "2026-11-21 05:00 +0000", "2026-11-21 05:14 +0000", ""},
		{"every: one of many missed", Schedule{Every: "15m"}, "2024-11-21 05:00 +0000", "2026-11-21 05:14 +0000", "2026-11-21 05:00 +0000"},
		{"not what was before", Schedule{Every: "1h"}, "2026-11-21 05:30 +0000", "2026-11-21 05:40 +0000", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := timesOf(t, c.s).Newest(at(t, c.after), at(t, c.upTo))
			switch {
			case c.want == "" && !got.IsZero():
				t.Errorf("got %s, want none", got)
			case c.want != "" && !got.Equal(at(t, c.want)):
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct{ name, zone, at, want string }{
		{"today", "Asia/Ho_Chi_Minh", "2026-11-20 17:00 +0000", "2026-11-21 2026-11-22"}, // midnight there
		{"today", "Asia/Ho_Chi_Minh", "2026-11-20 16:59 +0000", "2026-11-20 2026-11-21"},
		{"yesterday", "Asia/Ho_Chi_Minh", "2026-11-20 17:00 +0000", "2026-11-20 2026-11-21"},
		{"yesterday", "America/Los_Angeles", "2026-03-09 07:30 +0000", "2026-03-08 2026-03-09"}, // a day of 23 hours
		{"yesterday", "UTC", "2026-03-01 12:00 +0000", "2026-02-28 2026-03-01"},
		{"yesterday", "UTC", "2024-03-01 12:00 +0000", "2024-02-29 2024-03-01"},
		{"yesterday", "UTC", "2026-01-01 00:00 +0000", "2025-12-31 2026-01-01"},
		{"this_week", "UTC", "2026-11-22 12:00 +0000", "2026-11-16 2026-11-23"}, // a Sunday
		{"this_week", "UTC", "2026-11-23 12:00 +0000", "2026-11-23 2026-11-24"}, // a Monday
		{"last_week", "UTC", "2026-11-23 12:00 +0000", "2026-11-16 2026-11-23"},
		{"last_week", "UTC", "2026-11-22 12:00 +0000", "2026-11-09 2026-11-16"},
		{"this_month", "UTC", "2026-11-30 12:00 +0000", "2026-11-01 2026-12-01"},
		{"this_month", "Asia/Ho_Chi_Minh", "2026-11-30 17:00 +0000", "2026-12-01 2026-12-02"},
		{"last_month", "UTC", "2026-03-31 12:00 +0000", "2026-02-01 2026-03-01"}, // not the 31st of February
		{"last_month", "UTC", "2026-01-15 12:00 +0000", "2025-12-01 2026-01-01"},
		{"last_7_days", "UTC", "2026-03-03 12:00 +0000", "2026-02-24 2026-03-03"},
		{"last_30_days", "America/Los_Angeles", "2026-11-02 08:30 +0000", "2026-10-03 2026-11-02"}, // clocks were put back
		{"last_24_hours", "America/Los_Angeles", "2026-11-02 06:00 +0000", "24h"},                  // not the same as a day
		{"last_1_hours", "UTC", "2026-11-02 06:00 +0000", "1h"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now := at(t, c.at).In(zone)
		want := events.Range{Zone: c.zone}
		if d, err := time.ParseDuration(c.want); err == nil {
			want = events.Range{FromMS: now.Add(-d).UnixMilli(), ToMS: now.UnixMilli()}
		} else {
			want.FromDate, want.ToDate, _ = strings.Cut(c.want, " ")
		}
		if got, err := resolve(c.name, now); err != nil || got != want {
			t.Errorf("%s at %s is %+v, %v, want %+v", c.name, now, got, err, want)
		}
	}
	for _, name := range []string{"tomorrow", "last_0_days", "last_07_days", "last_9999_days", "last_99999_days", "last_-1_days", "last_3_weeks", " today"} {
		if got, err := resolve(name, time.Now()); err == nil {
			t.Errorf("%q is %+v, want an error", name, got)
		}
	}
}
