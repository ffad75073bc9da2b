package ahachat_test

import (
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/ahachat"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/events"
)

var (
	account  = channels.Account{Settings: map[string]string{"bot_id": "b0t/1"}}
	toUser   = events.Recipient{Kind: events.ByMessengerUserID, Value: "24531 0/1"}
	toPhone  = events.Recipient{Kind: events.ByPhone, Value: "+84900000001"}
	block    = events.Content{Kind: events.ContentBlock, BlockName: "Khuyến mãi & 50%"}
	accepted = channels.Verdict{Class: channels.OK, Evidence: events.Weak}
)

const (
	userPath  = "/api/bots/b0t%2F1/users/24531%200%2F1/send"
	phonePath = "/api/bots/b0t%2F1/phones/send"
	blockName = "ahachat_block_name=Khuy%E1%BA%BFn%20m%C3%A3i%20%26%2050%25"
)

func TestProvider(t *testing.T) { channelstest.Run(t, ahachat.New(), suite(t)) }

func FuzzAnswers(f *testing.F) { channelstest.Fuzz(f, ahachat.New(), suite(f)) }

func BenchmarkProvider(b *testing.B) { channelstest.Benchmark(b, ahachat.New(), suite(b)) }

func suite(t testing.TB) channelstest.Suite {
	sent := func(name string, s events.Send, path, query string, warnings ...string) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &s}, Exchanges: []channelstest.Exchange{{
			Want:    channelstest.Wire{Path: path, Query: query, Warnings: warnings},
			Reply:   channelstest.Reply{Body: `{"success":true}`},
			Verdict: accepted,
		}}}
	}
	answered := func(name string, reply channelstest.Reply, v channels.Verdict) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &events.Send{Recipient: toUser, Content: block}},
			Exchanges: []channelstest.Exchange{{Want: channelstest.Wire{Path: userPath, Query: blockName}, Reply: reply, Verdict: v}}}
	}
	said := func(class channels.Class, reason, text string) channels.Verdict {
		return channels.Verdict{Class: class, Reason: reason, ProviderText: text}
	}
	no := func(text string) channelstest.Reply {
		return channelstest.Reply{Body: `{"success":false,"result":"` + text + `"}`}
	}
	attributes := func(pairs ...string) (all []events.Attribute) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, events.Attribute{Name: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	refused := func(name, field string, s events.Send) channelstest.Case {
		return channelstest.Case{Name: name, Request: events.Request{Send: &s}, Refused: field}
	}
	cases := []channelstest.Case{
		sent("user", events.Send{Recipient: toUser, Content: block}, userPath, blockName),
		sent("phone", events.Send{Recipient: toPhone, Content: block}, phonePath, blockName+"&phone=%2B84900000001"),
		sent("tag and attributes", events.Send{
			Recipient: toPhone, Content: block, Policy: events.Policy{MessageTag: "HUMAN_AGENT"},
			Attributes: attributes("order id", "42&43", "Tên", "Ánh", "a", "", "ahachat", "x"),
		}, phonePath, "ahachat_message_tag=HUMAN_AGENT&"+blockName+"&phone=%2B84900000001&order%20id=42%2643&T%C3%AAn=%C3%81nh&a=&ahachat=x"),

		refused("text", "content.kind", events.Send{Recipient: toUser, Content: events.Content{Kind: events.ContentText, Text: "Hi"}}),
		refused("template", "content.kind", events.Send{Recipient: toUser, Content: events.Content{Kind: events.ContentTemplate, TemplateRef: "1"}}),
		refused("contact", "content.kind", events.Send{Recipient: events.Recipient{Kind: events.ByContactID, Value: "1"}, Content: block}),
		refused("sender", "sender.id", events.Send{Recipient: toUser, Content: block, Sender: events.Sender{ID: "1"}}),
		refused("pre-check", "policy.precheck", events.Send{Recipient: toUser, Content: block, Policy: events.Policy{Precheck: "user_status"}}),
		sent("attributes that make a long URL", events.Send{Recipient: toPhone, Content: block, Attributes: attributes("a", strings.Repeat("ế", 3600))},
			phonePath, blockName+"&phone=%2B84900000001&a="+strings.Repeat("%E1%BA%BF", 3600)),
		refused("attributes that make too long a URL", "attributes", events.Send{Recipient: toPhone, Content: block,
			Attributes: attributes("a", strings.Repeat("ế", 2000), "b", strings.Repeat("ế", 1700))}),
		refused("attribute twice", "attributes[1].name", events.Send{Recipient: toUser, Content: block, Attributes: attributes("a", "1", "a", "2")}),
		refused("user that is no id", "recipient.value", events.Send{Recipient: events.Recipient{Kind: events.ByMessengerUserID, Value: ".."}, Content: block}),

		answered("an answer without success", channelstest.Reply{Body: `{"result":"queued"}`}, channels.Verdict{Class: channels.OK, Evidence: events.Weak, ProviderText: "queued"}),
		answered("success null", channelstest.Reply{Status: 201, Body: `{"success":null}`}, accepted),
		answered("a log-in page", channelstest.Reply{Body: "<html>Log in</html>"}, channels.Verdict{Class: channels.Ambiguous, Reason: "unexpected_answer"}),
		answered("no answer at all", channelstest.Reply{}, channels.Verdict{Class: channels.Ambiguous, Reason: "unexpected_answer"}),
		answered("no", no("Block not found"), said(channels.Permanent, "provider_refused", "Block not found")),
		answered("no, as 0", channelstest.Reply{Body: `{"success":0,"message":"Block not found"}`}, said(channels.Permanent, "provider_refused", "Block not found")),
		answered("no, by the token", no("Invalid ahachat_token"), said(channels.Auth, "unauthorized", "Invalid ahachat_token")),
		answered("no, as a word", channelstest.Reply{Body: `{"success":"no","message":"Block not found"}`}, said(channels.Permanent, "provider_refused", "Block not found")),
		answered("an error alone", channelstest.Reply{Body: `{"error":"Invalid ahachat_token"}`}, said(channels.Auth, "unauthorized", "Invalid ahachat_token")),
		answered("an error of Meta's", channelstest.Reply{Body: `{"error":{"message":"(#10) This message is sent outside of allowed window.","code":10}}`},
			channels.Verdict{Class: channels.Permanent, Reason: "window", ProviderText: "(#10) This message is sent outside of allowed window.", ProviderCode: "10"}),
		answered("an error and success null", channelstest.Reply{Body: `{"success":null,"error":"Bot not found"}`}, said(channels.Permanent, "provider_refused", "Bot not found")),
		answered("an error without words", channelstest.Reply{Body: `{"error":true}`}, channels.Verdict{Class: channels.Permanent, Reason: "provider_refused"}),
		answered("a status of error", channelstest.Reply{Body: `{"status":"error","message":"Bot not found"}`}, said(channels.Permanent, "provider_refused", "Bot not found")),
		answered("an error and success", channelstest.Reply{Body: `{"success":true,"error":"Attribute not stored"}`},
			channels.Verdict{Class: channels.OK, Evidence: events.Weak, ProviderText: "Attribute not stored"}),
		answered("no, by a parameter that is missing", channelstest.Reply{Status: 400, Body: `{"success":false,"result":"missing ahachat_message_tag"}`},
			said(channels.Permanent, "request_refused", "missing ahachat_message_tag")),
		answered("no, by a parameter that is missing, with 200", no("missing ahachat_message_tag"), said(channels.Permanent, "provider_refused", "missing ahachat_message_tag")),
		answered("no, by the token, with 400", channelstest.Reply{Status: 400, Body: `{"error":{"message":"Token expired","code":190}}`},
			channels.Verdict{Class: channels.Auth, Reason: "unauthorized", ProviderText: "Token expired", ProviderCode: "190"}),
		answered("no, by the window", no("(#10) This message is sent outside of allowed window."), said(channels.Permanent, "window", "(#10) This message is sent outside of allowed window.")),
		answered("no, by the window in words", no("Quá 24 giờ kể từ tin nhắn cuối"), said(channels.Permanent, "window", "Quá 24 giờ kể từ tin nhắn cuối")),
		answered("no, by the tag", no("(#100) Invalid message tag"), said(channels.Permanent, "window", "(#100) Invalid message tag")),
		answered("no, by the person", no("(#551) This person isn't available right now."), said(channels.Permanent, "unreachable", "(#551) This person isn't available right now.")),
		answered("403 about the window", channelstest.Reply{Status: 403, Body: `{"success":false,"result":"(#10) outside of allowed window"}`},
			said(channels.Permanent, "window", "(#10) outside of allowed window")),
		answered("403 about the person", channelstest.Reply{Status: 403, Body: `{"error":"(#551) This person isn't available right now."}`},
			said(channels.Permanent, "unreachable", "(#551) This person isn't available right now.")),
		answered("403 about the bot", channelstest.Reply{Status: 403, Body: `{"success":false,"result":"Bot is disabled"}`}, said(channels.Auth, "forbidden", "Bot is disabled")),
		answered("401 whatever it says", channelstest.Reply{Status: 401, Body: `{"success":false,"result":"(#10) outside of allowed window"}`},
			said(channels.Auth, "unauthorized", "(#10) outside of allowed window")),
		answered("unknown user", channelstest.Reply{Status: 404, Body: `{"success":false,"message":"User not found"}`}, said(channels.Permanent, "not_found", "User not found")),
		answered("a page that speaks of tokens", channelstest.Reply{Status: 404, Body: "<html><meta name=csrf-token></html>"}, channels.Verdict{Class: channels.Permanent, Reason: "not_found"}),
		answered("no with a 500", channelstest.Reply{Status: 500, Body: `{"success":false,"message":"Server error"}`},
			channels.Verdict{Class: channels.Ambiguous, Reason: "server_error", ProviderText: "Server error", ProviderFault: true}),
		answered("too many", channelstest.Reply{Status: 429, Header: map[string]string{"Retry-After": "3"}},
			channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: 3000}),
	}
	withTag := func(tag string, c channelstest.Case) channelstest.Case {
		c.Account = &channels.Account{Settings: map[string]string{"bot_id": "b0t/1", "message_tag": tag}}
		return c
	}
	cases = append(cases,
		withTag("HUMAN_AGENT", sent("the account's tag", events.Send{Recipient: toUser, Content: block},
			userPath, "ahachat_message_tag=HUMAN_AGENT&"+blockName)),
		withTag("HUMAN_AGENT", sent("a tag of its own", events.Send{Recipient: toUser, Content: block, Policy: events.Policy{MessageTag: "OTHER"}},
			userPath, "ahachat_message_tag=OTHER&"+blockName)),
		withTag("ACCOUNT_UPDATE", sent("the account's tag is dead", events.Send{Recipient: toUser, Content: block},
			userPath, "ahachat_message_tag=ACCOUNT_UPDATE&"+blockName, "Meta no longer takes the message tag ACCOUNT_UPDATE")))
	for _, tag := range []string{"NON_PROMOTIONAL_SUBSCRIPTION", "CONFIRMED_EVENT_UPDATE", "POST_PURCHASE_UPDATE", "ACCOUNT_UPDATE"} {
		cases = append(cases, sent("dead tag "+tag, events.Send{Recipient: toUser, Content: block, Policy: events.Policy{MessageTag: tag}},
			userPath, "ahachat_message_tag="+tag+"&"+blockName, "Meta no longer takes the message tag "+tag))
	}
	for _, none := range []string{`null`, `false`, `""`, `{ }`, `[]`, `0`} {
		cases = append(cases, answered("no error: "+none, channelstest.Reply{Body: `{"result":"ok","error":` + none + `}`},
			channels.Verdict{Class: channels.OK, Evidence: events.Weak, ProviderText: "ok"}))
	}
	// The first four are refused by the contract, the others are what a server
	// may read as one of them.
	for _, name := range []string{
		"phone", "PHONE", "ahachat_token", "Ahachat_Block_Name", "ahachat.token", "ahachat token", "ahachat[token", "phone[]", "phone[0]", "Phone[a][b]", "phone\x00x",
	} {
		cases = append(cases, refused("attribute "+strings.ReplaceAll(name, "\x00", "NUL"), "attributes[0].name",
			events.Send{Recipient: toPhone, Content: block, Attributes: attributes(name, "x")}))
	}
	return channelstest.Suite{Account: account, Cases: cases}
}

func TestContract_NamesWhatIsMissing(t *testing.T) {
	if _, err := ahachat.New().Contract(&channels.Account{Name: "a"}); err == nil || !strings.Contains(err.Error(), "setting bot_id") {
		t.Errorf("without a bot_id: %v", err)
	}
}
