package events_test

import (
	"testing"

	"github.com/tramhq/tram/pkg/events"
)

// The forms of reports name fields, wholes and parts.
func TestContract_CheckReport(t *testing.T) {
	form := func(needs, takes []string, values map[string][]string) events.Contract {
		return events.Contract{Provider: "p", Account: "a", Reports: []events.ReportForm{{Name: "p.r", Needs: needs, Takes: takes, Values: values}}}
	}
	fields := func(f ...string) []string { return f }
	instants := events.Range{FromMS: 1793000000000, ToMS: 1794000000000}
	dates := events.Range{FromDate: "2026-11-01", ToDate: "2026-11-02", Zone: "UTC"}
	for name, c := range map[string]struct {
		contract events.Contract
		report   events.Report
		want     string // "" is no fault
	}{
		"nothing needed, nothing given": {form(nil, nil, nil), events.Report{}, ""},
		"nothing taken":                 {form(nil, nil, nil), events.Report{Pages: []string{"1"}}, "pages: p.r takes no fields"},
		"range by instants":             {form(fields("range"), nil, nil), events.Report{Range: instants}, ""},
		"range by dates and zone":       {form(fields("range"), nil, nil), events.Report{Range: dates}, ""},
		"a zone is no range":            {form(fields("range"), nil, nil), events.Report{Range: events.Range{Zone: "UTC"}}, "range: is missing: p.r needs it"},
		"a preset is no range": {
			form(fields("range"), nil, nil), events.Report{Range: events.Range{Preset: "ALL"}},
			"invalid report, 2 faults: (1) range: is missing: p.r needs it (2) range.preset: p.r does not take it: it takes range",
		},
		"range or preset": {form(nil, fields("range", "range.preset"), nil), events.Report{Range: events.Range{Preset: "ALL"}}, ""},
		"whole page":      {form(nil, fields("page"), nil), events.Report{Page: events.Paging{Size: 5, MaxPages: 2}}, ""},
		"part of a page": {
			form(nil, fields("page.max_pages"), nil), events.Report{Page: events.Paging{Size: 5, MaxPages: 2}},
			"page.size: p.r does not take it: it takes page.max_pages",
		},
		"recipient": {form(fields("recipient"), nil, map[string][]string{"recipient.kind": {"phone"}}), events.Report{Recipient: events.Recipient{Kind: "contact_id", Value: "1"}}, "recipient.kind: must be phone, not contact_id"},
		"metrics, one wrong": {
			form(fields("metrics"), nil, map[string][]string{"metrics": {"sent", "read"}}), events.Report{Metrics: []string{"sent", "opened"}},
			"metrics: must be sent or read, not opened",
		},
		"page size by value":     {form(nil, fields("page"), map[string][]string{"page.size": {"20"}}), events.Report{Page: events.Paging{Size: 30}}, "page.size: must be 20"},
		"a filter needed":        {form(fields("filters.x"), nil, nil), events.Report{Filters: map[string]string{"x": "1"}}, ""},
		"a filter that is empty": {form(fields("filters.x"), nil, nil), events.Report{Filters: map[string]string{"x": ""}}, "filters.x: is missing: p.r needs it"},
		"any filter":             {form(nil, fields("filters"), nil), events.Report{Filters: map[string]string{"y": "1"}}, ""},
		"another filter":         {form(nil, fields("filters.x"), nil), events.Report{Filters: map[string]string{"0900000001": "1"}}, "filters.*: p.r does not take it: it takes filters.x"},
	} {
		t.Run(name, func(t *testing.T) {
			c.report.Report = "p.r"
			err := c.contract.Check(&events.Request{Kind: events.KindReport, Provider: "p", Account: "a", Class: events.Bulk, Report: &c.report})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || err.Error() != c.want && err.Error() != "invalid report: "+c.want):
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestContract_CheckFindsAll(t *testing.T) {
	r := newSend("1")
	r.Class, r.Account = "asap", "other"
	r.Send.Sender.ID, r.Send.Content.Text = "", ""
	r.Send.Policy.MessageTag = "X"
	want := "invalid send, 5 faults: (1) class: must be urgent, normal or bulk, not asap (2) content.text: is missing" +
		" (3) account: is not the one the contract is of (caresoft.main)" +
		" (4) sender.id: account main has no default; give the Zalo OA id (5) policy.message_tag: caresoft takes no message tag"
	if err := caresoft.Check(r); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
