package caresoft_test

import (
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/caresoft"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/events"
)

const (
	oa    = "16001****13752846"
	phone = "098*****980"

	sendPath   = "/acme/api/v1/zalo/send-message"
	statusPath = "/acme/api/v1/zalo/user-status"
)

var (
	account      = channels.Account{Settings: map[string]string{"domain": "acme", "oa_id": oa}}
	withoutOA    = channels.Account{Settings: map[string]string{"domain": "acme"}}
	oddDomain    = channels.Account{Settings: map[string]string{"domain": "ac me?", "oa_id": oa, "zone": "UTC"}}
	withBaseURL  = channels.Account{BaseURL: "https://zalo.example/acme", Settings: map[string]string{"oa_id": oa}}
	jsonHeader   = map[string]string{"Content-Type": "application/json"}
	created      = channels.Verdict{Class: channels.OK, Evidence: events.Strong, ProviderCode: "ok", ProviderText: "Tạo thành công!"}
	toPhone      = events.Recipient{Kind: events.ByPhone, Value: phone}
	toContact    = events.Recipient{Kind: events.ByContactID, Value: "122052447"}
	script       = events.Content{Kind: events.ContentTemplate, TemplateRef: "608", Params: map[string]string{"username": "Anh Tan"}}
	checkPromo   = events.Policy{Precheck: "user_status", ExpectKind: "promotion"}
	statusReport = events.Report{Report: caresoft.UserStatus, Recipient: events.Recipient{Kind: events.ByPhone, Value: "098****980"}, Sender: events.Sender{ID: "160019****752846"}}
)

func text(s string) events.Content { return events.Content{Kind: events.ContentText, Text: s} }

func TestProvider(t *testing.T) { channelstest.Run(t, caresoft.New(), suite(t)) }

func FuzzAnswers(f *testing.F) { channelstest.Fuzz(f, caresoft.New(), suite(f)) }

func BenchmarkProvider(b *testing.B) { channelstest.Benchmark(b, caresoft.New(), suite(b)) }

func suite(t testing.TB) channelstest.Suite {
	file := func(name string) string { return channelstest.File(t, "testdata/"+name) }
	statusOK := file("user_status.json")
	sent := func(name string, s events.Send, body string) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &s}, Exchanges: []channelstest.Exchange{{
			Want:    channelstest.Wire{Path: sendPath, Header: jsonHeader, Body: body},
			Reply:   channelstest.Reply{Body: file("send_message.json")},
			Verdict: created,
		}}}
	}
	hello := `{"zalo":{"phone_no":"098*****980","oa_id":"16001****13752846","message":"Hi"}}`
	answered := func(name string, reply channelstest.Reply, v channels.Verdict) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &events.Send{Recipient: toPhone, Content: text("Hi")}},
			Exchanges: []channelstest.Exchange{{Want: channelstest.Wire{Path: sendPath, Body: hello}, Reply: reply, Verdict: v}}}
	}
	errors := func(message string) string { return `{"code":"errors","message":"` + message + `"}` }
	refused := func(name, field string, s events.Send) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &s}, Refused: field}
	}
	wantStatus := channelstest.Wire{Path: statusPath, Header: jsonHeader, Body: `{"phone_no":"098*****980","oa_id":"16001****13752846"}`}
	wantHello := channelstest.Wire{Path: sendPath, Body: hello}
	prechecked := func(name string, p events.Policy, exchanges ...channelstest.Exchange) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &events.Send{Recipient: toPhone, Content: text("Hi"), Policy: p}}, Exchanges: exchanges}
	}
	goesOn := channels.Verdict{Class: channels.OK, Next: "send", ProviderCode: "ok"}
	thenSent := channelstest.Exchange{Want: wantHello, Reply: channelstest.Reply{Body: file("send_message.json")}, Verdict: created}

	return channelstest.Suite{
		Account:  account,
		Envelope: []string{"/code"},
		Instead:  map[string]channels.Class{"caresoft.user_status": channels.Retry},
		Cases: []channelstest.Case{
			// The three bodies of the document, and the fourth that its table allows.
			sent("phone script", events.Send{Recipient: toPhone, Content: script}, file("send_message.phone_script.request.json")),
			sent("phone text", events.Send{Recipient: toPhone, Content: text("CareSoft cảm ơn quý khách đã sử dụng dịch vụ")}, file("send_message.phone_text.request.json")),
			sent("contact text", events.Send{Recipient: toContact, Content: text("CareSoft Xin chào!")}, `{"zalo":{"user_id":"122052447","oa_id":"16001****13752846","message":"CareSoft Xin chào!"}}`),
			sent("contact script", events.Send{Recipient: toContact, Content: events.Content{Kind: events.ContentTemplate, TemplateRef: "608"}},
				`{"zalo":{"user_id":"122052447","oa_id":"16001****13752846","script_id":608}}`),
			sent("another OA", events.Send{Recipient: toPhone, Content: text("Hi"), Sender: events.Sender{ID: "9007199254740993"}},
				`{"zalo":{"phone_no":"098*****980","oa_id":"9007199254740993","message":"Hi"}}`),
			sent("text as it is", events.Send{Recipient: toPhone, Content: text("a & b < c\n\"d\" \u2028")},
				`{"zalo":{"phone_no":"098*****980","oa_id":"16001****13752846","message":"a & b < c\n\"d\" \u2028"}}`),
			sent("text of 1000 characters", events.Send{Recipient: toPhone, Content: text(strings.Repeat("ế", 1000))},
				`{"zalo":{"phone_no":"098*****980","oa_id":"16001****13752846","message":"`+strings.Repeat("ế", 1000)+`"}}`),
			{Name: "odd domain", Account: &oddDomain, Request: events.Request{Send: &events.Send{Recipient: toPhone, Content: text("Hi")}}, Exchanges: []channelstest.Exchange{{
				Want: channelstest.Wire{Path: "/ac%20me%3F/api/v1/zalo/send-message", Body: hello}, Reply: channelstest.Reply{Body: `{"code":"ok"}`},
				Verdict: channels.Verdict{Class: channels.OK, Evidence: events.Strong, ProviderCode: "ok"},
			}}},

			{Name: "domain in the base URL", Account: &withBaseURL, Request: events.Request{Send: &events.Send{Recipient: toPhone, Content: text("Hi")}},
				Exchanges: []channelstest.Exchange{{Want: wantHello, Reply: channelstest.Reply{Body: file("send_message.json")}, Verdict: created}}},

			refused("text of 1001 characters", "content.text", events.Send{Recipient: toPhone, Content: text(strings.Repeat("ế", 1001))}),
			refused("block", "content.kind", events.Send{Recipient: toPhone, Content: events.Content{Kind: events.ContentBlock, BlockName: "x"}}),
			refused("messenger user", "content.kind", events.Send{Recipient: events.Recipient{Kind: events.ByMessengerUserID, Value: "1"}, Content: text("Hi")}),
			refused("both contents", "content.template_ref", events.Send{Recipient: toPhone, Content: events.Content{Kind: events.ContentText, Text: "Hi", TemplateRef: "608"}}),
			refused("script that is no number", "content.template_ref", events.Send{Recipient: toPhone, Content: events.Content{Kind: events.ContentTemplate, TemplateRef: "welcome"}}),
			refused("script with a leading zero", "content.template_ref", events.Send{Recipient: toPhone, Content: events.Content{Kind: events.ContentTemplate, TemplateRef: "0608"}}),
			refused("attributes", "attributes", events.Send{Recipient: toPhone, Content: text("Hi"), Attributes: []events.Attribute{{Name: "a", Value: "b"}}}),
			refused("message tag", "policy.message_tag", events.Send{Recipient: toPhone, Content: text("Hi"), Policy: events.Policy{MessageTag: "ACCOUNT_UPDATE"}}),
			refused("pre-check of a contact", "policy.precheck", events.Send{Recipient: toContact, Content: text("Hi"), Policy: checkPromo}),
			{Name: "no OA", Account: &withoutOA, Refused: "sender.id", Request: events.Request{Send: &events.Send{Recipient: toPhone, Content: text("Hi")}}},
			{Name: "status of a contact", Refused: "recipient.kind", Request: events.Request{Report: &events.Report{Report: caresoft.UserStatus, Recipient: toContact}}},

			answered("too many", channelstest.Reply{Status: 429, Body: errors("Too Many Attempts.")},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 60_000, Untold: true, ProviderCode: "errors", ProviderText: "Too Many Attempts."}),
			answered("too many, told longer", channelstest.Reply{Status: 429, Header: map[string]string{"Retry-After": "300"}},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 300_000}),
			answered("too many, told shorter", channelstest.Reply{Status: 429, Header: map[string]string{"Retry-After": "5"}},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 60_000, Untold: true}),
			answered("too many, told a minute", channelstest.Reply{Status: 429, Header: map[string]string{"Retry-After": "60"}},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 60_000}),
			answered("too many, in a 200", channelstest.Reply{Body: errors("Too Many Attempts.")},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 60_000, Untold: true, ProviderCode: "errors", ProviderText: "Too Many Attempts."}),
			answered("ok in words of a throttle", channelstest.Reply{Body: `{"code":"ok","message":"Tạo thành công! (too many attempts left)"}`},
				channels.Verdict{Class: channels.OK, Evidence: events.Strong, ProviderCode: "ok", ProviderText: "Tạo thành công! (too many attempts left)"}),
			answered("shut out", channelstest.Reply{Status: 404, Body: errors("Domain incorrect too many times , retry after 20 minutes ")},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 20 * 60_000, ProviderCode: "errors", ProviderText: "Domain incorrect too many times , retry after 20 minutes "}),
			answered("shut out, not told how long", channelstest.Reply{Status: 404, Body: errors("Domain incorrect too many times")},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 15 * 60_000, ProviderCode: "errors", ProviderText: "Domain incorrect too many times"}),
			answered("shut out, in no JSON", channelstest.Reply{Status: 404, Body: "please Retry After 2 hours"},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 2 * 3_600_000}),
			answered("shut out, in seconds", channelstest.Reply{Status: 404, Body: errors("too many times, retry after 900s")},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 900_000, ProviderCode: "errors", ProviderText: "too many times, retry after 900s"}),
			answered("shut out, in few letters", channelstest.Reply{Status: 404, Body: errors("retry after 30 sec.")},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 30_000, ProviderCode: "errors", ProviderText: "retry after 30 sec."}),
			answered("shut out for nothing", channelstest.Reply{Status: 404, Body: errors("retry after 0 minutes")},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 15 * 60_000, ProviderCode: "errors", ProviderText: "retry after 0 minutes"}),
			answered("shut out in words that are escaped", channelstest.Reply{Status: 404, Body: errors(`too\u0020many times , retry\u0020after\u002020 minutes`)},
				channels.Verdict{Class: channels.Throttled, Reason: "locked_out", Cooldown: 20 * 60_000, ProviderCode: "errors", ProviderText: "too many times , retry after 20 minutes"}),
			answered("wrong domain", channelstest.Reply{Status: 404, Body: errors("Domain incorrect")},
				channels.Verdict{Class: channels.Permanent, Reason: "not_found", ProviderCode: "errors", ProviderText: "Domain incorrect"}),
			answered("errors in a 200", channelstest.Reply{Body: errors("script not found")},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "errors", ProviderText: "script not found"}),
			answered("errors in words that are escaped", channelstest.Reply{Body: errors(`kh\u00f4ng th\u1ea5y \"608\"`)},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "errors", ProviderText: `không thấy "608"`}),
			answered("errors in words that are not UTF-8", channelstest.Reply{Body: errors("kh\xf4ng")},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "errors", ProviderText: "kh\uFFFDng"}),
			answered("errors in a 422", channelstest.Reply{Status: 422, Body: errors("OA quota exceeded")},
				channels.Verdict{Class: channels.Permanent, Reason: "quota", ProviderCode: "errors", ProviderText: "OA quota exceeded"}),
			answered("errors in a 401", channelstest.Reply{Status: 401, Body: errors("Unauthenticated.")},
				channels.Verdict{Class: channels.Auth, Reason: "unauthorized", ProviderCode: "errors", ProviderText: "Unauthenticated."}),
			answered("errors in a 500", channelstest.Reply{Status: 500, Body: errors("Server Error")},
				channels.Verdict{Class: channels.Ambiguous, Reason: "server_error", ProviderFault: true, ProviderCode: "errors", ProviderText: "Server Error"}),
			answered("ok in a 500", channelstest.Reply{Status: 500, Body: `{"code":"ok"}`},
				channels.Verdict{Class: channels.Ambiguous, Reason: "server_error", ProviderFault: true, ProviderCode: "ok"}),
			answered("neither ok nor errors", channelstest.Reply{Body: `{"code":"OK"}`},
				channels.Verdict{Class: channels.Ambiguous, Reason: "unexpected_answer", ProviderCode: "OK"}),
			answered("out of Zalo's window", channelstest.Reply{Body: errors("send failed (-230)")},
				channels.Verdict{Class: channels.Permanent, Reason: "window", ProviderCode: "errors", ProviderText: "send failed (-230)"}),
			answered("unreachable on Zalo", channelstest.Reply{Body: errors("error: -213")},
				channels.Verdict{Class: channels.Permanent, Reason: "unreachable", ProviderCode: "errors", ProviderText: "error: -213"}),
			answered("throttled by Zalo", channelstest.Reply{Body: errors("error -32 from zalo")},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", ProviderCode: "errors", ProviderText: "error -32 from zalo"}),
			answered("a code in JSON within the words", channelstest.Reply{Body: errors(`zalo: {\"error\": \"-216\"}`)},
				channels.Verdict{Class: channels.Auth, Reason: "unauthorized", ProviderCode: "errors", ProviderText: `zalo: {"error": "-216"}`}),
			answered("a code alone", channelstest.Reply{Body: errors("-234")},
				channels.Verdict{Class: channels.Permanent, Reason: "window", ProviderCode: "errors", ProviderText: "-234"}),
			answered("a code in Vietnamese", channelstest.Reply{Body: errors("Lỗi -217")},
				channels.Verdict{Class: channels.Permanent, Reason: "unreachable", ProviderCode: "errors", ProviderText: "Lỗi -217"}),
			answered("a length", channelstest.Reply{Body: errors("length must be 1 -32 characters")},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "errors", ProviderText: "length must be 1 -32 characters"}),
			answered("a number that is no code", channelstest.Reply{Body: errors("bad phone 09-2301")},
				channels.Verdict{Class: channels.Permanent, Reason: "provider_refused", ProviderCode: "errors", ProviderText: "bad phone 09-2301"}),

			{Name: "status", Request: events.Request{Report: &statusReport}, Exchanges: []channelstest.Exchange{{
				Want:    channelstest.Wire{Path: statusPath, Header: jsonHeader, Body: file("user_status.request.json")},
				Reply:   channelstest.Reply{Body: statusOK},
				Verdict: channels.Verdict{Class: channels.OK, ProviderCode: "ok"},
				Harvest: channelstest.Harvest{Records: 1, Golden: "testdata/user_status.golden"},
			}}},
			{Name: "status in flags of numbers", Request: events.Request{Report: &statusReport}, Exchanges: []channelstest.Exchange{{
				Want: channelstest.Wire{Path: statusPath, Body: file("user_status.request.json")},
				Reply: channelstest.Reply{Body: `{"code":"ok","data":{"user_id":9007199254740993,"username":null,"zalo_psid":null,"following_status":0,
					"last_user_activity_time":null,"can_send_consultation_message":"1","can_send_transaction_message":null}}`},
				Verdict: channels.Verdict{Class: channels.OK, ProviderCode: "ok"},
				Harvest: channelstest.Harvest{Records: 1, Golden: "testdata/user_status.numbers.golden"},
			}}},
			{Name: "status without an OA", Account: &withoutOA, Request: events.Request{Report: &events.Report{Report: caresoft.UserStatus, Recipient: toPhone}},
				Exchanges: []channelstest.Exchange{{
					Want:    channelstest.Wire{Path: statusPath, Body: `{"phone_no":"098*****980"}`},
					Reply:   channelstest.Reply{Body: statusOK},
					Verdict: channels.Verdict{Class: channels.OK, ProviderCode: "ok"},
					Harvest: channelstest.Harvest{Records: 1, Golden: "testdata/user_status.no_oa.golden"},
				}}},
			{Name: "status refused", Request: events.Request{Report: &statusReport}, Exchanges: []channelstest.Exchange{{
				Want:    channelstest.Wire{Path: statusPath, Body: file("user_status.request.json")},
				Reply:   channelstest.Reply{Body: errors("oa not found")},
				Verdict: channels.Verdict{Class: channels.Retry, Reason: "provider_refused", ProviderCode: "errors", ProviderText: "oa not found"},
			}}},

			prechecked("pre-check passes", checkPromo, channelstest.Exchange{Want: wantStatus, Reply: channelstest.Reply{Body: statusOK}, Verdict: goesOn}, thenSent),
			prechecked("pre-check does not know", checkPromo,
				channelstest.Exchange{Want: wantStatus, Reply: channelstest.Reply{Body: `{"code":"ok","data":{"can_send_promotion_message":null}}`}, Verdict: goesOn}, thenSent),
			prechecked("pre-check of another kind", events.Policy{Precheck: "user_status", ExpectKind: "transaction"},
				channelstest.Exchange{Want: wantStatus, Reply: channelstest.Reply{Body: `{"code":"ok","data":{"can_send_promotion_message":false,"can_send_transaction_message":true}}`}, Verdict: goesOn}, thenSent),
			prechecked("pre-check refuses", checkPromo,
				channelstest.Exchange{Want: wantStatus, Reply: channelstest.Reply{Body: `{"code":"ok","data":{"can_send_promotion_message":false}}`},
					Verdict: channels.Verdict{Class: channels.Permanent, Reason: "precheck_refused", ProviderCode: "ok"}}),
			prechecked("pre-check refuses with 0", events.Policy{Precheck: "user_status", ExpectKind: "consultation"},
				channelstest.Exchange{Want: wantStatus, Reply: channelstest.Reply{Body: `{"code":"ok","data":{"can_send_consultation_message":0}}`},
					Verdict: channels.Verdict{Class: channels.Permanent, Reason: "precheck_refused", ProviderCode: "ok"}}),
			prechecked("pre-check fails", checkPromo,
				channelstest.Exchange{Want: wantStatus, Reply: channelstest.Reply{Status: 404, Body: errors("phone not found")},
					Verdict: channels.Verdict{Class: channels.Retry, Reason: "not_found", ProviderCode: "errors", ProviderText: "phone not found"}}),
			prechecked("pre-check of nothing", events.Policy{Precheck: "user_status"},
				channelstest.Exchange{Want: channelstest.Wire{Path: statusPath, Body: wantStatus.Body, Warnings: []string{"policy.precheck refuses nothing without policy.expect_kind"}},
					Reply: channelstest.Reply{Body: statusOK}, Verdict: goesOn}, thenSent),
			prechecked("no pre-check", events.Policy{Precheck: "none", ExpectKind: "promotion"}, thenSent),
		},
	}
}

func TestContract_NamesWhatIsMissing(t *testing.T) {
	for setting, settings := range map[string]map[string]string{
		"domain": {"oa_id": oa},
		"zone":   {"domain": "acme", "zone": "Saigon"},
	} {
		_, err := caresoft.New().Contract(&channels.Account{Name: "a", Settings: settings})
		if err == nil || !strings.Contains(err.Error(), "setting "+setting) {
			t.Errorf("without a good %s: %v", setting, err)
		}
	}
}

func TestContract_Domain(t *testing.T) {
	const hosted, own = "https://api.caresoft.vn", "https://zalo.example/acme"
	for _, tt := range []struct {
		base, domain string
		ok           bool
	}{
		{hosted, "acme", true}, {hosted, "", false}, {hosted, ".", false}, {hosted, "..", false}, {hosted, "a/c", false},
		{own, "", true}, {own, "acme", true}, {own, "..", false},
		{hosted + "/acme", "", true}, {"", "", false},
	} {
		_, err := caresoft.New().Contract(&channels.Account{Name: "a", BaseURL: tt.base, Settings: map[string]string{"domain": tt.domain}})
		if tt.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "setting domain") {
			t.Errorf("domain %q at %q: %v", tt.domain, tt.base, err)
		}
	}
}
