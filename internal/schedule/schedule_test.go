package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

func TestDecode(t *testing.T) {
	const head = `{"provider":"p","account":"a","report":{"report":"p.r"}`
	for _, c := range []struct{ name, json, want string }{
		{"good", head + `,"cron":"0 6 * * 1-5","zone":"Asia/Ho_Chi_Minh","range":"yesterday"}`, ""},
		{"good", head + `,"every":"1h","paused":true,"by":"an"}`, ""},
		{"good", `{"provider":"p","account":"a","class":"urgent","every":"1h","report":{"report":"p.r","range":{"preset":"DAY_AGO_30"}}}`, ""},
		{"bad name", head + `,"every":"1h"}`, "name: must be 1 to 64"},
		{"good", "", "body: ends too early"},
		{"good", head, "body: ends too early"},
		{"good", head + `,"every":"1h"} {}`, "body: must be one JSON object"},
		{"good", "0900000001", "has a value of the wrong type"},
		{"good", head + `,"every":900000001}`, "every: has a value of the wrong type"},
		{"good", head + `,"timezone":"UTC","every":"1h"}`, `unknown field "timezone"`},
		{"good", head + `}`, "every: or cron must be given"},
		{"good", head + `,"every":"1h","cron":"0 6 * * *"}`, "one of the two"},
		{"good", head + `,"every":"90s"}`, "every: must be whole minutes"},
		{"good", head + `,"every":"0s"}`, "every: must be whole minutes"},
		{"good", head + `,"every":"-1h"}`, "every: must be whole minutes"},
		{"good", head + `,"every":"9000h"}`, "a year at most"},
		{"good", head + `,"cron":"0 6 * *"}`, "cron: must be five fields"},
		{"good", head + `,"cron":"0 0 6 * * *"}`, "cron: must be five fields"},
		{"good", head + `,"cron":"0 25 * * *"}`, "cron: must be five fields"},
		{"good", head + `,"cron":"@daily"}`, "cron: must be five fields"},
		{"good", head + `,"cron":"TZ=0"}`, "the zone is given as zone"}, // which makes the library panic
		{"good", head + `,"cron":"0 0 30 2 *"}`, "no day of the next five years"},
		{"good", head + `,"every":"1h","zone":"Saigon"}`, "zone: must be an IANA zone"},
		{"good", head + `,"every":"1h","zone":"Local"}`, "zone: must be an IANA zone"},
		{"good", head + `,"every":"1h","range":"tomorrow"}`, "range: must be one of today, yesterday"},
		{"good", `{"provider":"p","account":"a","every":"1h","report":{"report":"p.r","range":{"from_date":"2026-11-01","to_date":"2026-11-02"}}}`, "report.range: would be the same each time"},
		{"good", `{"provider":"p","account":"a","every":"1h","range":"today","report":{"report":"p.r","range":{"preset":"ALL"}}}`, "report.range: does not go together"},
		{"good", `{"provider":"p","account":"a","every":"1h","report":{"report":"p.r","expires_at_ms":1800000000000}}`, "expires_at_ms"},
		{"good", `{"provider":"p","account":"a","every":"1h","report":{"report":"p.r","metadata":{"schedule":"x"}}}`, "schedule is for the schedule to say"},
		{"good", `{"provider":"p.q","account":"","class":"slow","every":"1h","report":{}}`, "4 faults: (1) provider"},
		{"good", `{"every":"1s","zone":"x","provider":"p","account":"a","report":{"report":"p.r","granularity":"year"}}`, "3 faults: (1) zone"},
	} {
		s, err := decode(c.name, []byte(c.json))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.json, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error is %v, want %q", c.json, err, c.want)
		case err != nil && (s != nil || events.ReasonOf(err) != events.ReasonInvalid || strings.Contains(err.Error(), "900000001")):
			t.Errorf("%s: %v, reason %q: %v", c.json, s, events.ReasonOf(err), err)
		}
	}
}

// A request depends on the schedule and its time alone.
func TestRequest(t *testing.T) {
	s := Schedule{
		Provider: "p", Account: "a", Every: "1h", Range: "yesterday",
		Report: events.Report{Report: "p.r", Context: events.Context{Metadata: map[string]string{"team": "ads"}}},
	}
	due := time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)
	r, err := s.Request("daily", due, "Asia/Ho_Chi_Minh")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Request("daily", due.Local(), "Asia/Ho_Chi_Minh")
	if err != nil {
		t.Fatal(err)
	}
	one, err := events.EncodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	other, err := events.EncodeRequest(again)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one.Data, other.Data) || one.Header.Get("ce-time") != other.Header.Get("ce-time") {
		t.Errorf("made twice it is %v %q and %v %q", one.Header, one.Data, other.Header, other.Data)
	}
	if r.ID != "daily-20261120T230000Z" || r.Source != "/tram/schedule/daily" || r.Class != events.Bulk || one.Subject != "tram.report.p.a.bulk" {
		t.Errorf("it is %+v", r)
	}
	if m := r.Report.Metadata; len(m) != 3 || m["schedule"] != "daily" || m["scheduled_for"] != "2026-11-21T06:00:00+07:00" || m["team"] != "ads" {
		t.Errorf("metadata is %v", m)
	}
	if want := (events.Range{FromDate: "2026-11-20", ToDate: "2026-11-21", Zone: "Asia/Ho_Chi_Minh"}); r.Report.Range != want {
		t.Errorf("range is %+v, want %+v", r.Report.Range, want)
	}
	if len(s.Report.Metadata) != 1 {
		t.Errorf("the schedule's own metadata became %v", s.Report.Metadata)
	}
	s.Zone = "UTC" // its own zone goes before the account's
	if r, err = s.Request("daily", due, "Asia/Ho_Chi_Minh"); err != nil || r.Report.Range.FromDate != "2026-11-19" {
		t.Errorf("in its own zone it is %+v, %v", r, err)
	}
}
