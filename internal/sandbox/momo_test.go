package sandbox

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

type momoPage struct {
	JSON struct {
		OA    string `json:"oa_id"`
		Range int    `json:"range"`
		Unit  string `json:"date_time_unit"`
		Type  string `json:"filter_type"`
		Data  []momoCampaign
	}
	Success bool
}

func (f *fixture) momoPage(preset, condition string, before int64, limit int) []momoCampaign {
	f.t.Helper()
	r := f.do("POST", report, momoToken, "application/json", fmt.Sprintf(
		`{"oa_id":"130035","report_time_range":%q,"limit":%d,"target_created_at":%d,"filter":{"filter_type":"CONDITION","condition_id":%q}}`,
		preset, limit, before, condition))
	f.want(r, 200, `"success":true`, Accepted)
	var page momoPage
	if err := json.Unmarshal([]byte(r.body), &page); err != nil {
		f.t.Fatal(err)
	}
	j := page.JSON
	if j.OA != "130035" || j.Range != momoRanges[preset] || j.Unit != "DAY" || j.Type != "CONDITION" {
		f.t.Errorf("page %+v", j)
	}
	return j.Data
}

// TestMomoPages reads all pages in the way that loses nothing: each next page
// asks for the last time itself, too, and knows rows by campaign and segment.
func TestMomoPages(t *testing.T) {
	f := start(t, Options{Seed: 1})
	for preset, want := range map[string]int{"DAY_AGO_30": 57, "DAY_AGO_60": 62, "DAY_AGO_90": 67, "ALL": 72} {
		for _, limit := range []int{20, 90} {
			rows, ties := map[string]momoCampaign{}, 0
			for before := int64(0); ; {
				page := f.momoPage(preset, "FOLLOW_NO_PAYMENT", before, limit)
				if before == 0 && len(page) != 20 {
					t.Errorf("first page has %d rows for a limit of %d", len(page), limit)
				}
				known := len(rows)
				for i, c := range page {
					if i > 0 && c.CreateAt > page[i-1].CreateAt || before != 0 && c.CreateAt >= before {
						t.Errorf("row %d is not older", i)
					}
					if _, twice := rows[c.CampaignID+"/"+c.SegmentID]; twice {
						ties++
					}
					rows[c.CampaignID+"/"+c.SegmentID] = c
				}
				if len(rows) == known {
					break
				}
				before = page[len(page)-1].CreateAt + 1
			}
			if len(rows) != want {
				t.Errorf("%s: %d rows by %d, want %d", preset, len(rows), limit, want)
			}
			if ties < 3 {
				t.Errorf("%s: no ties at the borders of pages", preset)
			}
		}
	}
}

// TestMomoTies shows what the data is there to catch: who asks for what is
// older than the last row loses those of the same time.
func TestMomoTies(t *testing.T) {
	f := start(t, Options{})
	n := 0
	for before := int64(0); ; {
		page := f.momoPage("DAY_AGO_30", "FOLLOW_NO_PAYMENT", before, 20)
		if len(page) == 0 {
			break
		}
		n += len(page)
		before = page[len(page)-1].CreateAt
	}
	if n >= 57 {
		t.Errorf("%d rows by the naive way: the data catches nobody", n)
	}
}

func TestMomoRows(t *testing.T) {
	a := Account{Campaigns: 100}
	rows := momoCampaigns(7, time.Now(), a, "", 365)
	if n := len(rows); n != 5*130 {
		t.Errorf("%d rows of all conditions", n)
	}
	seen := map[string]bool{}
	for _, c := range rows {
		if key := c.CampaignID + "/" + c.SegmentID; seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		r := c.Reports
		if r.Sending != c.SegmentSize || r.Failed+r.Sent != r.Sending || r.Received > r.Sent || r.Read > r.Received || r.Clicked > r.Read || r.Clicked < 0 {
			t.Errorf("no funnel: %+v", r)
		}
		if !json.Valid([]byte(c.TemplateData)) {
			t.Errorf("template_data %s", c.TemplateData)
		}
	}
}

func TestMomoRefusals(t *testing.T) {
	f := start(t, Options{})
	good := `{"oa_id":"130035","report_time_range":"DAY_AGO_30"}`
	f.want(f.do("POST", report, momoToken, "application/json", good), 200, `"success":true`, Accepted)
	f.want(f.do("GET", report, momoToken, "application/json", ""), 405, `"success":false`, Refused)
	f.want(f.do("POST", report, "", "application/json", good), 401, `"success":false`, Refused)
	f.want(f.do("POST", report, "wrong", "application/json", good), 401, `"success":false`, Refused)
	f.want(f.do("POST", report, momoToken, "text/plain", good), 415, `"success":false`, Refused)
	f.want(f.do("POST", "/momo/v1/business-pages/1/chat/messages/report", momoToken, "application/json", good), 404, "not found", Refused)

	with := func(fields string) string { return `{"oa_id":"130035","report_time_range":"ALL",` + fields + `}` }
	for body, refusal := range map[string]string{
		`[]`:                          "body must be a JSON object",
		`{"report_time_range":"ALL"}`: "oa_id must be a string",
		`{"oa_id":"130035"}`:          "report_time_range must be a string",
		`{"oa_id":130035}`:            "oa_id must be a string",
		`{"oa_id":"1","report_time_range":"ALL"}`:          "oa_id is not the business page",
		`{"oa_id":"130035","report_time_range":"DAY_AGO"}`: "report_time_range is not a known value",
		with(`"limit":0`):                            "limit must be a positive integer",
		with(`"limit":"20"`):                         "limit must be a positive integer",
		with(`"limit":1.5`):                          "limit must be a positive integer",
		with(`"target_created_at":-1`):               "target_created_at must be",
		with(`"target_created_at":"0"`):              "target_created_at must be",
		with(`"page":1`):                             "page is not a known field",
		with(`"filter":[]`):                          "filter must be a JSON object",
		with(`"filter":{"filter_type":"ALL"}`):       "filter.filter_type must be CONDITION",
		with(`"filter":{"filter_type":"CONDITION"}`): "filter.condition_id is not a known value",
		with(`"filter":{"filter_type":"CONDITION","condition_id":"X"}`): "filter.condition_id is not a known value",
		with(`"filter":{"filter":1}`):                                   "filter is not a known field",
	} {
		r := f.do("POST", report, momoToken, "application/json", body)
		f.want(r, 400, refusal, Refused)
	}
}
