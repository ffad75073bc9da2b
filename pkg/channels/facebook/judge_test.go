package facebook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// graph is Graph's answer to a call that failed.
func graph(status, code int, more string) *channels.Answer {
	return &channels.Answer{Status: status, Header: map[string]string{}, Written: true,
		Body: fmt.Appendf(nil, `{"error":{"message":"(#%d) no","type":"OAuthException","code":%d%s}}`, code, code, more)}
}

func one(metrics ...string) *events.Request {
	r := report("day", "", metrics...)
	r.Kind = events.KindReport
	return &r
}

func TestJudgeCodes(t *testing.T) {
	type want struct {
		class    channels.Class
		reason   string
		cooldown int64
		fault    bool
	}
	throttled := want{channels.Throttled, channels.ReasonRateLimited, 60_000, false}
	forbidden := want{channels.Auth, channels.ReasonForbidden, 0, false}
	unauthorized := want{channels.Auth, channels.ReasonUnauthorized, 0, false}
	transient := want{channels.Retry, channels.ReasonTransient, 0, true}
	refused := want{channels.Permanent, channels.ReasonRequestRefused, 0, false}
	wants := map[int]want{
		1: transient, 2: transient, 3: forbidden, 4: throttled, 10: forbidden, 17: throttled, 32: throttled,
		100: refused, 102: unauthorized, 190: unauthorized, 341: throttled, 613: throttled,
		368: {channels.Throttled, channels.ReasonLockedOut, 3_600_000, false},
		506: refused, 1609005: refused, 0: refused, -1: refused, 79_999: refused, 80_100: refused,
	}
	for code := 200; code <= 299; code++ {
		wants[code] = forbidden
	}
	for code := 80_000; code <= 80_099; code++ {
		wants[code] = throttled
	}
	for code := range 1000 {
		if _, ok := wants[code]; !ok {
			wants[code] = refused
		}
	}
	for code, w := range wants {
		v := provider{}.Judge(account(), one(sent), channels.Step{Number: 1}, graph(400, code, ""))
		if got := (want{v.Class, v.Reason, v.Cooldown, v.ProviderFault}); got != w {
			t.Errorf("code %d: got %+v, want %+v", code, got, w)
		}
		if v.ProviderCode != fmt.Sprint(code) || v.ProviderText != fmt.Sprintf("(#%d) no", code) || v.Detail == "" {
			t.Errorf("code %d: told as %q %q %q", code, v.ProviderCode, v.ProviderText, v.Detail)
		}
	}
}

func TestJudgeBodies(t *testing.T) {
	html := func(status int) *channels.Answer {
		return &channels.Answer{Status: status, Header: map[string]string{}, Body: []byte("<html>")}
	}
	answer := func(status int, body string, headers ...string) *channels.Answer {
		a := &channels.Answer{Status: status, Header: map[string]string{}, Body: []byte(body)}
		for i := 0; i < len(headers); i += 2 {
			a.Header[headers[i]] = headers[i+1]
		}
		return a
	}
	business := func(minutes string) string {
		return `{"1045":[{"type":"pages","call_count":7,"total_cputime":100,"total_time":25,"estimated_time_to_regain_access":0},` +
			`{"type":"messenger","call_count":101,"total_cputime":2,"total_time":2,"estimated_time_to_regain_access":` + minutes + `}]}`
	}
	tests := []struct {
		name     string
		ans      *channels.Answer
		class    channels.Class
		reason   string
		code     string
		cooldown int64
		usage    float64
		regain   int64
	}{
		{name: "no data", ans: answer(200, `{"data":[]}`), class: channels.OK},
		{name: "no data, much used", ans: answer(200, `{"data":[]}`, "x-page-usage", `{"call_count":95}`), class: channels.OK, usage: 95},
		{name: "headers that cannot be read", ans: answer(200, `{"data":[]}`, "x-page-usage", `95`, "x-app-usage", `{"call_count":"9"}`,
			"x-business-use-case-usage", `{"1":{}}`), class: channels.OK},
		{name: "nonsense in headers", ans: answer(200, `{"data":[]}`, "x-app-usage", `{"call_count":1e99}`,
			"x-business-use-case-usage", business("1e99")), class: channels.OK, usage: 1000, regain: 86_400_000},
		{name: "below nothing", ans: answer(200, `{"data":[]}`, "x-app-usage", `{"call_count":-5}`,
			"x-business-use-case-usage", `{"1":[{"estimated_time_to_regain_access":-5}]}`), class: channels.OK},
		{name: "page limit, with a time", ans: answer(400, `{"error":{"code":32,"message":"x"}}`, "x-business-use-case-usage", business("12")),
			class: channels.Throttled, reason: channels.ReasonRateLimited, code: "32", cooldown: 720_000, usage: 101, regain: 720_000},
		{name: "policy block, with a shorter time", ans: answer(400, `{"error":{"code":368,"message":"x"}}`, "x-business-use-case-usage", business("12")),
			class: channels.Throttled, reason: channels.ReasonLockedOut, code: "368", cooldown: 3_600_000, usage: 101, regain: 720_000},
		{name: "page limit, with Retry-After", ans: answer(400, `{"error":{"code":32,"message":"x"}}`, "retry-after", "2"),
			class: channels.Throttled, reason: channels.ReasonRateLimited, code: "32", cooldown: 2000},
		{name: "page limit, with both times", ans: answer(400, `{"error":{"code":32,"message":"x"}}`, "retry-after", "7200", "x-business-use-case-usage", business("12")),
			class: channels.Throttled, reason: channels.ReasonRateLimited, code: "32", cooldown: 720_000, usage: 101, regain: 720_000},
		{name: "policy block, with a longer time", ans: answer(400, `{"error":{"code":368,"message":"x"}}`, "retry-after", "7200"),
			class: channels.Throttled, reason: channels.ReasonLockedOut, code: "368", cooldown: 7_200_000},
		{name: "transient, with Retry-After", ans: answer(503, `{"error":{"code":2,"message":"x"}}`, "retry-after", "8"),
			class: channels.Retry, reason: channels.ReasonTransient, code: "2", cooldown: 8000},
		{name: "503 without JSON, with Retry-After", ans: answer(503, "<html>", "retry-after", "8"),
			class: channels.Retry, reason: channels.ReasonUnavailable, cooldown: 8000},
		{name: "429 with Retry-After", ans: answer(429, "", "retry-after", "2"), class: channels.Throttled, reason: channels.ReasonRateLimited, cooldown: 2000},
		{name: "429", ans: html(429), class: channels.Throttled, reason: channels.ReasonRateLimited, cooldown: 60_000},
		{name: "429 beats its body", ans: graph(429, 190, ""), class: channels.Throttled, reason: channels.ReasonRateLimited, code: "190", cooldown: 60_000},
		{name: "a body beats 200", ans: graph(200, 190, `,"error_subcode":460`), class: channels.Auth, reason: channels.ReasonUnauthorized, code: "190/460"},
		{name: "a body beats 500", ans: graph(500, 100, ""), class: channels.Permanent, reason: channels.ReasonRequestRefused, code: "100"},
		{name: "a body beats 401", ans: graph(401, 4, ""), class: channels.Throttled, reason: channels.ReasonRateLimited, code: "4", cooldown: 60_000},
		{name: "transient", ans: graph(400, 100, `,"is_transient":true`), class: channels.Retry, reason: channels.ReasonTransient, code: "100"},
		{name: "a code as text", ans: answer(400, `{"error":{"code":"17","message":"x"}}`), class: channels.Throttled,
			reason: channels.ReasonRateLimited, code: "17", cooldown: 60_000},
		{name: "no such page", ans: graph(400, 100, `,"error_subcode":33`), class: channels.Permanent, reason: channels.ReasonNotFound, code: "100/33"},
		{name: "unknown code in 500", ans: graph(500, 7777, ""), class: channels.Retry, reason: channels.ReasonServerError, code: "7777"},
		{name: "unknown code in 401", ans: graph(401, 7777, ""), class: channels.Auth, reason: channels.ReasonUnauthorized, code: "7777"},
		{name: "unknown code in 200", ans: graph(200, 7777, ""), class: channels.Permanent, reason: channels.ReasonProviderRefused, code: "7777"},
		{name: "an error that is a text", ans: answer(400, `{"error":"no"}`), class: channels.Permanent, reason: channels.ReasonRequestRefused},
		{name: "500 without JSON", ans: html(500), class: channels.Retry, reason: channels.ReasonServerError},
		{name: "400 without JSON", ans: html(400), class: channels.Permanent, reason: channels.ReasonRequestRefused},
		{name: "a page in the place of an answer", ans: html(200), class: channels.Retry, reason: channels.ReasonUnexpectedAnswer},
		{name: "another shape", ans: answer(200, `{"data":{}}`), class: channels.Permanent, reason: channels.ReasonUnexpectedAnswer},
		{name: "no data at all", ans: answer(200, `{"paging":{}}`), class: channels.Permanent, reason: channels.ReasonUnexpectedAnswer},
		{name: "data null", ans: answer(200, `{"data":null}`), class: channels.OK},
		{name: "paging that is none", ans: answer(200, `{"data":[],"paging":[]}`), class: channels.OK},
		{name: "a period that is no text", ans: answer(200, `{"data":[{"name":"a","period":1,"values":[]}]}`),
			class: channels.Permanent, reason: channels.ReasonUnexpectedAnswer},
		{name: "a value that is none", ans: answer(200, `{"data":[{"name":"a","period":"day","values":[{"value":"many"}]}]}`),
			class: channels.Permanent, reason: channels.ReasonUnexpectedAnswer},
		{name: "a time that is none", ans: answer(200, `{"data":[{"name":"a","period":"day","values":[{"value":1,"end_time":"today"}]}]}`),
			class: channels.Permanent, reason: channels.ReasonUnexpectedAnswer},
		{name: "a 400 cut off may have been a throttle", class: channels.Retry, reason: "cut_off",
			ans: &channels.Answer{Status: 400, Failure: channels.FailCutOff, Detail: "the answer broke off", Body: []byte(`{"error":{"mess`)}},
		{name: "a 400 that hardly was cut off", class: channels.Throttled, reason: channels.ReasonRateLimited, code: "4", cooldown: 60_000,
			ans: &channels.Answer{Status: 400, Failure: channels.FailCutOff, Detail: "the answer broke off", Body: []byte(`{"error":{"code":4}}`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := provider{}.Judge(account(), one(sent), channels.Step{Number: 1}, tt.ans)
			if v.Class != tt.class || v.Reason != tt.reason || v.ProviderCode != tt.code || v.Cooldown != tt.cooldown {
				t.Errorf("got %s %s, code %q, cooldown %d (%s)", v.Class, v.Reason, v.ProviderCode, v.Cooldown, v.Detail)
			}
			if untold := tt.cooldown == throttleRest; v.Untold != untold {
				t.Errorf("the cooldown is untold: %v, want %v", v.Untold, untold)
			}
			if v.Usage != tt.usage || v.RegainMS != tt.regain {
				t.Errorf("got usage %v, regain %d", v.Usage, v.RegainMS)
			}
		})
	}
}

func TestJudgeForeignPage(t *testing.T) {
	r := one(sent)
	r.Report.Pages = []string{"2"}
	for code, want := range map[int]channels.Class{10: channels.Permanent, 200: channels.Permanent, 190: channels.Auth} {
		if v := (provider{}).Judge(account(), r, channels.Step{Number: 1}, graph(403, code, "")); v.Class != want {
			t.Errorf("code %d about another page: got %s, want %s", code, v.Class, want)
		}
	}
}

func TestJudgeLongMessage(t *testing.T) {
	ans := &channels.Answer{Status: 400, Body: []byte(`{"error":{"code":100,"message":"` + strings.Repeat("é", 100_000) + `"}}`)}
	v := provider{}.Judge(account(), one(sent), channels.Step{Number: 1}, ans)
	if n := len(v.ProviderText); n < 900 || n > 1100 {
		t.Errorf("told in %d bytes", n)
	}
}
