package caresoft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// statusCall is C1. It reads, whatever its method.
func statusCall(a *channels.Account, phone, oa string) (*channels.Call, error) {
	body, err := channels.EncodeJSON(struct {
		PhoneNo string `json:"phone_no"`
		OAID    string `json:"oa_id,omitempty"`
	}{phone, senderOA(a, oa)})
	if err != nil {
		return nil, err
	}
	c := call(a, "caresoft.user_status", "/api/v1/zalo/user-status", body)
	c.Repeatable = true
	return c, nil
}

// precheckCall is C1 as the first step of a send.
func precheckCall(a *channels.Account, r *events.Request) (*channels.Call, error) {
	if r.Send.Recipient.Kind != events.ByPhone {
		return nil, channels.Refuse(r, "policy.precheck", "is possible for a recipient by phone only: CareSoft's user-status knows no other")
	}
	c, err := statusCall(a, r.Send.Recipient.Value, r.Send.Sender.ID)
	if err == nil && r.Send.Policy.ExpectKind == "" {
		c.Warnings = []string{"policy.precheck refuses nothing without policy.expect_kind"}
	}
	return c, err
}

// userStatus is the data of C1's answer. Every field may be missing or null.
type userStatus struct {
	UserID       text `json:"user_id"`
	UserName     text `json:"username"`
	ZaloID       text `json:"zalo_psid"`
	Following    flag `json:"following_status"`
	LastActivity text `json:"last_user_activity_time"`
	Consultation flag `json:"can_send_consultation_message"`
	Until        text `json:"consultation_message_expired_time"`
	Left         text `json:"consultation_message_free_remain"`
	Transaction  flag `json:"can_send_transaction_message"`
	Promotion    flag `json:"can_send_promotion_message"`
	CallByPhone  flag `json:"can_call_zcc_by_phone"`
	CallByZalo   flag `json:"can_call_zcc_by_zalo_id"`
	ZNS          flag `json:"can_send_zns"`
}

// can returns the capability that policy.expect_kind names.
func (u *userStatus) can(kind string) flag {
	switch kind {
	case "consultation":
		return u.Consultation
	case "transaction":
		return u.Transaction
	case "promotion":
		return u.Promotion
	}
	return unknown
}

// readStatus reads the data of C1's answer, and it as it stood.
func readStatus(body []byte) (*userStatus, json.RawMessage, error) {
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := channels.DecodeJSON(body, &answer); err != nil {
		return nil, nil, err
	}
	if !strings.HasPrefix(string(answer.Data), "{") {
		return nil, nil, errors.New("the answer has no data object")
	}
	u := new(userStatus)
	if err := channels.DecodeJSON(answer.Data, u); err != nil {
		return nil, nil, err
	}
	return u, answer.Data, nil
}

func (provider) Parse(a *channels.Account, r *events.Request, _ channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	if r.Report == nil { // a send's answers hold nothing but their verdict
		return &channels.Harvest{}, nil
	}
	u, object, err := readStatus(ans.Body)
	if err != nil {
		return nil, fmt.Errorf("read user status: %w", err)
	}
	id := r.Report.Recipient.Value // what was asked: the answer may name nobody
	if oa := senderOA(a, r.Report.Sender.ID); oa != "" {
		id = oa + "/" + id
	}
	return &channels.Harvest{Records: []events.Record{{
		Key:    channels.RecordKey(name, a.Name, "capability", id),
		Report: UserStatus,
		Kind:   "capability",
		ID:     id,
		Attrs:  u.attrs(a),
		Object: string(object),
		Path:   "/data",
	}}}, nil
}

// attrs names the parts as providers.md §3c does. What the answer does not
// know is left out, but a capability that it does not know is "unknown".
func (u *userStatus) attrs(a *channels.Account) map[string]string {
	attrs := map[string]string{
		"can_consultation":  u.Consultation.String(),
		"can_transaction":   u.Transaction.String(),
		"can_promotion":     u.Promotion.String(),
		"can_zns":           u.ZNS.String(),
		"can_call_by_phone": u.CallByPhone.String(),
		"can_call_by_zalo":  u.CallByZalo.String(),
		"following":         u.Following.String(),
	}
	for name, value := range map[string]text{
		"contact_id": u.UserID, "zalo_id": u.ZaloID, "name": u.UserName, "consultation_left": u.Left,
	} {
		if value != "" {
			attrs[name] = string(value)
		}
	}
	zone, source := a.Setting(settingZone, defaultZone), events.Configured
	if a.Setting(settingZone, "") == "" {
		source = events.Guessed
	}
	loc, err := channels.Zone(zone)
	if err != nil {
		return attrs
	}
	for name, value := range map[string]text{"last_activity_at_ms": u.LastActivity, "consultation_until_ms": u.Until} {
		if t, err := time.ParseInLocation(time.DateTime, string(value), loc); err == nil {
			attrs[name] = strconv.FormatInt(t.UnixMilli(), 10)
			attrs["zone"], attrs["zone_source"] = zone, string(source)
		}
	}
	return attrs
}

// A flag is yes, no or unknown. The table says 1, 0 or null, the example shows
// true and false (T-36).
type flag int

const (
	unknown flag = iota
	yes
	no
)

func (f flag) String() string { return [...]string{"unknown", "true", "false"}[f] }

// UnmarshalJSON never fails: what is neither yes nor no is not known.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true", "1":
		*f = yes
	case "false", "0":
		*f = no
	default:
		*f = unknown
	}
	return nil
}

// A text is a string or a number, kept as it stands; null and anything else
// are "".
type text string

// UnmarshalJSON never fails, for one odd field must not cost the others.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case len(b) > 1 && b[0] == '"' && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b): // most are, and need no decoder
		*t = text(b[1 : len(b)-1])
	case len(b) > 0 && b[0] == '"' && json.Unmarshal(b, &s) == nil:
		*t = text(s)
	case len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
		*t = text(b)
	default:
		*t = ""
	}
	return nil
}
