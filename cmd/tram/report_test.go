package main

import (
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

// The zones are 25 hours apart: today is never the same day in both.
const east, west = "Pacific/Kiritimati", "Pacific/Pago_Pago"

func TestReport_days(t *testing.T) {
	b := brokertest.Start(t)
	for account, zone := range map[string]string{"east": east, "west": west, "nowhere": ""} {
		c := events.Contract{Provider: "momo", Account: account, Zone: zone,
			Reports: []events.ReportForm{{Name: "momo.messages_report", Takes: []string{"range"}}}}
		if err := events.PutContract(t.Context(), b.JS, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		account string
		flags   []string
		zone    string
	}{
		{"east", nil, east},
		{"west", nil, west},
		{"east", []string{"--zone", west}, west},
		{"nowhere", nil, "Local"},
	} {
		code, _, stderr := tram(t, "", append([]string{"report", "momo/" + test.account, "momo.messages_report", "--days", "2", "-s", b.URL}, test.flags...)...)
		all := b.All(events.RequestsStream)
		if code != 0 || len(all) == 0 {
			t.Fatalf("%+v: got %d, %q", test, code, stderr)
		}
		m := all[len(all)-1]
		at, err := broker.ParseStored(m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		r, err := events.DecodeRequest(at.Public().String(), m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		today := r.Time.In(zone) // but for a midnight in between
		if got := r.Report.Range; got.FromDate != today.AddDate(0, 0, -2).Format(time.DateOnly) || got.ToDate != today.Format(time.DateOnly) {
			t.Errorf("%+v: got %+v, and it is %s there", test, got, today)
		}
	}
}

// Who is not known is told so, whatever day it is there.
func TestReport_daysOfNobody(t *testing.T) {
	b := brokertest.Start(t)
	if code, _, stderr := tram(t, "", "report", "momo/nobody", "momo.messages_report", "--days", "2", "-s", b.URL); code != 3 {
		t.Errorf("got %d, %q", code, stderr)
	}
}
