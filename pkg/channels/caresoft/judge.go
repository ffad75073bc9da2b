package caresoft

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	// throttleRest is the least silence after a 429: more than 20 in a row
	// shut the domain out (rate limit page, providers.md §2.5). Where less is told
	// it doubles for each in a row, or that would come to 20 as well.
	throttleRest = time.Minute
	// lockoutRest is the silence after being shut out, where none is told.
	lockoutRest = 15 * time.Minute
)

func (provider) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	if r.Send == nil || checksNow(r, s) {
		v := judge(true, ans)
		if v.Class == channels.OK {
			return judgeStatus(r, ans, v)
		}
		// A look-up that failed says nothing about the person it was for, so
		// it never ends a request at once (§3e: "any failure on C1").
		if v.Class == channels.Permanent && v.Reason != string(channels.FailCall) {
			v.Class = channels.Retry
		}
		return v
	}
	v := judge(false, ans)
	if v.Class == channels.OK {
		v.Evidence = events.Strong // for "created", which is all that CareSoft ever says
	}
	return v
}

// judgeStatus judges a good answer to C1, which refuses a send whose kind it
// says cannot be sent.
func judgeStatus(r *events.Request, ans *channels.Answer, v channels.Verdict) channels.Verdict {
	u, _, err := readStatus(ans.Body)
	switch {
	case err != nil:
		v.Class, v.Reason, v.Detail = channels.Retry, channels.ReasonUnexpectedAnswer, err.Error()
	case r.Send == nil:
	case u.can(r.Send.Policy.ExpectKind) == no:
		v.Class, v.Reason = channels.Permanent, channels.ReasonPrecheckRefused
		v.Detail = "CareSoft says that the recipient cannot be sent a " + r.Send.Policy.ExpectKind + " message now"
	default:
		v.Next = stepSend
	}
	return v
}

// answer is what C1 and C2 have in common. code is "ok" or "errors".
type answer struct {
	Code    text `json:"code"`
	Message text `json:"message"`
}

func judge(repeatable bool, ans *channels.Answer) channels.Verdict {
	if v, decided := channels.JudgeTransport(repeatable, ans); decided {
		return v
	}
	var got answer
	shape := channels.DecodeJSON(ans.Body, &got)
	v, decided := judgeThrottle(ans, got)
	if !decided {
		v, decided = judgeBody(ans.Status, got)
	}
	if !decided {
		v = channels.JudgeStatus(repeatable, ans)
	}
	if v.Class == channels.OK && (shape != nil || got.Code != "ok") {
		v = unexpected(repeatable, shape)
	}
	v.ProviderCode, v.ProviderText = string(got.Code), string(got.Message)
	return v
}

// unexpected judges a 2xx that says neither ok nor errors.
func unexpected(repeatable bool, shape error) channels.Verdict {
	v := channels.Verdict{Class: channels.Ambiguous, Reason: channels.ReasonUnexpectedAnswer,
		Detail: `the answer's code is neither "ok" nor "errors"`}
	if repeatable {
		v.Class = channels.Retry
	}
	if shape != nil {
		v.Detail = shape.Error()
	}
	return v
}

var (
	lockedOut      = regexp.MustCompile(`(?i)retry after|too many times`)
	retryAfterText = regexp.MustCompile(`(?i)retry after\s*(\d{1,5})\s*([sh])?`)
)

// judgeThrottle finds the signs of too many calls. CareSoft gives two: a 429,
// and, to those who go on, a 404 with the text for a wrong domain, which tells
// itself apart by "retry after" or "too many times". A yes is none of them,
// whatever its words are: what it says yes to would be sent again.
func judgeThrottle(ans *channels.Answer, got answer) (channels.Verdict, bool) {
	told, _ := channels.RetryAfter(ans)
	accepted := got.Code == "ok" && ans.Status >= 200 && ans.Status <= 299
	if rest, out := shutOut(ans, got); out {
		return channels.Verdict{Class: channels.Throttled, Reason: channels.ReasonLockedOut,
			Detail:   "the domain is shut out after too many calls",
			Cooldown: max(told, rest.Milliseconds())}, true
	}
	if ans.Status == http.StatusTooManyRequests || !accepted && says(string(got.Message), "too many attempts") {
		return channels.Verdict{Class: channels.Throttled, Reason: channels.ReasonRateLimited,
			Detail:   "the domain was called too often",
			Cooldown: max(told, throttleRest.Milliseconds()), Untold: told < throttleRest.Milliseconds()}, true
	}
	return channels.Verdict{}, false
}

// says reports whether words are in a message, in capitals or not.
func says(message, words string) bool { return strings.Contains(strings.ToLower(message), words) }

// shutOut reads "retry after 15 minutes", or 900s, in the message, where escapes
// are undone, or wherever else it stands.
func shutOut(ans *channels.Answer, got answer) (time.Duration, bool) {
	if ans.Status != http.StatusNotFound {
		return 0, false
	}
	words := string(got.Message) + "\n" + string(ans.Body)
	if !lockedOut.MatchString(words) {
		return 0, false
	}
	m := retryAfterText.FindStringSubmatch(words)
	if m == nil {
		return lockoutRest, true
	}
	n, _ := strconv.Atoi(m[1]) // five digits at most
	if n == 0 {                // which tells nothing: the domain is shut out
		return lockoutRest, true
	}
	unit := time.Minute
	switch strings.ToLower(m[2]) {
	case "s":
		unit = time.Second
	case "h":
		unit = time.Hour
	}
	return min(time.Duration(n)*unit, 24*time.Hour), true
}

// judgeBody judges code "errors". What came with a 5xx or a 408 may have been
// carried out all the same, and 401 and 403 are about the token.
func judgeBody(status int, got answer) (channels.Verdict, bool) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout:
		return channels.Verdict{}, false
	}
	if got.Code != "errors" || status < 200 || status > 499 || status/100 == 3 {
		return channels.Verdict{}, false
	}
	v := channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused,
		Detail: "CareSoft refused the request in words that have no code"}
	switch zalo := zaloCode.FindStringSubmatch(string(got.Message)); {
	case zalo != nil:
		v.Class, v.Reason = zaloCodes[zalo[1]].class, zaloCodes[zalo[1]].reason
		v.Detail = "Zalo refused the message with code " + zalo[1]
	case status == http.StatusNotFound:
		v.Reason, v.Detail = channels.ReasonNotFound, "CareSoft does not know the domain or the path"
	case says(string(got.Message), "quota"):
		v.Reason, v.Detail = channels.ReasonQuota, "the account's quota of messages is used up"
	}
	return v, true
}

// zaloCode finds a code of Zalo where a message has a code: at its start, in
// brackets, behind a colon or equals sign, or behind "error", "code" or "lỗi". A
// number anywhere else may be a length, and -32 would have the call repeated.
var zaloCode = regexp.MustCompile(`(?i)(?:^|[(\[:=]|error|code|lỗi)[\s"']*(-(?:32|213|216|217|227|230|232|234|244))(?:\D|$)`)

// zaloCodes are the codes of Zalo itself, should CareSoft ever pass one on
// (providers.md §3e).
var zaloCodes = map[string]struct {
	class  channels.Class
	reason string
}{
	"-32":  {channels.Throttled, channels.ReasonRateLimited},
	"-213": {channels.Permanent, channels.ReasonUnreachable}, // does not follow
	"-216": {channels.Auth, channels.ReasonUnauthorized},
	"-217": {channels.Permanent, channels.ReasonUnreachable}, // refuses invitations
	"-227": {channels.Permanent, channels.ReasonUnreachable}, // locked or idle for 45 days
	"-230": {channels.Permanent, channels.ReasonWindow},      // no interaction in 7 days
	"-232": {channels.Permanent, channels.ReasonWindow},      // interaction expired
	"-234": {channels.Permanent, channels.ReasonWindow},      // night, 22:00 to 06:00
	"-244": {channels.Permanent, channels.ReasonUnreachable}, // refuses this kind
}
