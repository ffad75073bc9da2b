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
		OAID json.RawMessage   `json:"oa_id"`
		Data []json.RawMessage `json:"data"`
	} `json:"json"`
}

// failed reports whether success is there and false.
func (a *answer) failed() bool {
	s := strings.ToLower(text(a.Success))
	return s == "false" || s == "0"
}

// read reads an answer with all its rows.
func read(body []byte) (*answer, []row, error) {
	a := new(answer)
	if err := channels.DecodeJSON(body, a); err != nil {
		return a, nil, err
	}
	if a.JSON == nil || a.JSON.Data == nil {
		return a, nil, errors.New("the answer has no json.data")
	}
	rows := make([]row, len(a.JSON.Data))
	for i, raw := range a.JSON.Data {
		r, err := readRow(raw)
		if err != nil {
			return a, nil, fmt.Errorf("json.data[%d]: %w", i, err)
		}
		rows[i] = r
	}
	return a, rows, nil
}

// Judge follows providers.md §3e, MoMo.
func (provider) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	if v, decided := channels.JudgeTransport(true, ans); decided {
		return v
	}
	got, rows, err := read(ans.Body)
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
		v = judgePage(a, r, s, rows)
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
func judgePage(a *channels.Account, r *events.Request, s channels.Step, rows []row) channels.Verdict {
	w, at, err := whereabouts(a, r, s)
	if err != nil {
		return channels.Verdict{Class: channels.Permanent, Reason: string(channels.FailCall), Detail: err.Error()}
	}
	v := channels.Verdict{Class: channels.OK}
	var warning string
	if v.Next, warning = at.next(rows, at.limit(r), w); warning != "" {
		v.Warnings = []string{warning}
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
	got, rows, err := read(ans.Body)
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
	for i := range rows {
		if r := &rows[i]; w.holds(r.createdAt) && !at.seen(r) {
			r.harvest(h, a, oa, channels.Pointer("json", "data", strconv.Itoa(i)), ans.StartedMS)
		}
	}
	return h, nil
}
