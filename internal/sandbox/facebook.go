package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // days are Pacific ones, also where the system has no zones
)

// facebook emulates the messaging insights of Graph (document S2), strict about
// the metrics, breakdowns, periods and dates that the document names.
//
// From providers.md §2.3, because the document shows no more than good answers:
// the error object, HTTP 400 for whatever is wrong, the 90 days, what stands in
// paging links, and the usage headers. Assumed: that unknown parameters are
// refused, the allowance of 4,800 calls in an hour, the minute until a throttle
// ends, and the texts of most errors.
func facebook(o Options) *api {
	pacific, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		panic(err) // it is in this program
	}
	data := &facebookData{seed: o.Seed, zone: pacific}
	serve := func(r *request) answer { return facebookInsights(r, data) }
	return &api{
		name: "facebook",
		operations: []operation{
			{name: "facebook.page_insights", method: "GET", path: "{version}/{page}/insights", serve: serve},
			{name: "facebook.page_insights", method: "GET", path: "{version}/{page}/insights/", serve: serve}, // S2, second and third example
		},
		accountOf: func(r *request) string { return r.vars["page"] },
		noAccount: facebookNoPage,
		refuse:    facebookRefuse,
		throttled: facebookThrottled,
		perHour:   4800,
	}
}

const facebookNoPage = "Unsupported get request. Object does not exist, cannot be loaded due to missing permissions, or does not support this operation"

type facebookError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    int    `json:"code"`
	Subcode int    `json:"error_subcode,omitempty"`
	Trace   string `json:"fbtrace_id"`
}

func facebookFail(code, subcode int, text string) answer {
	a := jsonAnswer(http.StatusBadRequest, map[string]facebookError{
		"error": {fmt.Sprintf("(#%d) %s", code, text), "OAuthException", code, subcode, "ASandboxTrace"},
	})
	a.reason = text
	return a
}

// facebookRefuse gives the sandbox's own refusals Graph's form.
func facebookRefuse(status int, text string) answer {
	switch {
	case text == facebookNoPage:
		return facebookFail(100, 33, text)
	case status == http.StatusNotFound:
		return facebookFail(2500, 0, "Unknown path components")
	}
	return facebookFail(100, 0, text)
}

// facebookThrottled takes turns in which of its limits it names.
func facebookThrottled(streak int) answer {
	load := `{"call_count":100,"total_cputime":25,"total_time":25}`
	throttles := []struct {
		code                int
		text, header, value string
	}{
		{80001, "There have been too many calls to this Page account. Wait a bit and try again.",
			"X-Business-Use-Case-Usage", facebookUsage(100, 1)},
		{32, "Page request limit reached", "X-Page-Usage", load},
		{4, "Application request limit reached", "X-App-Usage", load},
	}
	t := throttles[(streak-1)%len(throttles)]
	a := facebookFail(t.code, 0, t.text)
	a.header[t.header] = t.value
	return a
}

func facebookUsage(percent, regainMinutes int) string {
	return fmt.Sprintf(`{"100000000000001":[{"type":"pages","call_count":%d,"total_cputime":%d,"total_time":%d,"estimated_time_to_regain_access":%d}]}`,
		percent, percent/4, percent/3, regainMinutes)
}

// used returns how much of the account's calls in an hour is used, in percent.
func (s *state) used(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.PerHour <= 0 {
		return 0
	}
	return s.hour.count(now) * 100 / s.PerHour
}

var (
	facebookVersion = regexp.MustCompile(`^v([2-9]|1[0-9]|2[0-6])\.[0-9]$`)
	facebookParams  = []string{"metric", "access_token", "period", "since", "until", "date_preset", "breakdown"}
	facebookPeriods = []string{"day", "week", "month", "days_28", "total_over_range"}
	facebookPresets = []string{"last_week", "last_month", "last_quarter"}
)

func facebookInsights(r *request, data *facebookData) answer {
	token := r.query.Get("access_token")
	switch {
	case !facebookVersion.MatchString(r.vars["version"]):
		return facebookFail(2500, 0, "Unknown path components")
	case token != r.state.Token && !r.bearer():
		return facebookFail(190, 0, "Invalid OAuth access token.")
	}
	q, err := parseFacebookQuery(r, data.zone)
	if err != nil {
		text := err.Error()
		return facebookFail(100, 0, strings.ToUpper(text[:1])+text[1:])
	}
	var answer struct {
		Data   []facebookSeries  `json:"data"`
		Paging map[string]string `json:"paging"`
	}
	answer.Data = []facebookSeries{}
	for _, m := range q.metrics {
		if s := data.series(r, q, m); len(s.Values) > 0 {
			answer.Data = append(answer.Data, s)
		}
	}
	days := q.until - q.since
	answer.Paging = map[string]string{
		"previous": r.facebookLink(data.zone, q.since-days, q.since),
		"next":     r.facebookLink(data.zone, q.until, q.until+days),
	}
	a := accepted(answer)
	a.header["X-App-Usage"] = `{"call_count":1,"total_cputime":0,"total_time":1}`
	a.header["X-Business-Use-Case-Usage"] = facebookUsage(r.state.used(r.at), 0)
	return a
}

// facebookLink is a link to another range: with the token in it, as in life.
func (r *request) facebookLink(zone *time.Location, since, until facebookDay) string {
	q := url.Values{"access_token": {r.state.Token}, "pretty": {"0"}}
	for _, name := range []string{"metric", "period", "breakdown"} {
		if r.query.Has(name) {
			q.Set(name, r.query.Get(name))
		}
	}
	q.Set("since", strconv.FormatInt(since.begin(zone).Unix(), 10))
	q.Set("until", strconv.FormatInt(until.begin(zone).Unix(), 10))
	return "https://graph.facebook.com/" + r.vars["version"] + "/" + url.PathEscape(r.vars["page"]) + "/insights?" + q.Encode()
}

type facebookQuery struct {
	metrics      []string
	period       string
	breakdowns   []string
	since, until facebookDay
}

// parseFacebookQuery holds the parameter table of S2.
func parseFacebookQuery(r *request, zone *time.Location) (q facebookQuery, err error) {
	for name, values := range r.query {
		if !slices.Contains(facebookParams, name) {
			return q, fmt.Errorf("unknown parameter %s", name)
		}
		if len(values) > 1 {
			return q, fmt.Errorf("parameter %s is given twice", name)
		}
	}
	if !r.query.Has("metric") {
		return q, errors.New("the parameter metric is required")
	}
	q.metrics = strings.Split(r.query.Get("metric"), ",")
	if r.query.Has("breakdown") {
		q.breakdowns = strings.Split(r.query.Get("breakdown"), ",")
	}
	for _, m := range q.metrics {
		allowed, known := facebookMetrics[m]
		if !known || slices.Contains(r.state.DeadMetrics, m) {
			return q, errors.New("the value must be a valid insights metric")
		}
		for _, b := range q.breakdowns {
			if !slices.Contains(allowed, b) {
				return q, fmt.Errorf("breakdown %s is not valid for metric %s", b, m)
			}
		}
	}
	if q.period = "day"; r.query.Has("period") {
		q.period = r.query.Get("period")
	}
	if !slices.Contains(facebookPeriods, q.period) {
		return q, errors.New("param period must be one of {" + strings.Join(facebookPeriods, ", ") + "}")
	}
	return q, q.readDates(r, zone)
}

func (q *facebookQuery) readDates(r *request, zone *time.Location) error {
	today := facebookDayOf(r.at.In(zone))
	preset, since, until := r.query.Has("date_preset"), r.query.Has("since"), r.query.Has("until")
	switch {
	case preset && (since || until):
		return errors.New("param date_preset cannot be used with since or until")
	case preset:
		name := r.query.Get("date_preset")
		if !slices.Contains(facebookPresets, name) {
			return errors.New("param date_preset must be one of {" + strings.Join(facebookPresets, ", ") + "}")
		}
		q.since, q.until = facebookPreset(name, today)
		return nil
	case since != until:
		return errors.New("params since and until must be given together")
	case !since: // the last two whole days
		q.since, q.until = today-2, today
		return nil
	}
	var err error
	if q.since, err = readFacebookDay(r.query.Get("since"), zone); err != nil {
		return fmt.Errorf("param since %w", err)
	}
	if q.until, err = readFacebookDay(r.query.Get("until"), zone); err != nil {
		return fmt.Errorf("param until %w", err)
	}
	switch {
	case q.since >= q.until:
		return errors.New("param until must be later than since")
	case q.until-q.since > 90:
		return errors.New("there cannot be more than 90 days between since and until")
	}
	return nil
}

var unixSeconds = regexp.MustCompile(`^[0-9]{1,10}$`)

// readFacebookDay reads a date, or unix seconds as the examples have them.
func readFacebookDay(s string, zone *time.Location) (facebookDay, error) {
	if unixSeconds.MatchString(s) {
		n, err := strconv.ParseInt(s, 10, 64)
		return facebookDayOf(time.Unix(n, 0).In(zone)), err
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, errors.New("must be a date such as 2022-01-31 or unix seconds")
	}
	return facebookDayOf(t), nil
}
