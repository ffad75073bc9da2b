package pancake

import (
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

func vietnam(t *testing.T) zone {
	t.Helper()
	z, err := zoneOf(&channels.Account{})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestDays(t *testing.T) {
	t.Parallel()
	z := vietnam(t)
	day := func(s string) time.Time {
		d, err := time.ParseInLocation(time.DateOnly, s, z.loc)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, tt := range map[string]struct {
		labels, from, to string
		want             string // - is no day
	}{
		"within a year":             {"26/8,25/8", "2021-07-27", "2021-08-27", "2021-08-26,2021-08-25"},
		"over the new year":         {"1/1,31/12,30/12", "2025-12-30", "2026-01-02", "2026-01-01,2025-12-31,2025-12-30"},
		"leap day":                  {"1/3,29/2,28/2", "2024-02-01", "2024-03-02", "2024-03-01,2024-02-29,2024-02-28"},
		"no leap day":               {"29/2,28/2", "2025-02-01", "2025-03-02", "-,2025-02-28"},
		"365 days":                  {"26/8", "2020-08-27", "2021-08-27", "2021-08-26"},
		"366 days":                  {"26/8", "2020-08-26", "2021-08-27", "-"},
		"with the year":             {"6/7/2026,5/7/2026", "2026-07-05", "2026-07-07", "2026-07-06,2026-07-05"},
		"with the year, longer":     {"6/7/2026,5/7/2020", "2020-07-05", "2026-07-07", "2026-07-06,2020-07-05"},
		"forward":                   {"25/8,26/8", "2021-07-27", "2021-08-27", "2021-08-25,2021-08-26"},
		"a day left out":            {"26/8,24/8", "2021-07-27", "2021-08-27", "2021-08-26,2021-08-24"},
		"a day twice":               {"26/8,25/8,26/8", "2021-07-27", "2021-08-27", "-,2021-08-25,-"},
		"a day in two forms":        {"26/8,26/8/2021", "2021-07-27", "2021-08-27", "-,-"},
		"outside":                   {"26/9,26/8", "2021-07-27", "2021-08-27", "-,2021-08-26"},
		"no day":                    {"32/8", "2021-07-27", "2021-08-27", "-"},
		"no month":                  {"1/13", "2021-07-27", "2022-07-01", "-"},
		"a word":                    {"hôm nay", "2021-07-27", "2021-08-27", "-"},
		"below zero":                {"-1/8", "2021-07-27", "2021-08-27", "-"},
		"range inside a single day": {"26/8", "2021-08-26", "2021-08-27", "2021-08-26"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range z.days(strings.Split(tt.labels, ","), day(tt.from), day(tt.to)) {
				if d.IsZero() {
					got = append(got, "-")
					continue
				}
				got = append(got, d.Format(time.DateOnly))
			}
			if s := strings.Join(got, ","); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestHour(t *testing.T) {
	t.Parallel()
	z := vietnam(t)
	for name, tt := range map[string]struct {
		hour, integer string
		want          int64 // unix seconds; 0 is an error
		zone          string
	}{
		"local":                {"2021-08-26T13:00:00", "", 1629957600, "Asia/Ho_Chi_Minh"},
		"integer wins":         {"2021-08-26T13:00:00", "20210826060000", 1629957600, "UTC"},
		"integer alone":        {"", "20210826060000", 1629957600, "UTC"},
		"neither":              {"", "", 0, ""},
		"integer of something": {"2021-08-26T13:00:00", "2021", 1629957600, "Asia/Ho_Chi_Minh"},
		"hour in UTC":          {"2021-08-26T06:00:00Z", "", 1629957600, "UTC"},
		"hour with a zone":     {"2021-08-26T13:00:00+07:00", "", 1629957600, "UTC"},
		"hour of something":    {"13:00", "2021", 0, ""},
	} {
		b, err := z.hour(tt.hour, tt.integer)
		if tt.want == 0 {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if err != nil || b.StartMS != tt.want*1000 || b.EndMS-b.StartMS != 3_600_000 || b.Zone != tt.zone || b.Label != tt.hour {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}

func TestRecordTime(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"2021-08-26T06:29:56":        "1629959396000",
		"2023-04-05T02:22:06.689494": "1680661326689",
		"2023-04-05T02:22:06Z":       "1680661326000",
		"2023-04-05T09:22:06+07:00":  "1680661326000",
		"1998-00-00":                 "",
		"":                           "",
	} {
		if got, ok := recordTime(s); got != want || ok != (want != "") {
			t.Errorf("%q: %q %t, want %q", s, got, ok, want)
		}
	}
}
