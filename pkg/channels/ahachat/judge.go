package ahachat

import (
	"encoding/json"
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
	case v.Class == channels.Throttled || v.Class == channels.Auth || v.ProviderFault:
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
	graphCode  = regexp.MustCompile(`\(#(\d+)\)`)
	windowText = regexp.MustCompile(`24[ -]?(h\b|hour|giờ)|message[ _]tag|outside (of )?(the )?allowed window`)
)

// refusal judges a no by its words, or as other where they say nothing.
func refusal(said words, other channels.Verdict) channels.Verdict {
	v := channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused,
		Detail: "AhaChat refused the message in words that have no code"}
	code := ""
	if m := graphCode.FindStringSubmatch(said.text); m != nil {
		code = m[1]
	}
	lower := strings.ToLower(said.text)
	switch {
	case code == "10" || code == "100" || windowText.MatchString(lower):
		v.Reason, v.Detail = channels.ReasonWindow, "the recipient can be sent nothing of this kind now: 24 hours have passed, or Meta refuses the tag"
	case code == "551":
		v.Reason, v.Detail = channels.ReasonUnreachable, "the recipient cannot be reached"
	case strings.Contains(lower, "token"):
		v.Class, v.Reason, v.Detail = channels.Auth, channels.ReasonUnauthorized, "AhaChat refused the bot's token"
	case other.Class == channels.Permanent:
		return other
	}
	return v
}

// words are what an answer says, as far as it can be read.
type words struct {
	no         bool   // success is there, and false
	text, code string // of result, message or error
}

// read reads an answer's body. Only texts in their places count: a web page
// speaks of tokens too.
func read(body []byte) (w words, isObject bool) {
	var fields map[string]json.RawMessage
	if channels.DecodeJSON(body, &fields) != nil || fields == nil {
		return words{}, false
	}
	switch strings.ToLower(strings.Trim(string(fields["success"]), `"`)) {
	case "false", "0":
		w.no = true
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
