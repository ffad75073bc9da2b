package events_test

import (
	"bytes"
	"encoding/hex"
	"maps"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/pkg/events"
)

// m is a body as a foreign producer builds it.
type m = map[string]any

const (
	sendSubject    = "tram.send.caresoft.main.urgent"
	reportSubject  = "tram.report.momo.main.bulk"
	commandSubject = "tram.command.pancake.shop.normal"
	cancelSubject  = "tram.cancel.caresoft.main.urgent"
)

// vectorTable is the source of testdata/vectors.json, without the meanings.
func vectorTable(t *testing.T) []vector {
	var all []vector
	all = append(all, validRequests(t)...)
	all = append(all, validEvents(t)...)
	all = append(all, badBodies(t)...)
	all = append(all, badEnvelopes(t)...)
	all = append(all, badFields(t)...)
	all = append(all, badValues(t)...)
	all = append(all, badForAccount(t)...)
	return all
}

func validRequests(t *testing.T) []vector {
	request := func(r *events.Request) (*nats.Msg, error) {
		r.ID, r.Source = "order-1001/otp", "/acme/shop"
		return events.EncodeRequest(r)
	}
	exact := func(name string, r *events.Request) vector {
		msg, err := request(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return fromMsg(name, msg)
	}
	return []vector{
		exact("send: text to a phone", &events.Request{
			Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: events.Urgent,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
				Content:   events.Content{Kind: events.ContentText, Text: "Đơn hàng của bạn đang được giao."},
			},
		}),
		exact("send: template to a contact, every field", &events.Request{
			Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: events.Normal,
			Send: &events.Send{
				Recipient:   events.Recipient{Kind: events.ByContactID, Value: "122052447"},
				Content:     events.Content{Kind: events.ContentTemplate, TemplateRef: "608", Params: map[string]string{"username": "An", "code": "1001"}},
				Sender:      events.Sender{ID: "1234567890123456789"},
				Policy:      events.Policy{ExpectKind: "transaction", Precheck: "none"},
				OnAmbiguous: events.Resend,
				OrderKey:    "order-1001",
				Timing:      events.Timing{NotBeforeMS: 1795000000000, ExpiresAtMS: 1795000600000},
				Context:     events.Context{Tenant: "acme", CorrelationID: "order-1001", Metadata: map[string]string{"step": "shipped"}},
			},
		}),
		exact("send: block with attributes", &events.Request{
			Kind: events.KindSend, Provider: "ahachat", Account: "bot-1", Class: events.Bulk,
			Send: &events.Send{
				Recipient:  events.Recipient{Kind: events.ByMessengerUserID, Value: "4211234567890123"},
				Content:    events.Content{Kind: events.ContentBlock, BlockName: "Khuyến mãi tháng 11"},
				Attributes: []events.Attribute{{Name: "vip", Value: "yes"}, {Name: "points", Value: "120"}},
				Policy:     events.Policy{MessageTag: "CONFIRMED_EVENT_UPDATE"},
			},
		}),
		exact("report: preset and filter", &events.Request{
			Kind: events.KindReport, Provider: "momo", Account: "main", Class: events.Bulk,
			Report: &events.Report{
				Report: "momo.messages_report", Range: events.Range{Preset: "DAY_AGO_60"},
				Filters: map[string]string{"condition_id": "NO_ACTIVITIES_30"}, Page: events.Paging{Size: 20, MaxPages: 50},
			},
		}),
		exact("report: instants", &events.Request{
			Kind: events.KindReport, Provider: "pancake", Account: "shop", Class: events.Normal,
			Report: &events.Report{
				Report: "pancake.stats.staff_multi", Pages: []string{"p-1", "wa_c.us@p-2"},
				Range: events.Range{FromMS: 1793000000000, ToMS: 1794000000000}, GroupBy: []string{"page_id"}, OrderBy: "inserted_at",
			},
		}),
		exact("report: dates in a zone", &events.Request{
			Kind: events.KindReport, Provider: "facebook", Account: "page", Class: events.Bulk,
			Report: &events.Report{
				Report: "facebook.page_insights", Granularity: "day", Metrics: []string{"page_messages_sent"},
				Range: events.Range{FromDate: "2026-11-01", ToDate: "2026-11-08", Zone: "Asia/Ho_Chi_Minh"},
			},
		}),
		exact("report: about one person", &events.Request{
			Kind: events.KindReport, Provider: "caresoft", Account: "main", Class: events.Urgent,
			Report: &events.Report{
				Report: "caresoft.zalo_user_status", Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
				Sender: events.Sender{ID: "1234567890123456789"},
			},
		}),
		exact("command: assign a conversation", &events.Request{
			Kind: events.KindCommand, Provider: "pancake", Account: "shop", Class: events.Urgent,
			Command: &events.Command{
				Command: "conversation.assign", PageID: "p-1", ConversationID: "p-1_c-9", AssigneeIDs: []string{"u-1", "u-2"},
				Timing: events.Timing{ExpiresAtMS: 1795000600000}, Context: events.Context{CorrelationID: "ticket-7"},
			},
		}),
		exact("command: add a tag", &events.Request{
			Kind: events.KindCommand, Provider: "pancake", Account: "shop", Class: events.Normal,
			Command: &events.Command{Command: "conversation.tag.add", PageID: "p-1", ConversationID: "p-1_c-9", TagID: "3"},
		}),
		exact("cancel: a request of another source, every field", &events.Request{
			Kind: events.KindCancel, Provider: "caresoft", Account: "main", Class: events.Urgent,
			Cancel: &events.Cancel{
				ID: "order-1001-shipped", Source: "/acme/warehouse",
				Context: events.Context{Tenant: "acme", CorrelationID: "order-1001", Metadata: map[string]string{"by": "returns"}},
			},
		}),
		exact("cancel: a request of the same source", &events.Request{
			Kind: events.KindCancel, Provider: "momo", Account: "main", Class: events.Bulk,
			Cancel: &events.Cancel{ID: "nightly-2026-11-21"},
		}),
		{
			Name: "send: another order, unknown fields, nil fields", Subject: sendSubject,
			Note:    "keys may come in any order; unknown ones are ignored, whatever is in them; nil is as good as absent",
			Headers: headers(events.KindSend, nil),
			BodyHex: pack(t, m{
				"zz_unknown": []any{1, m{"deep": []any{nil, true, 1.5}}}, "content": m{"kind": "text", "text": "Hi", "block_name": nil},
				"recipient": m{"value": "0900000001", "kind": "phone"}, "attributes": nil, "metadata": m{"gone": nil, "kept": "1"}, "sender": nil,
			}),
		},
		{
			Name: "send: integers in their longest form, long string heads", Subject: sendSubject,
			Note:    "any of msgpack's integer and string forms will do",
			Headers: headers(events.KindSend, nil),
			BodyHex: "de0003" + str32("recipient") + "df00000002" + str32("kind") + str32("phone") + str32("value") + str32("0900000001") +
				str32("content") + "82" + str32("kind") + str32("text") + str32("text") + str32("Hi") +
				str32("expires_at_ms") + "cf000001a1ee0f5b00",
		},
		{
			Name: "send: no content type, other headers", Subject: sendSubject,
			Note:    "ce-time, ce-datacontenttype and Nats-Msg-Id may be left out; a broken traceparent is dropped",
			Headers: map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/acme/shop", "ce-type": events.KindSend.Type(), "x-other": "1", "traceparent": "\x01"},
			BodyHex: pack(t, goodSend()),
		},
		{
			Name: "send: vendor content type with a parameter", Subject: sendSubject,
			Headers: headers(events.KindSend, map[string]string{"ce-datacontenttype": "application/vnd.msgpack; charset=binary"}),
			BodyHex: pack(t, goodSend()),
		},
	}
}

func validEvents(t *testing.T) []vector {
	meta := events.Meta{ID: "9f86d081884c7d659a2feaa0c55ad015", Source: events.Source}
	about := func(provider, account string) events.About {
		return events.About{
			Provider: provider, Account: account, RequestID: "order-1001/otp", RequestSource: "/acme/shop",
			Context: events.Context{Tenant: "acme", CorrelationID: "order-1001", Metadata: map[string]string{"step": "shipped"}},
		}
	}
	value := "5"
	exact := func(name string, msg *nats.Msg, err error) vector {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return fromMsg(name, msg)
	}
	recipient := events.Recipient{Kind: events.ByPhone, Value: "0900000001"}
	delivery := func(name string, d events.Delivery) vector {
		d.About, d.Recipient, d.AtMS = about("caresoft", "main"), recipient, 1795000001234
		msg, err := events.EncodeDelivery(meta, &d)
		return exact("delivery: "+name, msg, err)
	}
	stat := func(name string, v *string) vector {
		msg, err := events.EncodeStat(meta, &events.Stat{
			About: about("momo", "main"), Key: "4c1f0b9f3a2e4d5c6b7a8990a1b2c3d4", Report: "momo.messages_report", Metric: "READ", Alias: "messages.read",
			Value: v, Raw: "5", Unit: events.UnitCount, UnitSource: events.Declared, Agg: events.AggCumulative,
			Bucket: events.Bucket{AtMS: 1795000001234}, Dims: map[string]string{"campaign_id": "1701059872524", "segment_id": "1327"},
			Flags: []string{"approximate"}, Path: "/json/data/0/reports/READ", Page: 1, FetchedMS: 1795000001234,
		})
		return exact("stat: "+name, msg, err)
	}
	record, err1 := events.EncodeRecord(meta, &events.Record{
		About: about("momo", "main"), Key: "00ff0b9f3a2e4d5c6b7a8990a1b2c3d4", Report: "momo.messages_report", Kind: "campaign", ID: "1701059872524",
		Attrs: map[string]string{"created_ms": "1701059874844"}, Object: `{"campaign_id":"1701059872524"}`, Path: "/json/data/0", Page: 1, FetchedMS: 1795000001234,
	})
	done, err2 := events.EncodeOutcome(meta, &events.Outcome{
		About: about("momo", "main"), Kind: events.KindReport, Name: "momo.messages_report", State: events.StateDone, Final: true,
		Attempt: 3, AtMS: 1795000001234, Pages: 3, Stats: 420, Records: 60,
	})
	lane := func(name string, l events.Lane) vector {
		l.Provider, l.Account, l.SinceMS = "caresoft", "main", 1795000001234
		msg, err := events.EncodeLane(meta, &l)
		return exact("lane: "+name, msg, err)
	}
	return []vector{
		delivery("accepted", events.Delivery{State: events.StateAccepted, Final: true, Attempt: 1, Evidence: events.Strong, ProviderMessageID: "m-1"}),
		delivery("deferred", events.Delivery{
			State: events.StateDeferred, RetryAtMS: 1795000061234,
			Why: events.Why{Class: "throttled", Reason: "too_many_calls", Detail: "the provider asks for a pause", HTTPStatus: 429},
		}),
		delivery("rejected", events.Delivery{
			State: events.StateRejected, Final: true, Warnings: []string{"message_tag is no longer taken"},
			Why: events.Why{Class: "permanent", Reason: "invalid_request", Detail: "invalid send: sender.id: account main has no default; give the Zalo OA id"},
		}),
		stat("a value", &value),
		stat("null, which is not zero", nil),
		exact("record: a campaign", record, err1),
		exact("outcome: a report is complete", done, err2),
		lane("an operator pauses it", events.Lane{State: events.LanePaused, Was: events.LaneWorking, By: "an", Why: events.Why{Detail: "their office moves"}}),
		lane("its credential is refused", events.Lane{
			State: events.LaneCredentialRefused, Was: events.LaneWorking,
			Why: events.Why{Class: "auth", Reason: "unauthorized", Detail: "the token has expired", HTTPStatus: 401},
		}),
		lane("the provider wants silence", events.Lane{State: events.LaneSilenced, Was: events.LaneWorking, UntilMS: 1795000031234}),
		lane("it works again", events.Lane{State: events.LaneWorking, Was: events.LaneBreakerProbing}),
		{
			Name: "delivery: fields of a later version", Subject: "tram.delivery.caresoft.main.accepted",
			Headers: headers(events.KindDelivery, nil),
			BodyHex: pack(t, m{"provider": "caresoft", "account": "main", "request_id": "1", "request_source": "/acme/shop", "state": "accepted", "final": true, "attempt": 1, "at_ms": 1795000001234, "recipient": m{"kind": "phone", "value": "0900000001"}, "cost": m{"vnd": 400}}),
		},
	}
}

// badBodies are refused before anything decodes them.
func badBodies(t *testing.T) []vector {
	body := func(name, hexBody string) vector {
		return vector{Name: "body: " + name, Subject: sendSubject, Headers: headers(events.KindSend, nil), BodyHex: hexBody}
	}
	over := body("one byte over 256 KiB", "81"+str("x")+"c6"+"0003fff9") // well-formed otherwise
	over.Pad = events.MaxBody + 1 - 8
	return []vector{
		body("empty", ""),
		body("five bytes that claim a list of 4 G", "ddffffffff"),
		body("five bytes that claim a map of 4 G", "dfffffffff"),
		body("five bytes that claim 4 GB", "c6ffffffff"),
		body("a map that claims 4 G inside a field", "81"+str("content")+"dfffffffff"),
		body("a list that claims more than there is", "81"+str("pages")+"dd01000000"),
		body("a text that claims more than there is", "81"+str("tenant")+"dbffffffff"),
		body("an extension that claims more than there is", "81"+str("tenant")+"c9ffffffff01"),
		body("nested 33 deep", "81"+str("x")+strings.Repeat("91", 32)+"c0"),
		body("nested 1000 deep in an unknown field", "81"+str("x")+strings.Repeat("91", 1000)+"c0"),
		body("ends in the middle", "82"+str("tenant")+str("acme")),
		body("ends within a head", "81"+str("tenant")+"da00"),
		body("bytes after the end", pack(t, goodSend())+"c0"),
		body("a list", "90"), body("text", str("hello")), body("nil", "c0"), body("a number", "01"),
		body("JSON", hex.EncodeToString([]byte(`{"recipient":{"kind":"phone","value":"0900000001"}}`))),
		body("a key that is a number", "8101c0"),
		body("a key that is a number inside an unknown field", "81"+str("x")+"8101c0"),
		body("the one unused code", "81"+str("x")+"c1"),
		over,
	}
}

func badEnvelopes(t *testing.T) []vector {
	env := func(name, subject string, change map[string]string) vector {
		return vector{Name: "envelope: " + name, Subject: subject, Headers: headers(events.KindSend, change), BodyHex: pack(t, goodSend())}
	}
	gone := "\x00gone"
	return []vector{
		env("no headers but the id", sendSubject, map[string]string{"ce-specversion": gone, "ce-source": gone, "ce-type": gone}),
		env("no id", sendSubject, map[string]string{"ce-id": gone}),
		env("an empty id", sendSubject, map[string]string{"ce-id": ""}),
		env("a space in the id", sendSubject, map[string]string{"ce-id": "order 1"}),
		env("an id that is not ASCII", sendSubject, map[string]string{"ce-id": "đơn-1"}),
		env("an id of 129 characters", sendSubject, map[string]string{"ce-id": strings.Repeat("x", 129)}),
		env("a percent sign in the source", sendSubject, map[string]string{"ce-source": "/acme%20shop"}),
		env("a header in HTTP's case", sendSubject, map[string]string{"ce-id": gone, "Ce-Id": "1"}),
		env("two ids", sendSubject, map[string]string{"ce-id": "1\n2"}),
		env("another version of CloudEvents", sendSubject, map[string]string{"ce-specversion": "0.3"}),
		env("the type of another kind", sendSubject, map[string]string{"ce-type": events.KindReport.Type()}),
		env("another version of the type", sendSubject, map[string]string{"ce-type": "io.github.tramhq.send.v2"}),
		env("a time in words", sendSubject, map[string]string{"ce-time": "yesterday"}),
		env("JSON as content type", sendSubject, map[string]string{"ce-datacontenttype": "application/json"}),
		env("structured mode", sendSubject, map[string]string{"Content-Type": "application/cloudevents+json"}),
		env("a class that does not exist", "tram.send.caresoft.main.asap", nil),
		env("four tokens", "tram.send.caresoft.urgent", nil),
		env("six tokens", "tram.send.caresoft.main.urgent.1", nil),
		env("a provider with a space", "tram.send.care soft.main.urgent", nil),
		env("a kind that does not exist", "tram.message.caresoft.main.urgent", nil),
	}
}

// badFields have the wrong type.
func badFields(t *testing.T) []vector {
	field := func(name string, change m) vector {
		return vector{Name: "type: " + name, Subject: sendSubject, Headers: headers(events.KindSend, nil), BodyHex: pack(t, with(goodSend(), change))}
	}
	report := func(name string, change m) vector {
		return vector{Name: "type: " + name, Subject: reportSubject, Headers: headers(events.KindReport, nil), BodyHex: pack(t, with(m{"report": "momo.messages_report"}, change))}
	}
	return []vector{
		field("a phone as a number", m{"recipient": m{"kind": "phone", "value": 84900000001}}),
		field("an id as a float", m{"recipient": m{"kind": "contact_id", "value": 1.2205e8}}),
		field("text as binary", m{"content": m{"kind": "text", "text": []byte("hi")}}),
		field("recipient as text", m{"recipient": "0900000001"}),
		field("recipient by position", m{"recipient": []any{"phone", "0900000001"}}),
		field("a time as text", m{"expires_at_ms": "2026-11-21T08:00:00Z"}),
		field("a time as a float", m{"expires_at_ms": 1795000600000.5}),
		field("a time beyond 64 bits", m{"expires_at_ms": uint64(1) << 63}),
		field("attributes as a map", m{"attributes": m{"vip": "yes"}}),
		field("an attribute that is nil", m{"attributes": []any{nil}}),
		field("an attribute's value as a number", m{"attributes": []any{m{"name": "points", "value": 120}}}),
		field("a parameter as a number", m{"content": m{"kind": "template", "template_ref": "608", "params": m{"code": 1001}}}),
		field("a parameter under a key not to be told", m{"content": m{"kind": "template", "template_ref": "608", "params": m{"0900000001": 1}}}),
		field("metadata as text", m{"metadata": "{}"}),
		field("true for text", m{"tenant": true}),
		field("several at once", m{"recipient": m{"kind": 1, "value": 2}, "content": m{"kind": "text", "text": 3}}),
		{
			Name: "type: a field given twice", Subject: sendSubject, Headers: headers(events.KindSend, nil),
			BodyHex: "82" + str("tenant") + str("a") + str("tenant") + str("b"),
		},
		{
			Name: "type: a key given twice", Subject: sendSubject, Headers: headers(events.KindSend, nil),
			BodyHex: "81" + str("metadata") + "82" + str("a") + str("1") + str("a") + str("2"),
		},
		field("1001 attributes", m{"attributes": make([]any, 1001)}),
		report("pages as text", m{"pages": "p-1"}),
		report("a page id as a number", m{"pages": []any{"p-1", 2}}),
		report("a page size as text", m{"page": m{"size": "20"}}),
		{
			Name: "type: a stat's value as a number", Subject: "tram.stat.momo.main.momo_messages_report", Headers: headers(events.KindStat, nil),
			BodyHex: pack(t, m{"value": 5}),
		},
		{
			Name: "type: final as a number", Subject: "tram.outcome.momo.main.done", Headers: headers(events.KindOutcome, nil),
			BodyHex: pack(t, m{"final": 1}),
		},
	}
}

// badValues have the right types and say what nobody could carry out.
func badValues(t *testing.T) []vector {
	send := func(name string, change m) vector {
		return vector{Name: "value: " + name, Subject: sendSubject, Headers: headers(events.KindSend, nil), BodyHex: pack(t, with(goodSend(), change))}
	}
	report := func(name string, change m) vector {
		return vector{Name: "value: " + name, Subject: reportSubject, Headers: headers(events.KindReport, nil), BodyHex: pack(t, with(m{"report": "momo.messages_report"}, change))}
	}
	command := func(name string, body m) vector {
		return vector{Name: "value: " + name, Subject: commandSubject, Headers: headers(events.KindCommand, nil), BodyHex: pack(t, body)}
	}
	cancel := func(name string, body m) vector {
		return vector{Name: "value: " + name, Subject: cancelSubject, Headers: headers(events.KindCancel, nil), BodyHex: pack(t, body)}
	}
	text := func(change m) m { return m{"content": with(m{"kind": "text", "text": "Hi"}, change)} }
	to := func(kind, value string) m { return m{"recipient": m{"kind": kind, "value": value}} }
	long := strings.Repeat("x", 257)
	return []vector{
		{Name: "value: an empty map", Subject: sendSubject, Headers: headers(events.KindSend, nil), BodyHex: "80"},
		send("a recipient kind that does not exist", to("email", "an@example.com")),
		send("a recipient without a value", to("phone", "")),
		send("a recipient with a control character", to("phone", "0900\t000001")),
		send("a recipient with a space before it", to("phone", " 0900000001")),
		send("a recipient of 257 characters", to("contact_id", long)),
		send("a recipient that is not UTF-8", to("contact_id", "\xff\xfe")),
		send("text that is not UTF-8", text(m{"text": "\xff"})),
		send("metadata whose key is not UTF-8", m{"metadata": m{"\xff": "1", "a": "2"}}),
		send("no text", text(m{"text": ""})),
		send("text of 10001 characters", text(m{"text": strings.Repeat("x", 10_001)})),
		send("both text and template", text(m{"template_ref": "608"})),
		send("parameters without a template", text(m{"params": m{"code": "1"}})),
		send("a block without its name", m{"content": m{"kind": "block"}}),
		send("a template without its reference", m{"content": m{"kind": "template", "params": m{"a": "b"}}}),
		send("a content kind that does not exist", m{"content": m{"kind": "image"}}),
		send("an empty parameter name", m{"content": m{"kind": "template", "template_ref": "1", "params": m{"": "b"}}}),
		send("an attribute given twice", m{"attributes": []any{m{"name": "vip", "value": "1"}, m{"name": "vip", "value": "2"}}}),
		send("an attribute without a name", m{"attributes": []any{m{"name": "", "value": "1"}}}),
		send("an on_ambiguous that does not exist", m{"on_ambiguous": "retry"}),
		send("expires before it may begin", m{"not_before_ms": 1795000600000, "expires_at_ms": 1795000600000}),
		send("a time in seconds", m{"expires_at_ms": 1795000600}),
		send("a time in microseconds", m{"expires_at_ms": 1795000600000000}),
		send("a negative time", m{"not_before_ms": -1}),
		send("metadata of more than 8 KiB", m{"metadata": m{"a": strings.Repeat("x", 8192)}}),
		send("an order key with a line break", m{"order_key": "a\nb"}),
		send("everything wrong at once", m{"recipient": m{"kind": "fax", "value": ""}, "content": m{"kind": "text"}, "tenant": long, "on_ambiguous": "x"}),
		report("no report", m{"report": ""}),
		report("a report that is no name", m{"report": "momo messages"}),
		report("both instants and dates", m{"range": m{"from_ms": 1793000000000, "to_ms": 1794000000000, "from_date": "2026-11-01", "to_date": "2026-11-02"}}),
		report("both a preset and dates", m{"range": m{"preset": "ALL", "from_date": "2026-11-01", "to_date": "2026-11-02"}}),
		report("an end before the beginning", m{"range": m{"from_ms": 1794000000000, "to_ms": 1793000000000}}),
		report("a beginning without an end", m{"range": m{"from_ms": 1794000000000}}),
		report("a date that does not exist", m{"range": m{"from_date": "2026-02-30", "to_date": "2026-03-02"}}),
		report("the same date twice", m{"range": m{"from_date": "2026-11-01", "to_date": "2026-11-01"}}),
		report("an end date alone", m{"range": m{"to_date": "2026-11-01"}}),
		report("a zone that does not exist", m{"range": m{"from_date": "2026-11-01", "to_date": "2026-11-02", "zone": "Asia/Saigonn"}}),
		report("the zone Local", m{"range": m{"from_date": "2026-11-01", "to_date": "2026-11-02", "zone": "Local"}}),
		report("a granularity that does not exist", m{"granularity": "minute"}),
		report("an empty page id", m{"pages": []any{""}}),
		report("a negative page size", m{"page": m{"size": -1, "max_pages": -1}}),
		report("half a recipient", m{"recipient": m{"kind": "phone"}}),
		command("no command", m{}),
		cancel("no id", m{}),
		cancel("an id with a space, and a source with a quote", m{"id": "order 1001", "source": "/acme/\"shop\""}),
		cancel("the cancel itself", m{"id": "order-1001/otp"}),
		command("a command with an id that has a line break", m{"command": "conversation.assign", "conversation_id": "a\nb", "assignee_ids": []any{"u\x00"}}),
	}
}

// badForAccount are refused by the account's contract.
func badForAccount(t *testing.T) []vector {
	momo := &events.Contract{Provider: "momo", Account: "main", Reports: []events.ReportForm{{
		Name: "momo.messages_report", Needs: []string{"range.preset", "filters.condition_id"}, Takes: []string{"page"},
		Values: map[string][]string{"range.preset": {"DAY_AGO_30", "DAY_AGO_60", "DAY_AGO_90", "ALL"}},
	}}}
	pancake := &events.Contract{Provider: "pancake", Account: "shop", Commands: []events.CommandForm{
		{Name: "conversation.tag.add", Needs: []string{"conversation_id", "tag_id"}, Takes: []string{"page_id"}},
		{Name: "conversation.mark_read", Needs: []string{"conversation_id"}, Takes: []string{"page_id"}},
	}}
	ahachat := &events.Contract{
		Provider: "ahachat", Account: "bot-1", Attributes: true, ReservedAttributes: []string{"phone", "ahachat_*"}, MessageTag: true,
		Sends: []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentBlock}, {Recipient: events.ByMessengerUserID, Content: events.ContentBlock}},
	}
	for_ := func(c *events.Contract, name, subject string, k events.Kind, body m) vector {
		return vector{Name: "account: " + name, Subject: subject, Headers: headers(k, nil), BodyHex: pack(t, body), Contract: c}
	}
	send := func(name string, change m) vector {
		return for_(&caresoft, name, sendSubject, events.KindSend, with(with(goodSend(), m{"sender": m{"id": "1"}}), change))
	}
	block := func(name string, change m) vector {
		return for_(ahachat, name, "tram.send.ahachat.bot-1.bulk", events.KindSend, with(m{"recipient": m{"kind": "phone", "value": "0900000001"}, "content": m{"kind": "block", "block_name": "Hi"}}, change))
	}
	report := func(name string, body m) vector {
		return for_(momo, name, reportSubject, events.KindReport, body)
	}
	command := func(name string, body m) vector {
		return for_(pancake, name, commandSubject, events.KindCommand, body)
	}
	return []vector{
		send("no sender", m{"sender": nil}),
		send("text of 1001 characters", m{"content": m{"kind": "text", "text": strings.Repeat("ế", 1001)}}),
		send("a combination that does not exist", m{"content": m{"kind": "block", "block_name": "Hi"}}),
		send("a template reference that is not digits", m{"content": m{"kind": "template", "template_ref": "otp"}}),
		send("attributes where there are none", m{"attributes": []any{m{"name": "vip", "value": "1"}}}),
		send("a message tag where there is none", m{"policy": m{"message_tag": "X"}}),
		send("a precheck that does not exist", m{"policy": m{"precheck": "credit"}}),
		send("an expected kind that does not exist", m{"policy": m{"expect_kind": "zns"}}),
		block("reserved attributes", m{"attributes": []any{m{"name": "Phone", "value": "1"}, m{"name": "AHACHAT_token", "value": "1"}, m{"name": "vip", "value": "1"}}}),
		block("a sender where there is none", m{"sender": m{"id": "1"}}),
		block("a precheck where there is none", m{"policy": m{"precheck": "user_status"}}),
		report("a report that does not exist", m{"report": "momo.payments"}),
		report("fields missing, not taken and not allowed", m{"report": "momo.messages_report", "range": m{"preset": "DAY_AGO_7"}, "metrics": []any{"READ"}, "page": m{"size": 20}}),
		command("a command that does not exist", m{"command": "conversation.close"}),
		command("a command without a field it needs", m{"command": "conversation.tag.add", "conversation_id": "c"}),
		command("a field that the command does not take", m{"command": "conversation.mark_read", "conversation_id": "c", "tag_id": "3"}),
		for_(momo, "a send to an account that has reports only", "tram.send.momo.main.urgent", events.KindSend, goodSend()),
	}
}

func goodSend() m {
	return m{"recipient": m{"kind": "phone", "value": "0900000001"}, "content": m{"kind": "text", "text": "Hi"}}
}

// with returns body with some fields changed.
func with(body, change m) m {
	out := maps.Clone(body)
	maps.Copy(out, change)
	return out
}

func headers(k events.Kind, change map[string]string) map[string]string {
	h := map[string]string{
		"ce-specversion": "1.0", "ce-id": "order-1001/otp", "ce-source": "/acme/shop", "ce-type": k.Type(),
		"ce-datacontenttype": events.ContentType, "Nats-Msg-Id": "/acme/shop/order-1001/otp",
	}
	for name, v := range change {
		if h[name] = v; v == "\x00gone" {
			delete(h, name)
		}
	}
	return h
}

func fromMsg(name string, msg *nats.Msg) vector {
	h := make(map[string]string)
	for k := range msg.Header {
		h[k] = msg.Header.Get(k)
	}
	return vector{Name: name, Subject: msg.Subject, Headers: h, BodyHex: hex.EncodeToString(msg.Data), Exact: true}
}

// pack writes a body as another codec would.
func pack(t testing.TB, body m) string {
	t.Helper()
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.SetSortMapKeys(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(body); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b.Bytes())
}

// str is a short msgpack text in hexadecimal, str32 one with the longest head.
func str(s string) string { return hex.EncodeToString(append([]byte{0xa0 | byte(len(s))}, s...)) }

func str32(s string) string {
	return hex.EncodeToString(append([]byte{0xdb, 0, 0, 0, byte(len(s))}, s...))
}
