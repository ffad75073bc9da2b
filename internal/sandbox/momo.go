package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// momo emulates MoMo's message report (document S0). Which fields are required
// was lost from the document: the sandbox demands oa_id and report_time_range.
//
// Assumed, because nowhere documented: that "older" excludes the time itself,
// that more than 100 rows are never given, the status and body of refusals, and
// the range that is told for ALL.
func momo(o Options) *api {
	start := o.Now()
	return &api{
		name: "momo",
		operations: []operation{{
			name: "momo.messages_report", method: "POST", path: "v1/business-pages/{id}/chat/messages/report",
			serve: func(r *request) answer { return momoReport(r, o.Seed, start) },
		}},
		accountOf: func(r *request) string { return r.vars["id"] },
		noAccount: "Business page not found",
		refuse:    momoError,
		throttled: func(int) answer { return momoError(http.StatusTooManyRequests, "Too many requests") },
	}
}

func momoError(status int, text string) answer {
	a := jsonAnswer(status, struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
	}{false, text})
	a.reason = text
	return a
}

const momoFirstPage = 20 // "max 20" when target_created_at is 0, whatever limit says

var (
	momoRanges     = map[string]int{"DAY_AGO_30": 30, "DAY_AGO_60": 60, "DAY_AGO_90": 90, "ALL": 365}
	momoConditions = []string{"PAYMENT_NO_FOLLOW", "FOLLOW_NO_PAYMENT", "NO_ACTIVITIES_14", "NO_ACTIVITIES_30", "NO_ACTIVITIES_90"}
)

type momoQuery struct {
	oa        string
	days      int
	before    int64 // unix milliseconds; 0 is the newest
	limit     int
	condition string // "" is all
}

func momoReport(r *request, seed uint64, start time.Time) answer {
	switch {
	case !r.bearer():
		return momoError(http.StatusUnauthorized, "Unauthorized")
	case !isJSON(r.Header.Get("Content-Type")):
		return momoError(http.StatusUnsupportedMediaType, "Content-Type must be application/json")
	}
	q, err := parseMomoQuery(r.body)
	if err == nil && q.oa != r.vars["id"] {
		err = errors.New("oa_id is not the business page of the path")
	}
	if err != nil {
		return momoError(http.StatusBadRequest, err.Error())
	}
	var answer struct {
		JSON struct {
			OA    string         `json:"oa_id"`
			Range int            `json:"range"`
			Unit  string         `json:"date_time_unit"`
			Type  string         `json:"filter_type"`
			Data  []momoCampaign `json:"data"`
		} `json:"json"`
		Success bool `json:"success"`
	}
	answer.Success = true
	j := &answer.JSON
	j.OA, j.Range, j.Unit, j.Type, j.Data = q.oa, q.days, "DAY", "CONDITION", []momoCampaign{}
	for _, c := range momoCampaigns(seed, start, r.state.Account, q.condition, q.days) {
		if len(j.Data) == q.limit {
			break
		}
		if q.before == 0 || c.CreateAt < q.before {
			j.Data = append(j.Data, c)
		}
	}
	return accepted(answer)
}

// parseMomoQuery holds the request body tables of S0.
func parseMomoQuery(body []byte) (q momoQuery, err error) {
	o, err := parseObject(body, "oa_id", "report_time_range", "limit", "target_created_at", "filter")
	if err != nil {
		return q, fmt.Errorf("body %w", err)
	}
	if q.oa, err = o.text("oa_id"); err != nil {
		return q, err
	}
	preset, err := o.text("report_time_range")
	if err != nil {
		return q, err
	}
	if q.days = momoRanges[preset]; q.days == 0 {
		return q, errors.New("report_time_range is not a known value")
	}
	limit := int64(20)
	if o.has("limit") {
		if limit, err = o.integer("limit"); err != nil || limit < 1 {
			return q, errors.New("limit must be a positive integer")
		}
	}
	if o.has("target_created_at") {
		if q.before, err = o.integer("target_created_at"); err != nil || q.before < 0 {
			return q, errors.New("target_created_at must be a time in milliseconds, or 0")
		}
	}
	q.limit = int(min(limit, 100))
	if q.before == 0 {
		q.limit = min(q.limit, momoFirstPage)
	}
	if !o.has("filter") {
		return q, nil
	}
	f, err := parseObject(o["filter"], "filter_type", "condition_id")
	if err != nil {
		return q, fmt.Errorf("filter %w", err)
	}
	if kind, err := f.text("filter_type"); err != nil || kind != "CONDITION" {
		return q, errors.New("filter.filter_type must be CONDITION")
	}
	if q.condition, err = f.text("condition_id"); err != nil || !slices.Contains(momoConditions, q.condition) {
		return q, errors.New("filter.condition_id is not a known value")
	}
	return q, nil
}

// A momoCampaign is one row of the report, in the order of the example.
type momoCampaign struct {
	SegmentID    string      `json:"segment_id"`
	CampaignID   string      `json:"campaign_id"`
	SegmentSize  int         `json:"segment_size"`
	TemplateData string      `json:"template_data"` // JSON in a string
	Status       string      `json:"segment_status"`
	Condition    string      `json:"condition_id"`
	CreateAt     int64       `json:"create_at"`
	Reports      momoReports `json:"reports"`
}

// momoReports is a funnel: each stage counts those of the stage before.
type momoReports struct {
	Sending  int `json:"SENDING"`
	Failed   int `json:"FAILED"`
	Sent     int `json:"SENT"`
	Received int `json:"RECEIVED"`
	Read     int `json:"READ"`
	Clicked  int `json:"CLICKED"`
}
