package ahachat

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Judge follows providers.md §3e, AhaChat. The answer's shape is a guess: that
// of Chatfuel, whose API this one copies name for name, is {"success": bool,
// "result": text}.
func (provider) Judge(_ *channels.Account, _ *events.Request, _ channels.Step, ans *channels.Answer) channels.Verdict {
	if v, decided := channels.JudgeTransport(false, ans); decided {
		return v
	}
	said, isObject := read(ans.Body)
	v := channels.JudgeStatus(false, ans)
	switch {
	case v.Class == channels.Throttled || v.ProviderFault || ans.Status == http.StatusUnauthorized:
	case v.Class == channels.Auth: // a 403 may be about the recipient, and must not stop the others
		if about, ok := aboutRecipient(said); ok {
			v = about
		}
	case said.no || v.Class == channels.Permanent && ans.Status >= 400:
		v = refusal(said, v)
	case v.Class != channels.OK:
	case !isObject:
		v = channels.Verdict{Class: channels.Ambiguous, Reason: channels.ReasonUnexpectedAnswer,
			Detail: "the answer is not a JSON object, so it may come from a log-in page and not from the bot"}
	default:
		v.Evidence = events.Weak
	}
	v.ProviderCode, v.ProviderText = said.code, said.text
	return v
}

var (
	graphCode = regexp.MustCompile(`\(#(\d+)\)`)
	// ahachat_message_tag is a parameter's name, and not Meta's word.
	windowText = regexp.MustCompile(`24[ -]?(h\b|hour|giờ)|\bmessage[ _]tag|outside (of )?(the )?allowed window`)
)

// aboutRecipient judges a no that concerns one recipient by its words, and
// reports whether it does.
func aboutRecipient(said words) (channels.Verdict, bool) {
	code := ""
	if m := graphCode.FindStringSubmatch(said.text); m != nil {
		code = m[1]
	}
	v := channels.Verdict{Class: channels.Permanent}
	switch {
	case code == "10" || code == "100" || windowText.MatchString(strings.ToLower(said.text)):
		v.Reason, v.Detail = channels.ReasonWindow, "the recipient can be sent nothing of this kind now: 24 hours have passed, or Meta refuses the tag"
	case code == "551":
		v.Reason, v.Detail = channels.ReasonUnreachable, "the recipient cannot be reached"
	}
	return v, v.Reason != ""
}

// refusal judges a no by its words, or as other where they say nothing.
func refusal(said words, other channels.Verdict) channels.Verdict {
	if v, ok := aboutRecipient(said); ok {
		return v
	}
	switch {
	case strings.Contains(strings.ToLower(said.text), "token"):
		return channels.Verdict{Class: channels.Auth, Reason: channels.ReasonUnauthorized, Detail: "AhaChat refused the bot's token"}
	case other.Class == channels.Permanent:
		return other
	}
	return channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused,
		Detail: "AhaChat refused the message in words that have no code"}
}

// words are what an answer says, as far as it can be read.
type words struct {
	no         bool   // success is false, or there is an error and no success
	text, code string // of result, message or error
}

// read reads an answer's body. Only texts in their places count: a web page
// speaks of tokens too.
func read(body []byte) (w words, isObject bool) {
	var fields map[string]json.RawMessage
	if channels.DecodeJSON(body, &fields) != nil || fields == nil {
		return words{}, false
	}
	switch plain(fields["success"]) {
	case "true", "1", "yes":
	case "false", "0", "no":
		w.no = true
	default:
		w.no = !empty(fields["error"]) || plain(fields["status"]) == "error"
	}
	for _, name := range []string{"result", "message", "error"} {
		t, c := text(fields[name])
		if t != "" && w.text == "" {
			w.text = t
		}
		if c != "" && w.code == "" {
			w.code = c
		}
	}
	return w, true
}

// plain returns a text, number or boolean in lower case and without its quotes.
func plain(raw json.RawMessage) string { return strings.ToLower(strings.Trim(string(raw), `"`)) }

// empty reports whether raw says that there is nothing: null, false, "", 0, {}
// or [].
func empty(raw json.RawMessage) bool {
	var v any
	_ = json.Unmarshal(raw, &v) // it is JSON, or not there at all
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == nil || v == false || v == "" || v == 0.0
}

// text reads a string, or the message and code of an object such as Meta's
// error.
func text(raw json.RawMessage) (message, code string) {
	if len(raw) == 0 || json.Unmarshal(raw, &message) == nil {
		return message, ""
	}
	var object struct {
		Message string      `json:"message"`
		Code    json.Number `json:"code"`
	}
	if json.Unmarshal(raw, &object) != nil {
		return "", ""
	}
	return object.Message, string(object.Code)
}

// Parse has nothing to read: the answers to sends hold nothing but their
// verdict.
func (provider) Parse(*channels.Account, *events.Request, channels.Step, *channels.Answer) (*channels.Harvest, error) {
	return &channels.Harvest{}, nil
}
