package facebook

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Silences in milliseconds (providers.md §3e).
const (
	throttleRest = 60_000    // after the first throttle that tells none
	blockedRest  = 3_600_000 // at least
)

// Codes of Graph's errors (providers.md §2.3).
const (
	codeUnknown      = 1
	codeService      = 2
	codeCapability   = 3
	codePermission   = 10
	codeParameter    = 100
	codeSession      = 102
	codeToken        = 190
	codeBlocked      = 368
	subcodeNoObject  = 33 // with 100: the page does not exist, or the token cannot see it
	permissionsFrom  = 200
	permissionsUntil = 299
	businessFrom     = 80000 // limits of a business use case: 80001 of pages, 80006 of Messenger
	businessUntil    = 80099
)

// A graphError is the error object that Graph answers with. Throttles and
// refused tokens come with HTTP 400 as well as anything else.
type graphError struct {
	Message   string      `json:"message"`
	Code      json.Number `json:"code"`
	Subcode   json.Number `json:"error_subcode"`
	Transient bool        `json:"is_transient"`
}

// readError returns the error in an answer's body, nil if there is none.
func readError(body []byte) *graphError {
	var a struct {
		Error json.RawMessage `json:"error"`
	}
	if channels.DecodeJSON(body, &a) != nil || len(a.Error) == 0 || isNull(a.Error) {
		return nil
	}
	e := new(graphError)
	if json.Unmarshal(a.Error, e) != nil {
		e.Message = text(a.Error)
	}
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
	}
	return e
}

// maxMessage bounds what is told of an error, in bytes. Graph's are sentences.
const maxMessage = 1000

// code returns the number of the error, 0 if it has none.
func (e *graphError) code() int {
	n, _ := strconv.Atoi(e.Code.String())
	return n
}

func (e *graphError) subcode() int {
	n, _ := strconv.Atoi(e.Subcode.String())
	return n
}

// told is the code as Graph's documents write it, such as 190/460.
func (e *graphError) told() string {
	if e.Subcode != "" {
		return e.Code.String() + "/" + e.Subcode.String()
	}
	return e.Code.String()
}

// throttles reports whether the error says that there were too many calls.
func (e *graphError) throttles() bool {
	switch code := e.code(); code {
	case 4, 17, 32, 341, 613: // of the app, the user, the page, the application, this API
		return true
	default:
		return code >= businessFrom && code <= businessUntil
	}
}

// Judge follows providers.md §3e, Facebook. It only reads, so nothing is
// ambiguous. Whatever decides, how long to wait is what the headers tell.
func (provider) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	if v, decided := channels.JudgeTransport(true, ans); decided {
		return v
	}
	v := judge(a, r, s, ans)
	v.Usage, v.RegainMS = usage(ans)
	retryAfter, _ := channels.RetryAfter(ans)
	told := cmp.Or(v.RegainMS, retryAfter)
	switch v.Reason {
	case channels.ReasonTransient:
		v.Cooldown = retryAfter
	case channels.ReasonLockedOut:
		v.Cooldown = max(told, blockedRest)
	case channels.ReasonRateLimited:
		if v.Cooldown = told; told == 0 {
			v.Cooldown, v.Untold = throttleRest, true
		}
	}
	return v
}

func judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	byStatus := channels.JudgeStatus(true, ans)
	e := readError(ans.Body)
	if byStatus.Class == channels.Throttled || byStatus.Reason == channels.ReasonRedirect {
		return withWords(byStatus, e)
	}
	if byStatus.Class != channels.OK && e == nil && ans.Failure != "" { // what broke off may have been a throttle
		return channels.Verdict{Class: channels.Retry, Reason: string(ans.Failure), Detail: ans.Detail, ProviderFault: true}
	}
	if byStatus.Class != channels.OK && e == nil {
		return byStatus
	}
	q, err := newQuery(a, r)
	if err != nil {
		return badCall(err)
	}
	at, err := q.read(s.Cursor)
	if err != nil {
		return badCall(fmt.Errorf("the cursor %w", err))
	}
	if e != nil {
		return withWords(judgeError(q, at, e, byStatus), e)
	}
	return judgeInsights(q, at, ans)
}

// badCall judges an answer to what cannot have been asked.
func badCall(err error) channels.Verdict {
	return channels.Verdict{Class: channels.Permanent, Reason: string(channels.FailCall), Detail: err.Error()}
}

func withWords(v channels.Verdict, e *graphError) channels.Verdict {
	if e != nil {
		v.ProviderCode, v.ProviderText = e.told(), e.Message
	}
	return v
}

func judgeError(q *query, at position, e *graphError, byStatus channels.Verdict) channels.Verdict {
	switch code := e.code(); {
	case e.throttles():
		return channels.Verdict{Class: channels.Throttled, Reason: channels.ReasonRateLimited,
			Detail: "Facebook answers that there were too many calls"}
	case code == codeBlocked:
		return channels.Verdict{Class: channels.Throttled, Reason: channels.ReasonLockedOut,
			Detail: "Facebook has blocked this use for a while for breaking a policy: somebody should look at the app's dashboard"}
	case e.Transient || code == codeUnknown || code == codeService:
		return channels.Verdict{Class: channels.Retry, Reason: channels.ReasonTransient, ProviderFault: true,
			Detail: "Facebook answers that it is out of order for the moment"}
	case code == codeSession || code == codeToken:
		return channels.Verdict{Class: channels.Auth, Reason: channels.ReasonUnauthorized,
			Detail: "Facebook refused the page access token: it has expired, was taken back, or is not one of a page"}
	case code == codeCapability || code == codePermission || code >= permissionsFrom && code <= permissionsUntil:
		v := channels.Verdict{Class: channels.Auth, Reason: channels.ReasonForbidden,
			Detail: "the page access token lacks a permission: pages_messaging, pages_read_engagement, pages_show_list and read_insights are needed"}
		if q.foreign { // a page that somebody asked for must not stop the account's own
			v.Class, v.Detail = channels.Permanent, "the page access token is not one for this page"
		}
		return v
	case code == codeParameter && e.subcode() == subcodeNoObject:
		return channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonNotFound,
			Detail: "the page does not exist, or the page access token cannot see it"}
	case code == codeParameter:
		return judgeParameter(q, at, e)
	case byStatus.Class != channels.OK:
		return byStatus
	}
	return channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused,
		Detail: "Facebook refused the call with a code that has no meaning here"}
}

// judgeParameter goes on after a refusal that one metric may have caused: all
// are asked for singly, and those that are refused then are left out.
func judgeParameter(q *query, at position, e *graphError) channels.Verdict {
	asked := q.metricsAt(at)
	if len(asked) > 1 {
		return channels.Verdict{Class: channels.OK, Next: q.singly(at)}
	}
	at = q.bury(at)
	if len(at.dead) == len(q.metrics) {
		return channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonRequestRefused,
			Detail: "Facebook takes none of the metrics asked for, or not with this granularity, range or group_by"}
	}
	return channels.Verdict{Class: channels.OK, Next: q.after(at),
		Warnings: []string{fmt.Sprintf("metric %s was left out, Facebook refuses it: %s", asked[0], e.Message)}}
}

// judgeInsights judges a 2xx without an error. One without data is good too:
// there was nothing to count.
func judgeInsights(q *query, at position, ans *channels.Answer) channels.Verdict {
	in, err := readInsights(ans.Body, q.period)
	if err != nil {
		v := channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonUnexpectedAnswer, Detail: err.Error()}
		if !json.Valid(ans.Body) { // broken on its way, or not Graph's at all
			v.Class, v.ProviderFault = channels.Retry, true
		}
		return v
	}
	v := channels.Verdict{Class: channels.OK, Next: q.after(at)}
	if n := len(in.left); n > 0 {
		v.Warnings = []string{fmt.Sprintf("values that cannot be read were left out: %d, the first is %v", n, in.left[0])}
	}
	// The link leads behind the window, unless Graph gave less than was asked for.
	w, ok := q.windowAt(at)
	if next, linked := in.nextDay(q.zone); ok && linked && q.period != total && next > w.since && next < w.until {
		at.skip += int(next - w.since)
		v.Next = at.String()
	}
	return v
}
