package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A yes is the answer by which an account's receiver accepts a message. The
// zero yes is none at all.
type yes struct {
	statuses   [][2]int // from, to
	any        bool     // the status is all that counts
	pointer    string   // to the message id, which must be there; "" for none
	repeatable bool
}

var agreed channels.Memo[yes]

func readYes(a *channels.Account) (yes, error) {
	y := yes{pointer: a.Setting(settingID, ""), repeatable: a.Setting(settingRepeat, "") != ""}
	switch a.Setting(settingAnswer, "json") {
	case "json":
	case "any":
		y.any = true
	default:
		return yes{}, errors.New("setting answer must be json or any")
	}
	switch {
	case y.pointer != "" && y.pointer[0] != '/':
		return yes{}, errors.New("setting id_pointer must be a JSON pointer to the message id, such as /data/id")
	case y.pointer != "" && y.any:
		return yes{}, errors.New("setting id_pointer is of no use when answer is any")
	}
	for item := range strings.SplitSeq(a.Setting(settingOK, "200-299"), ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		// Another status than a 2xx has a meaning of its own, which is to be
		// judged as with every provider.
		if err1 != nil || err2 != nil || from < 200 || to < from || to > 299 {
			return yes{}, errors.New("setting ok_status must list statuses from 200 to 299, such as 200-202,204")
		}
		y.statuses = append(y.statuses, [2]int{from, to})
	}
	return y, nil
}

func (provider) Judge(a *channels.Account, _ *events.Request, _ channels.Step, ans *channels.Answer) channels.Verdict {
	y, err := agreed.Of(a, readYes)
	if err != nil { // Contract has refused such an account
		return channels.Verdict{Class: channels.Ambiguous, Reason: channels.ReasonUnexpectedAnswer, Detail: err.Error()}
	}
	if v, decided := channels.JudgeTransport(y.repeatable, ans); decided {
		return v
	}
	v := channels.JudgeStatus(y.repeatable, ans)
	if v.Class == channels.OK {
		v = y.judge(ans)
	}
	if v.Class != channels.OK {
		v.ProviderText = head(ans.Body)
	}
	return v
}

// judge judges a 2xx. One that is not the yes that was agreed on is not taken
// for it, nor for a no.
func (y yes) judge(ans *channels.Answer) channels.Verdict {
	unexpected := func(detail string) channels.Verdict {
		return channels.Verdict{Class: channels.Ambiguous, Reason: channels.ReasonUnexpectedAnswer, Detail: detail}
	}
	if !y.has(ans.Status) {
		return unexpected("the receiver answered " + strconv.Itoa(ans.Status) + " " + http.StatusText(ans.Status) + ", which ok_status does not list")
	}
	if y.any {
		return channels.Verdict{Class: channels.OK, Evidence: events.Weak}
	}
	var body any
	if err := channels.DecodeJSON(ans.Body, &body); err != nil {
		return unexpected(err.Error() + ": if the receiver documents such a yes, set answer to any")
	}
	if y.pointer != "" {
		id := find(body, y.pointer)
		if id == "" {
			return unexpected("the answer has no message id at id_pointer")
		}
		return channels.Verdict{Class: channels.OK, Evidence: events.Strong, MessageID: id}
	}
	if _, ok := body.(map[string]any); !ok {
		return unexpected("the answer is not a JSON object: if the receiver documents such a yes, set answer to any")
	}
	return channels.Verdict{Class: channels.OK, Evidence: events.Weak}
}

func (y yes) has(status int) bool {
	for _, span := range y.statuses {
		if status >= span[0] && status <= span[1] {
			return true
		}
	}
	return false
}

var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

// find returns the text or number that a JSON pointer (RFC 6901) points to, ""
// where there is none.
func find(v any, pointer string) string {
	for part := range strings.SplitSeq(pointer[1:], "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[pointerEscapes.Replace(part)]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(in) {
				return ""
			}
			v = in[i]
		default:
			return ""
		}
	}
	switch id := v.(type) {
	case string:
		return id
	case json.Number:
		return id.String()
	}
	return ""
}

// maxText is how much of an answer is told in events, in bytes. The dead
// letter has all of it.
const maxText = 500

// head returns the beginning of an answer in words nobody knows the place of.
func head(body []byte) string {
	return strings.ToValidUTF8(string(body[:min(len(body), maxText)]), "")
}
