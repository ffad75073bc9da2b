package channels

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// JudgeTransport judges a call that has no usable HTTP answer. It reports
// false where the answer's status decides, and the body, as far as it came.
//
// What may have arrived is ambiguous unless doing it twice is doing it once.
func JudgeTransport(repeatable bool, ans *Answer) (Verdict, bool) {
	v := Verdict{Reason: string(ans.Failure), Detail: ans.Detail, ProviderFault: true}
	unsure := Ambiguous
	if repeatable {
		unsure = Retry
	}
	switch ans.Failure {
	case "":
		return Verdict{}, false
	case FailDNS, FailConnect, FailTLS:
		v.Class = Retry
	case FailCertificate:
		v.Class = Permanent
	case FailCall:
		v.Class, v.ProviderFault = Permanent, false
	case FailTooLarge:
		if refused(ans.Status) {
			return Verdict{}, false
		}
		v.Class, v.ProviderFault = unsure, false
		if repeatable { // the next answer would be as large
			v.Class = Permanent
		}
	default:
		if refused(ans.Status) { // however little of the body came, the call was refused
			return Verdict{}, false
		}
		v.Class = unsure
		if !ans.Written && ans.Status == 0 {
			v.Class = Retry
		}
		v.ProviderFault = ans.Failure != FailCancelled
	}
	return v, true
}

// refused reports whether a status that came says no.
func refused(status int) bool { return status >= 300 }

// JudgeStatus judges an answer by its HTTP status alone: what is left when
// neither transport nor body has decided. A 2xx is OK.
func JudgeStatus(repeatable bool, ans *Answer) Verdict {
	if ans.Status >= 200 && ans.Status <= 299 {
		return Verdict{Class: OK}
	}
	v := Verdict{Detail: "the provider answered " + statusText(ans.Status)}
	unsure := Ambiguous
	if repeatable {
		unsure = Retry
	}
	switch s := ans.Status; {
	case s >= 300 && s <= 399:
		v.Class, v.Reason = Permanent, ReasonRedirect
		v.Detail += ", which is not followed: the account's base URL may be wrong"
	case s == http.StatusUnauthorized:
		v.Class, v.Reason = Auth, ReasonUnauthorized
	case s == http.StatusForbidden:
		v.Class, v.Reason = Auth, ReasonForbidden
	case s == http.StatusNotFound, s == http.StatusGone:
		v.Class, v.Reason = Permanent, ReasonNotFound
	case s == http.StatusProxyAuthRequired: // our own proxy: the call went no further
		v.Class, v.Reason = Retry, ReasonProxyRefused
	case s == http.StatusRequestTimeout:
		v.Class, v.Reason, v.ProviderFault = unsure, ReasonHTTPTimeout, true
	case s == http.StatusTooEarly: // by its definition not carried out
		v.Class, v.Reason = Retry, ReasonTooEarly
	case s == http.StatusTooManyRequests:
		v.Class, v.Reason = Throttled, ReasonRateLimited
		v.Cooldown, _ = RetryAfter(ans)
	case s >= 400 && s <= 499:
		v.Class, v.Reason = Permanent, ReasonRequestRefused
	case s == http.StatusServiceUnavailable:
		v.Class, v.Reason, v.ProviderFault = unsure, ReasonUnavailable, true
		if wait, told := RetryAfter(ans); told { // who names a time has not begun
			v.Class, v.Cooldown = Retry, wait
		}
	case s >= 500 && s <= 599:
		v.Class, v.Reason, v.ProviderFault = unsure, ReasonServerError, true
	default:
		v.Class, v.Reason, v.ProviderFault = unsure, ReasonUnexpectedStatus, true
	}
	return v
}

// statusText writes "404 Not Found".
func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// maxRetryAfter bounds how long one answer can silence an account: after it,
// the next call asks again.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns how long the provider asks to wait, in milliseconds from
// the end of the call, and whether it asks at all. A date is taken relative to
// the answer's own Date, so that neither clock needs to be right, or else to
// the end of the call.
func RetryAfter(ans *Answer) (int64, bool) {
	h := strings.TrimSpace(ans.Header["retry-after"])
	if h == "" {
		return 0, false
	}
	if isDigits(h) {
		seconds, err := strconv.ParseInt(h, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter.Milliseconds(), true
		}
		return seconds * 1000, true
	}
	at, err := http.ParseTime(h)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(ans.Header["date"])
	if err != nil {
		now = ans.Started().Add(time.Duration(ans.TookUS) * time.Microsecond)
	}
	return min(max(at.Sub(now), 0), maxRetryAfter).Milliseconds(), true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
