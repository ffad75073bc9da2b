package channels

import (
	"testing"
)

// The table of providers.md §3e, Transport.
func TestJudgeTransport(t *testing.T) {
	for _, tt := range []struct {
		failure     Failure
		written     bool
		status      int
		read, send  Class
		fault, open bool // open: the status decides
	}{
		{failure: "", open: true},
		{failure: FailDNS, read: Retry, send: Retry, fault: true},
		{failure: FailConnect, read: Retry, send: Retry, fault: true},
		{failure: FailTLS, read: Retry, send: Retry, fault: true},
		{failure: FailCertificate, read: Permanent, send: Permanent, fault: true},
		{failure: FailCall, read: Permanent, send: Permanent},
		{failure: FailTimeout, read: Retry, send: Retry, fault: true},
		{failure: FailTimeout, written: true, read: Retry, send: Ambiguous, fault: true},
		{failure: FailTimeout, written: true, status: 200, read: Retry, send: Ambiguous, fault: true},
		{failure: FailTimeout, written: true, status: 403, open: true},
		{failure: FailReset, read: Retry, send: Retry, fault: true},
		{failure: FailReset, written: true, read: Retry, send: Ambiguous, fault: true},
		{failure: FailCancelled, read: Retry, send: Retry},
		{failure: FailCancelled, written: true, read: Retry, send: Ambiguous},
		{failure: FailCutOff, written: true, status: 200, read: Retry, send: Ambiguous, fault: true},
		{failure: FailCutOff, written: true, status: 429, open: true},
		{failure: FailMalformed, written: true, read: Retry, send: Ambiguous, fault: true},
		{failure: FailMalformed, written: true, status: 201, read: Retry, send: Ambiguous, fault: true},
		{failure: FailMalformed, written: true, status: 302, open: true},
		{failure: FailTooLarge, written: true, status: 200, read: Permanent, send: Ambiguous},
		{failure: FailTooLarge, written: true, status: 500, open: true},
		{failure: "unheard_of", written: true, read: Retry, send: Ambiguous, fault: true},
	} {
		ans := &Answer{Failure: tt.failure, Written: tt.written, Status: tt.status, Detail: "why"}
		for repeatable, want := range map[bool]Class{true: tt.read, false: tt.send} {
			v, decided := JudgeTransport(repeatable, ans)
			if decided == tt.open || v.Class != want {
				t.Errorf("%q written %t status %d repeatable %t: %s, decided %t", tt.failure, tt.written, tt.status, repeatable, v.Class, decided)
			}
			if decided && (v.Reason != string(tt.failure) || v.Detail != "why" || v.ProviderFault != tt.fault) {
				t.Errorf("%q: %+v", tt.failure, v)
			}
		}
	}
}

func TestJudgeStatus(t *testing.T) {
	type want struct {
		read, send Class
		reason     string
		fault      bool
	}
	unsure := func(reason string) want { return want{Retry, Ambiguous, reason, true} }
	both := func(c Class, reason string) want { return want{c, c, reason, false} }
	for status := -1; status <= 1000; status++ {
		var w want
		switch {
		case status < 200 || status > 599:
			w = unsure("unexpected_status")
		case status < 300:
			w = both(OK, "")
		case status < 400:
			w = both(Permanent, "redirect")
		case status == 401:
			w = both(Auth, "unauthorized")
		case status == 403:
			w = both(Auth, "forbidden")
		case status == 404 || status == 410:
			w = both(Permanent, "not_found")
		case status == 407:
			w = both(Retry, "proxy_refused")
		case status == 408:
			w = unsure("http_timeout")
		case status == 425:
			w = both(Retry, "too_early")
		case status == 429:
			w = both(Throttled, "rate_limited")
		case status < 500:
			w = both(Permanent, "request_refused")
		case status == 503:
			w = unsure("unavailable")
		default:
			w = unsure("server_error")
		}
		for repeatable, class := range map[bool]Class{true: w.read, false: w.send} {
			v := JudgeStatus(repeatable, &Answer{Status: status})
			if v.Class != class || v.Reason != w.reason || v.ProviderFault != w.fault || (v.Detail == "") != (class == OK) {
				t.Errorf("%d repeatable %t: %+v, want %s %+v", status, repeatable, v, class, w)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const started = 1_795_219_200_000 // 2026-11-21T00:00:00Z
	const day = 24 * 3600 * 1000
	for _, tt := range []struct {
		header, date string
		ms           int64
		told         bool
	}{
		{"", "", 0, false},
		{"120", "", 120_000, true},
		{" 0 ", "", 0, true},
		{"86401", "", day, true},
		{"99999999999999999999999", "", day, true},
		{"-5", "", 0, false},
		{"1.5", "", 0, false},
		{"soon", "", 0, false},
		// The clocks of both sides differ by a year; only the provider's counts.
		{"Fri, 21 Nov 2025 00:01:30 GMT", "Fri, 21 Nov 2025 00:01:00 GMT", 30_000, true},
		{"Friday, 21-Nov-25 00:01:30 GMT", "Fri, 21 Nov 2025 00:01:00 GMT", 30_000, true},
		{"Fri, 21 Nov 2025 00:00:00 GMT", "Fri, 21 Nov 2025 00:01:00 GMT", 0, true},
		// Without a Date it counts from the end of the call.
		{"Sat, 21 Nov 2026 00:01:00 GMT", "", 58_000, true},
		{"Sat, 21 Nov 2026 00:01:00 GMT", "no date", 58_000, true},
		{"Sun, 21 Nov 2027 00:01:00 GMT", "", day, true},
	} {
		ans := &Answer{Header: map[string]string{"retry-after": tt.header, "date": tt.date}, StartedMS: started, TookUS: 2_000_000}
		if ms, told := RetryAfter(ans); ms != tt.ms || told != tt.told {
			t.Errorf("%q with date %q: %d %t, want %d %t", tt.header, tt.date, ms, told, tt.ms, tt.told)
		}
	}
	for status, class := range map[int]Class{429: Throttled, 503: Retry} {
		v := JudgeStatus(false, &Answer{Status: status, Header: map[string]string{"retry-after": "30"}})
		if v.Class != class || v.Cooldown != 30_000 {
			t.Errorf("%d with Retry-After: %+v", status, v)
		}
	}
}
