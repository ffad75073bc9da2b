package momo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// aliases are the names that providers share for these counters.
var aliases = map[string]string{
	"SENT": "messages.sent", "FAILED": "messages.failed", "RECEIVED": "messages.delivered",
	"READ": "messages.read", "CLICKED": "messages.clicked",
}

// throttleRest is the silence after the first 429 that tells none: 30 seconds,
// assumed in providers.md §3e.
const throttleRest = 30_000

// answer is M1's. The ids of a row stand in the document's example only.
type answer struct {
	Success     json.RawMessage `json:"success"`
	ResultCode  json.RawMessage `json:"resultCode"`
	Message     json.RawMessage `json:"message"`
	Description json.RawMessage `json:"description"`
	JSON        *struct {
		OAID json.RawMessage `json:"oa_id"`
		Data json.RawMessage `json:"data"`
	} `json:"json"`
}

// failed reports whether success is there and false.
func (a *answer) failed() bool {
	s := strings.ToLower(text(a.Success))
	return s == "false" || s == "0"
}

// A page is what an answer holds.
type page struct {
	rows []row
	left int   // more rows, which cannot be read
	why  error // of the first of them
}

func (p *page) size() int { return len(p.rows) + p.left }

// read reads an answer with its rows. One that cannot be read does not cost the
// others; a page of such rows alone is not what the document shows.
func read(body []byte) (*answer, page, error) {
	a := new(answer)
	if err := channels.DecodeJSON(body, a); err != nil {
		return a, page{}, err
	}
	if a.JSON == nil || a.JSON.Data == nil {
		return a, page{}, errors.New("the answer has no json.data")
	}
	var list []json.RawMessage
	if err := channels.DecodeJSON(a.JSON.Data, &list); err != nil { // null is an empty one
		return a, page{}, errors.New("the answer's json.data is no list")
	}
	var p page
	for i, raw := range list {
		r, err := readRow(raw)
		if err == nil {
			r.index = i
			p.rows = append(p.rows, r)
			continue
		}
		if p.left++; p.left == 1 {
			p.why = fmt.Errorf("json.data[%d]: %w", i, err)
		}
	}
	if p.left > 0 && p.rows == nil {
		return a, p, p.why
	}
	return a, p, nil
}

// Judge follows providers.md §3e, MoMo.
func (provider) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	if v, decided := channels.JudgeTransport(true, ans); decided {
		return v
	}
	got, p, err := read(ans.Body)
	v := channels.JudgeStatus(true, ans)
	switch {
	case v.Class == channels.Throttled:
		if v.Cooldown == 0 {
			v.Cooldown, v.Untold = throttleRest, true
		}
	case v.Class == channels.Auth || v.ProviderFault || v.Reason == channels.ReasonRedirect:
	case got.failed():
		v = channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused,
			Detail: "MoMo answered success: false, of which no codes are documented"}
	case v.Class != channels.OK:
	case err != nil:
		v = channels.Verdict{Class: channels.Retry, Reason: channels.ReasonUnexpectedAnswer, Detail: err.Error()}
	default:
		v = judgePage(a, r, s, p)
	}
	if v.Class != channels.OK {
		v.ProviderCode = text(got.ResultCode)
		v.ProviderText = text(got.Message)
		if v.ProviderText == "" {
			v.ProviderText = text(got.Description)
		}
	}
	return v
}

// judgePage finds the page after one that came well.
func judgePage(a *channels.Account, r *events.Request, s channels.Step, p page) channels.Verdict {
	w, at, err := whereabouts(a, r, s)
	if err != nil {
		return channels.Verdict{Class: channels.Permanent, Reason: string(channels.FailCall), Detail: err.Error()}
	}
	v := channels.Verdict{Class: channels.OK}
	var warning string
	if v.Next, warning = at.next(p, at.limit(r), w); warning != "" {
		v.Warnings = append(v.Warnings, warning)
	}
	if p.left > 0 {
		v.Warnings = append(v.Warnings, fmt.Sprintf("messages that cannot be read were left out: %d, the first is %v", p.left, p.why))
	}
	return v
}

// whereabouts returns what a request asks for and how far step s was.
func whereabouts(a *channels.Account, r *events.Request, s channels.Step) (window, cursor, error) {
	w, err := windowOf(a, r)
	if err != nil {
		return w, cursor{}, err
	}
	at, err := readCursor(s.Cursor)
	return w, at, err
}

// Parse makes seven points and one campaign record of each row that is in the
// range and was on no page before.
//
// The counters belong to the campaign and not to the range that selected it,
// so their bucket is the moment of the fetch, and they are never added up: one
// message is counted as SENDING, then as SENT, then as READ (T-29).
func (provider) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	got, p, err := read(ans.Body)
	if err != nil {
		return nil, fmt.Errorf("read messages report: %w", err)
	}
	w, at, err := whereabouts(a, r, s)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	oa := text(got.JSON.OAID)
	if oa == "" {
		oa = a.Setting(settingPage, "")
	}
	h := new(channels.Harvest)
	for i := range p.rows {
		if r := &p.rows[i]; w.holds(r.createdAt) && !at.seen(r) {
			r.harvest(h, a, oa, channels.Pointer("json", "data", strconv.Itoa(r.index)), ans.StartedMS)
		}
	}
	return h, nil
}
