package webhook_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/channels/webhook"
	"github.com/tramhq/tram/pkg/events"
)

// full is an account that uses every setting but answer and repeat_header, and
// a body that serves all kinds of content: what a message lacks is left out.
var full = map[string]string{
	"path":       "/v1/messages?version=2",
	"method":     "PUT",
	"header":     "x-api-key",
	"accepts":    "phone:text, phone:template, contact_id:block, messenger_user_id:text",
	"ok_status":  "200, 202-203",
	"id_pointer": "/messages/0/id",
	"body": `{
		"to": {"{}": "{{recipient.value}}", "kind": "{{recipient.kind}}"},
		"from": "{{ sender.id }}",
		"text": "{{content.text}}",
		"template": {"name": "{{content.template_ref}}", "data": "{{content.params}}", "city": "{{content.params.city}}"},
		"blocks": ["{{content.block_name}}"],
		"contact": "{{attributes}}",
		"tag": "{{policy.message_tag}}", "category": "{{policy.expect_kind}}",
		"ref": "tram:{{request.source}}#{{request.id}}",
		"what": "{{content.kind}}", "tenant": "{{tenant}}", "correlation": "{{correlation_id}}", "shop": "{{metadata.shop}}",
		"flash": false, "validity": 3600.0, "nothing": null, "empty": {}, "list": []
	}`,
}

// plain is the least that an account can have.
var plain = map[string]string{
	"accepts": "phone:text",
	"body":    `{"to":"{{recipient.value}}","text":"{{content.text}}"}`,
}

func with(settings map[string]string, more ...string) channels.Account {
	a := channels.Account{Settings: maps.Clone(settings)}
	for i := 0; i < len(more); i += 2 {
		a.Settings[more[i]] = more[i+1]
	}
	return a
}

var (
	phone   = events.Recipient{Kind: events.ByPhone, Value: "0900000001"}
	contact = events.Recipient{Kind: events.ByContactID, Value: "c-1"}
	hello   = events.Send{Recipient: phone, Content: text("Hi")}
	bearer  = with(plain)

	accepted = channels.Verdict{Class: channels.OK, Evidence: events.Weak}
	created  = channels.Verdict{Class: channels.OK, Evidence: events.Strong, MessageID: "m-1"}
	withID   = channelstest.Reply{Status: 202, Body: `{"messages":[{"id":"m-1"}]}`}
)

func text(s string) events.Content { return events.Content{Kind: events.ContentText, Text: s} }

func TestProvider(t *testing.T) { channelstest.Run(t, webhook.New(), suite()) }

// TestProvider_Repeatable is the suite for accounts whose receiver knows a
// repetition, which turns what is ambiguous into what is tried again.
func TestProvider_Repeatable(t *testing.T) { channelstest.Run(t, webhook.New(), repeatable()) }

func FuzzAnswers(f *testing.F) { channelstest.Fuzz(f, webhook.New(), suite()) }

func BenchmarkProvider(b *testing.B) { channelstest.Benchmark(b, webhook.New(), suite()) }

func suite() channelstest.Suite {
	const rest = `,"flash":false,"list":[],"nothing":null,"ref":"tram:/channelstest#case"`
	sent := func(name string, s events.Send, body string) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &s}, Exchanges: []channelstest.Exchange{{
			Want: channelstest.Wire{Method: "PUT", Path: "/v1/messages", Query: "version=2", Body: body,
				Header: map[string]string{"Content-Type": "application/json"}},
			Reply: withID, Verdict: created,
		}}}
	}
	answered := func(name string, a channels.Account, reply channelstest.Reply, v channels.Verdict) channelstest.Case {
		return channelstest.Case{Name: name, Account: &a, Request: events.Request{Send: &hello}, Exchanges: []channelstest.Exchange{{
			Want: channelstest.Wire{Path: "/", Body: `{"text":"Hi","to":"0900000001"}`}, Reply: reply, Verdict: v}}}
	}
	unexpected := func(text string) channels.Verdict {
		return channels.Verdict{Class: channels.Ambiguous, Reason: "unexpected_answer", ProviderText: text}
	}
	refused := func(name, field string, a channels.Account, s events.Send) channelstest.Case {
		return channelstest.Case{Name: name, Account: &a, Request: events.Request{Send: &s}, Refused: field}
	}
	withOrder := with(plain, "accepts", "phone:template",
		"body", `{"to":"{{recipient.value}}","name":"{{content.template_ref}}","text":"Order {{content.params.order}} of {{tenant}}"}`)
	template := func(params map[string]string) events.Send {
		return events.Send{Recipient: phone, Content: events.Content{Kind: events.ContentTemplate, TemplateRef: "paid", Params: params}}
	}

	return channelstest.Suite{
		Account: with(full),
		Cases: []channelstest.Case{
			sent("text", hello, `{"empty":{}`+rest+`,"text":"Hi","to":{"kind":"phone","{}":"0900000001"},"validity":3600.0,"what":"text"}`),
			sent("template", template(map[string]string{"order": "17", "city": ""}),
				`{"empty":{}`+rest+`,"template":{"city":"","data":{"city":"","order":"17"},"name":"paid"},"to":{"kind":"phone","{}":"0900000001"},"validity":3600.0,"what":"template"}`),
			sent("block", events.Send{Recipient: contact, Content: events.Content{Kind: events.ContentBlock, BlockName: "welcome"}},
				`{"blocks":["welcome"],"empty":{}`+rest+`,"to":{"kind":"contact_id","{}":"c-1"},"validity":3600.0,"what":"block"}`),
			sent("all that there is", events.Send{
				Recipient: events.Recipient{Kind: events.ByMessengerUserID, Value: "42"}, Content: text(`{{tenant}} & "<b>"`),
				Sender: events.Sender{ID: "SHOP"}, Attributes: []events.Attribute{{Name: "vip", Value: "yes"}},
				Policy:  events.Policy{MessageTag: "TAG", ExpectKind: "transaction"},
				Context: events.Context{Tenant: "acme", CorrelationID: "c", Metadata: map[string]string{"shop": "s", "other": "o"}},
			}, `{"category":"transaction","contact":{"vip":"yes"},"correlation":"c","empty":{},"flash":false,"from":"SHOP","list":[],"nothing":null,`+
				`"ref":"tram:/channelstest#case","shop":"s","tag":"TAG","tenant":"acme","text":"{{tenant}} & \"<b>\"",`+
				`"to":{"kind":"messenger_user_id","{}":"42"},"validity":3600.0,"what":"text"}`),

			refused("form that is not accepted", "content.kind", with(full), events.Send{Recipient: contact, Content: text("Hi")}),
			refused("no place for a sender", "sender.id", bearer, events.Send{Recipient: phone, Content: text("Hi"), Sender: events.Sender{ID: "SHOP"}}),
			refused("no place for attributes", "attributes", bearer, events.Send{Recipient: phone, Content: text("Hi"), Attributes: []events.Attribute{{Name: "a"}}}),
			refused("no place for one attribute", "attributes", with(plain, "body", `{"to":"{{recipient.value}}","text":"{{content.text}}","a":"{{attributes.a}}"}`),
				events.Send{Recipient: phone, Content: text("Hi"), Attributes: []events.Attribute{{Name: "a"}, {Name: "b"}}}),
			refused("no place for a parameter", "content.params", withOrder, template(map[string]string{"order": "17", "city": "Hue"})),
			refused("hole in a text", "content.params.order", withOrder, template(nil)),
			refused("another hole in a text", "tenant", withOrder, template(map[string]string{"order": "17"})),
			refused("no place for a kind", "policy.expect_kind", bearer, events.Send{Recipient: phone, Content: text("Hi"), Policy: events.Policy{ExpectKind: "promotion"}}),
			refused("unknown kind", "policy.expect_kind", with(full), events.Send{Recipient: phone, Content: text("Hi"), Policy: events.Policy{ExpectKind: "x"}}),
			{Name: "report", Refused: "kind", Request: events.Request{Report: &events.Report{Report: "webhook.report"}}},

			answered("object", bearer, channelstest.Reply{Body: `{}`}, accepted),
			answered("no object", bearer, channelstest.Reply{Body: "[1]"}, unexpected("[1]")),
			answered("no JSON", bearer, channelstest.Reply{Body: "OK 17"}, unexpected("OK 17")),
			answered("no JSON, as agreed", with(plain, "answer", "any"), channelstest.Reply{Body: "OK 17"}, accepted),
			answered("nothing, as agreed", with(plain, "answer", "any", "ok_status", "204"), channelstest.Reply{Status: 204}, accepted),
			answered("another 2xx", with(plain, "ok_status", "201"), channelstest.Reply{Status: 202, Body: "{}"}, unexpected("{}")),
			answered("id that is a number", with(plain, "id_pointer", "/a~1b/~0"), channelstest.Reply{Body: `{"a/b":{"~":9007199254740993}}`},
				channels.Verdict{Class: channels.OK, Evidence: events.Strong, MessageID: "9007199254740993"}),
			answered("empty id", with(plain, "id_pointer", "/id"), channelstest.Reply{Body: `{"id":""}`}, unexpected(`{"id":""}`)),
			answered("id that is an object", with(plain, "id_pointer", "/id"), channelstest.Reply{Body: `{"id":{}}`}, unexpected(`{"id":{}}`)),
			answered("id behind the end", with(plain, "id_pointer", "/1"), channelstest.Reply{Body: `[1]`}, unexpected(`[1]`)),
			answered("id within a text", with(plain, "id_pointer", "/id/x"), channelstest.Reply{Body: `{"id":"x"}`}, unexpected(`{"id":"x"}`)),
			answered("too many", bearer, channelstest.Reply{Status: 429, Header: map[string]string{"Retry-After": "30"}, Body: "slow down"},
				channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 30_000, ProviderText: "slow down"}),
			answered("down for a while", bearer, channelstest.Reply{Status: 503, Header: map[string]string{"Retry-After": "30"}},
				channels.Verdict{Class: channels.Retry, Reason: "unavailable", Cooldown: 30_000, ProviderFault: true}),
			answered("wrong secret", bearer, channelstest.Reply{Status: 401, Body: `{"error":"who are you"}`},
				channels.Verdict{Class: channels.Auth, Reason: "unauthorized", ProviderText: `{"error":"who are you"}`}),
			answered("long refusal", bearer, channelstest.Reply{Status: 422, Body: strings.Repeat("số", 1000)},
				channels.Verdict{Class: channels.Permanent, Reason: "request_refused", ProviderText: strings.Repeat("số", 125)}),
			answered("broken", bearer, channelstest.Reply{Status: 500, Body: "{}"},
				channels.Verdict{Class: channels.Ambiguous, Reason: "server_error", ProviderFault: true, ProviderText: "{}"}),
		},
	}
}

func repeatable() channelstest.Suite {
	key := map[string]string{"Idempotency-Key": events.DeterministicID("/channelstest", "case")}
	c := func(name string, reply channelstest.Reply, v channels.Verdict) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &hello}, Exchanges: []channelstest.Exchange{{
			Want: channelstest.Wire{Path: "/", Header: key, Body: `{"text":"Hi","to":"0900000001"}`}, Reply: reply, Verdict: v}}}
	}
	return channelstest.Suite{
		Account: with(plain, "repeat_header", "idempotency-key", "id_pointer", "/id"),
		Cases: []channelstest.Case{
			c("accepted", channelstest.Reply{Body: `{"id":"m-1"}`}, created),
			c("broken", channelstest.Reply{Status: 500}, channels.Verdict{Class: channels.Retry, Reason: "server_error", ProviderFault: true}),
		},
	}
}

// Two sources may give the same id to what are two messages.
func TestPrepare_KeyStandsForSourceAndID(t *testing.T) {
	a := with(plain, "repeat_header", "X-Request-Key")
	keys := map[string]bool{}
	for _, m := range []events.Meta{{Source: "/a", ID: "1"}, {Source: "/b", ID: "1"}, {Source: "/a", ID: "2"}, {Source: "/a", ID: "1"}} {
		call, err := webhook.New().Prepare(&a, &events.Request{Meta: m, Kind: events.KindSend, Send: &hello}, channels.Step{Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		keys[call.Header["X-Request-Key"]] = true
	}
	if len(keys) != 3 {
		t.Errorf("three requests, one of them twice, have %d keys", len(keys))
	}
}

// A receiver that says which login it refuses has undone what is around it.
func TestAnswer_hasNothingOfTheAuthorization(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		w.Header().Set("X-Request-Id", rest)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"`+rest+` is not valid: `+user+` has not password `+password+`"}`)
	}))
	defer srv.Close()
	client, err := channels.NewClient(channels.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	a := with(plain, "header", "Authorization")
	a.BaseURL, a.Secrets = srv.URL, map[string]channels.Secret{"token": "Basic dXNlcjpwYXNzd29yZC0xNw=="}
	call, err := webhook.New().Prepare(&a, &events.Request{Kind: events.KindSend, Send: &hello}, channels.Step{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	ans := client.Do(t.Context(), &a, call)
	if got := string(ans.Body); got != `{"error":"[REDACTED] is not valid: user has not password [REDACTED]"}` || ans.Header["x-request-id"] != "[REDACTED]" {
		t.Errorf("%s, headers %v", got, ans.Header)
	}
}

func TestContract_NamesWhatIsWrong(t *testing.T) {
	body := func(b string) channels.Account { return with(plain, "body", b) }
	const to = `"to":"{{recipient.value}}"`
	for _, tt := range []struct {
		want    string
		account channels.Account
	}{
		{"method must be POST or PUT", with(plain, "method", "GET")},
		{"path must begin with a slash", with(plain, "path", "messages")},
		{"path has a placeholder", with(plain, "path", "/{{recipient.value}}")},
		{"path is not the path of a URL", with(plain, "path", "/a#b")},
		{"path is not the path of a URL", with(plain, "path", "/%zz")},
		{"header is not the name", with(plain, "header", "X Api Key")},
		{"header is not the name", with(plain, "header", "host")},
		{"header is not the name", with(plain, "header", "x-idempotency-key")},
		{"repeat_header is not the name", with(plain, "repeat_header", "authorization")},
		{"repeat_header is not the name", with(plain, "repeat_header", "content-type")},
		{"accepts must list recipient:content", with(plain, "accepts", "")},
		{"accepts must list recipient:content", with(plain, "accepts", "phone")},
		{"accepts must list recipient:content", with(plain, "accepts", "phone:text,")},
		{"accepts must list recipient:content", with(plain, "accepts", "fax:text")},
		{"answer must be json or any", with(plain, "answer", "xml")},
		{"id_pointer must be a JSON pointer", with(plain, "id_pointer", "data.id")},
		{"id_pointer is of no use", with(plain, "id_pointer", "/id", "answer", "any")},
		{"ok_status must list", with(plain, "ok_status", "404")},
		{"ok_status must list", with(plain, "ok_status", "202-200")},
		{"ok_status must list", with(plain, "ok_status", "2xx")},
		{"body is not a JSON object", body("")},
		{"body is not a JSON object", body("null")},
		{"body is not a JSON object", body(`{"to":{{recipient.value}}}`)},
		{"body is not a JSON object", body(`["{{recipient.value}}"]`)},
		{"body goes on behind", body(`{` + to + `}}`)},
		{"body has a placeholder in the name", body(`{"{{recipient.kind}}":"{{recipient.value}}"}`)},
		{"body has no {{recipient.value}}", body(`{"text":"{{content.text}}"}`)},
		{"body has no {{content.text}}", body(`{` + to + `}`)},
		{"body has {{metadata}} within", body(`{` + to + `,"x":["all: {{metadata}}"]}`)},
		{"body has the placeholder {{}}", body(`{` + to + `,"x":"{{}}"}`)},
		{"body has the placeholder {{metadata.}}", body(`{` + to + `,"x":"{{metadata.}}"}`)},
		{"body has a placeholder that does not end", body(`{` + to + `,"x":"{{tenant}"}`)},
		{"body has the placeholder {{recipient.phone}}, which does not exist: there are attributes, attributes.<name>, content.block_name",
			body(`{` + to + `,"x":"{{recipient.phone}}"}`)},
	} {
		if _, err := webhook.New().Contract(&tt.account); err == nil || !strings.Contains(err.Error(), "setting "+tt.want) {
			t.Errorf("got %v, want setting %s", err, tt.want)
		}
	}
}
