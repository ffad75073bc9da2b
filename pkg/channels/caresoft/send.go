package caresoft

import (
	"encoding/json"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// sendBody is the body of C2.
type sendBody struct {
	Zalo zaloMessage `json:"zalo"`
}

// The types of a zaloMessage are those of the document's examples, not of its
// table (T-35): ids are text, the script is a number and its parameters are an
// object.
type zaloMessage struct {
	PhoneNo        string            `json:"phone_no,omitempty"`
	UserID         string            `json:"user_id,omitempty"`
	OAID           string            `json:"oa_id"`
	ScriptID       json.Number       `json:"script_id,omitempty"`
	TemplateParams map[string]string `json:"template_params,omitempty"`
	Message        string            `json:"message,omitempty"`
}

// sendCall is C2. It is never repeatable: no key tells CareSoft that a message
// is the same one.
func sendCall(a *channels.Account, r *events.Request) (*channels.Call, error) {
	s := r.Send
	m := zaloMessage{OAID: senderOA(a, s.Sender.ID)}
	switch s.Recipient.Kind {
	case events.ByPhone:
		m.PhoneNo = s.Recipient.Value
	case events.ByContactID:
		m.UserID = s.Recipient.Value
	}
	switch s.Content.Kind {
	case events.ContentTemplate:
		id := s.Content.TemplateRef
		if len(id) > 18 || strings.Trim(id, "0123456789") != "" || strings.HasPrefix(id, "0") {
			return nil, channels.Refuse(r, "content.template_ref", "must be the number of a CareSoft script, at most 18 digits")
		}
		m.ScriptID, m.TemplateParams = json.Number(id), s.Content.Params
	case events.ContentText:
		m.Message = s.Content.Text
	}
	body, err := channels.EncodeJSON(&sendBody{m}) // the text as it is (T-42)
	if err != nil {
		return nil, err
	}
	return call(a, "caresoft.send_message", "/api/v1/zalo/send-message", body), nil
}
