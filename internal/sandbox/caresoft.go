package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// caresoft emulates CareSoft's Zalo messages (document S4; limits and errors
// from docs.caresoft.vn).
//
// Assumed, because nowhere documented: the texts of refusals and that they come
// with status 200, the 401 for a wrong token, 405 and 415, and the form of
// phone numbers.
func caresoft(o Options) *api {
	return &api{
		name: "caresoft",
		operations: []operation{
			{name: "caresoft.user_status", method: "POST", path: "{domain}/api/v1/zalo/user-status", serve: caresoftUserStatus(o)},
			{name: "caresoft.send_message", method: "POST", path: "{domain}/api/v1/zalo/send-message", send: true, serve: caresoftSendMessage},
		},
		accountOf: func(r *request) string { return r.vars["domain"] },
		noAccount: "Domain incorrect",
		refuse:    caresoftError,
		throttled: caresoftThrottled,
		perSecond: 15,
		perHour:   54_000,
		lockAfter: 20,
		lockFor:   15 * time.Minute,
	}
}

func caresoftError(status int, text string) answer {
	a := jsonAnswer(status, struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"errors", text})
	a.reason = text
	return a
}

// caresoftThrottled has the words of the rate limit page: 429, and after more
// than 20 of them in a row a 404 that means wait.
func caresoftThrottled(streak int) answer {
	if streak > 20 {
		return caresoftError(http.StatusNotFound, "Domain incorrect too many times , retry after 15 minutes ")
	}
	return caresoftError(http.StatusTooManyRequests, "Too Many Attempts.")
}

// caresoftDoor checks what both operations demand of a request.
func caresoftDoor(r *request) (answer, bool) {
	switch {
	case !r.bearer():
		return caresoftError(http.StatusUnauthorized, "Unauthorized"), false
	case !isJSON(r.Header.Get("Content-Type")):
		return caresoftError(http.StatusUnsupportedMediaType, "Content-Type must be application/json"), false
	case len(r.query) != 0:
		return caresoftError(http.StatusOK, "query parameters are not known"), false
	}
	return answer{}, true
}

// A caresoftMessage is the object "zalo" of send-message.
type caresoftMessage struct{ oa, to, content string }

func caresoftSendMessage(r *request) answer {
	if refusal, ok := caresoftDoor(r); !ok {
		return refusal
	}
	m, err := parseCaresoftMessage(r.body)
	r.recipient, r.content = m.to, m.content
	if err == nil && !slices.Contains(r.state.OAs, m.oa) {
		err = errors.New("oa_id is not connected to this domain")
	}
	if err != nil {
		return caresoftError(http.StatusOK, err.Error())
	}
	return accepted(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"ok", "Tạo thành công!"})
}

// parseCaresoftMessage holds the send-message table of S4. What could be read
// is returned with the error, too.
func parseCaresoftMessage(body []byte) (m caresoftMessage, err error) {
	outer, err := parseObject(body, "zalo")
	if err != nil {
		return m, fmt.Errorf("body %w", err)
	}
	if !outer.has("zalo") {
		return m, errors.New("zalo is missing")
	}
	o, err := parseObject(outer["zalo"], "phone_no", "user_id", "oa_id", "script_id", "message", "template_params")
	if err != nil {
		return m, fmt.Errorf("zalo %w", err)
	}
	switch {
	case o.has("phone_no") && o.has("user_id"):
		return m, errors.New("user_id must be left out when phone_no is given")
	case o.has("phone_no"):
		m.to, err = o.phone("phone_no")
	case o.has("user_id"):
		m.to, err = o.id("user_id")
	default:
		return m, errors.New("phone_no or user_id is required")
	}
	if err != nil {
		return m, err
	}
	if !o.has("oa_id") {
		return m, errors.New("oa_id is required")
	}
	if m.oa, err = o.id("oa_id"); err != nil {
		return m, err
	}
	m.content, err = caresoftContent(o)
	return m, err
}

func caresoftContent(o object) (string, error) {
	switch {
	case o.has("script_id") && o.has("message"):
		return "", errors.New("message must be left out when script_id is given")
	case o.has("script_id"):
		id, err := o.integer("script_id")
		if err != nil || id < 1 {
			return "", errors.New("script_id must be a positive integer")
		}
		content := fmt.Sprintf("script %d %s", id, o["template_params"])
		if o.has("template_params") {
			params, err := parseObject(o["template_params"])
			if err != nil {
				return content, fmt.Errorf("template_params %w", err)
			}
			for name := range params {
				if _, err := params.text(name); err != nil {
					return content, fmt.Errorf("template_params.%w", err)
				}
			}
		}
		return content, nil
	case o.has("template_params"):
		return "", errors.New("template_params needs a script_id")
	case o.has("message"):
		text, err := o.text("message")
		switch n := utf8.RuneCountInString(text); {
		case err != nil:
			return "", err
		case n == 0:
			return "", errors.New("message is empty")
		case n > 1000:
			return text, fmt.Errorf("message has %d characters, more than 1000", n)
		}
		return "text " + text, nil
	}
	return "", errors.New("script_id or message is required")
}

// A caresoftStatus is user-status's data, in the order of the example.
type caresoftStatus struct {
	UserID           string  `json:"user_id"`
	Username         string  `json:"username"`
	ZaloPSID         *string `json:"zalo_psid"`
	Following        any     `json:"following_status"`
	LastActivity     *string `json:"last_user_activity_time"`
	CanConsult       any     `json:"can_send_consultation_message"`
	ConsultExpires   *string `json:"consultation_message_expired_time"`
	ConsultRemaining *int    `json:"consultation_message_free_remain"`
	CanTransact      bool    `json:"can_send_transaction_message"`
	CanPromote       bool    `json:"can_send_promotion_message"`
	CanCallPhone     bool    `json:"can_call_zcc_by_phone"`
	CanCallZalo      bool    `json:"can_call_zcc_by_zalo_id"`
	CanSendZNS       bool    `json:"can_send_zns"`
}

// caresoftUserStatus answers by the last digit of the phone number: 7 is out of
// the seven days for consultation, 8 does not follow and never wrote, 9 is told
// in 1 and 0 as the table has it, all others are told in true and false as the
// example has it and may be sent everything.
func caresoftUserStatus(opts Options) func(*request) answer {
	return func(r *request) answer {
		if refusal, ok := caresoftDoor(r); !ok {
			return refusal
		}
		o, err := parseObject(r.body, "phone_no", "oa_id")
		if err != nil {
			return caresoftError(http.StatusOK, "body "+err.Error())
		}
		if !o.has("phone_no") {
			return caresoftError(http.StatusOK, "phone_no is required")
		}
		number, err := o.phone("phone_no")
		if err != nil {
			return caresoftError(http.StatusOK, err.Error())
		}
		r.recipient = number
		if o.has("oa_id") {
			oa, err := o.text("oa_id")
			if err != nil {
				return caresoftError(http.StatusOK, err.Error())
			}
			if !slices.Contains(r.state.OAs, oa) {
				return caresoftError(http.StatusOK, "oa_id is not connected to this domain")
			}
		}
		return accepted(struct {
			Code string         `json:"code"`
			Data caresoftStatus `json:"data"`
		}{"ok", caresoftStatusOf(opts, number, r.at)})
	}
}

func caresoftStatusOf(o Options, number string, now time.Time) caresoftStatus {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", o.Seed, number)
	n := h.Sum64()
	vietnam := time.FixedZone("", 7*60*60) // the document gives no zone
	text := func(t time.Time) *string { return new(t.In(vietnam).Format(time.DateTime)) }

	active := now.Truncate(time.Hour).Add(-time.Duration(n%100) * time.Hour)
	st := caresoftStatus{
		UserID:           fmt.Sprint(1e8 + n%9e8),
		Username:         fmt.Sprintf("Khách hàng %d", n%1000),
		ZaloPSID:         new(fmt.Sprint(n | 1<<62)),
		Following:        true,
		LastActivity:     text(active),
		CanConsult:       true,
		ConsultExpires:   text(active.AddDate(0, 0, 7)),
		ConsultRemaining: new(int(n % 11)),
		CanTransact:      true,
		CanPromote:       true,
		CanCallZalo:      true,
		CanSendZNS:       true,
	}
	switch number[len(number)-1] {
	case '7':
		active = active.AddDate(0, 0, -30)
		st.LastActivity, st.ConsultExpires = text(active), nil
		st.CanConsult, st.ConsultRemaining = false, new(0)
	case '8':
		st.ZaloPSID, st.Following, st.LastActivity, st.CanConsult, st.ConsultExpires, st.ConsultRemaining = nil, nil, nil, nil, nil, nil
		st.CanTransact, st.CanPromote, st.CanCallZalo = false, false, false
	case '9':
		st.Following, st.CanConsult = 1, 1
	}
	return st
}
