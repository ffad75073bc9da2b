package e2e

import (
	"strings"
	"time"

	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// An operation is one of the twenty-two, or the webhook's, as a request to an
// account of the sandbox. Those whose token may go to two places are there
// twice.
type operation struct {
	id       string
	account  string // provider and id of the sandbox's account
	settings map[string]string
	send     *events.Send
	report   *events.Report
	command  *events.Command
}

const (
	pageID     = "109483769790976"
	shopID     = "wa_c.us@84900000001"
	chatID     = pageID + "_1095955455000001"
	customerID = "06d74364-d176-23e0-d823-8633d06c9553"
	staffID    = "3fadfd70-1ead-4a16-a456-1fa007e38e5c"

	pancakeUser = "pancake/" + sandbox.PancakeUser
	pancakePage = "pancake/" + pageID
	careSoft    = "caresoft/sandbox"
	ahaChat     = "ahachat/1001"
	moMo        = "momo/130035"
	faceBook    = "facebook/104500000000001"
	webHook     = "webhook/sandbox"
)

// days are whole ones of any zone, in the past and in the sandbox's data.
func days(n int) events.Range {
	today := time.Now().UTC().Add(-24 * time.Hour)
	return events.Range{FromDate: today.AddDate(0, 0, -n).Format(time.DateOnly), ToDate: today.Format(time.DateOnly)}
}

// hours are two of the day before, in which the sandbox's pages are busy.
func hours() events.Range {
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)
	return events.Range{FromMS: day.Add(4 * time.Hour).UnixMilli(), ToMS: day.Add(6 * time.Hour).UnixMilli()}
}

func operations() []operation {
	var (
		domain = map[string]string{"domain": "sandbox", "oa_id": "1600190000000000001"}
		bot    = map[string]string{"bot_id": "1001"}
		page   = map[string]string{"page_id": pageID}
		phone  = events.Recipient{Kind: events.ByPhone, Value: "0900000001"}
		block  = events.Content{Kind: events.ContentBlock, BlockName: "welcome"}
	)
	all := []operation{
		{"m1", moMo, map[string]string{"business_page_id": "130035"}, nil, &events.Report{Report: "momo.messages_report",
			Range: events.Range{Preset: "DAY_AGO_30"}, Filters: map[string]string{"condition_id": "NO_ACTIVITIES_30"}}, nil},
		{"a1", ahaChat, bot, &events.Send{Recipient: events.Recipient{Kind: events.ByMessengerUserID, Value: "4567"}, Content: block}, nil, nil},
		{"a2", ahaChat, bot, &events.Send{Recipient: phone, Content: block}, nil, nil},
		{"c1", careSoft, domain, nil, &events.Report{Report: "caresoft.zalo_user_status", Recipient: phone}, nil},
		{"c2", careSoft, domain, &events.Send{Recipient: phone, Content: events.Content{Kind: events.ContentText, Text: "hi"}}, nil, nil},
		{"p1", pancakeUser, nil, nil, &events.Report{Report: "pancake.pages"}, nil},
		{"p2", pancakeUser, nil, nil, nil, &events.Command{Command: "page_token.generate", PageID: shopID}},
		{"p14", pancakeUser, nil, nil, &events.Report{Report: "pancake.stats.staff_multi", Range: hours(), Pages: []string{pageID}}, nil},
	}
	for _, auth := range []string{"query", "header"} {
		all = append(all, operation{"f1-" + auth, faceBook, map[string]string{"page_id": "104500000000001", "auth": auth}, nil,
			&events.Report{Report: "facebook.page_insights", Metrics: []string{"page_messages_sent"}, Granularity: "day", Range: days(3)}, nil})
	}
	for _, header := range []string{"", "X-Api-Key"} {
		settings := map[string]string{"path": "/sandbox/messages", "accepts": "phone:text", "body": `{"to":"{{recipient.value}}","text":"{{content.text}}"}`}
		id := "w-bearer"
		if header != "" {
			id, settings["header"] = "w-header", header
		}
		all = append(all, operation{id, webHook, settings, &events.Send{Recipient: phone, Content: events.Content{Kind: events.ContentText, Text: "hi"}}, nil, nil})
	}
	for id, r := range map[string]events.Report{
		"p3":  {Report: "pancake.conversations", Range: days(2)},
		"p8":  {Report: "pancake.messages", Filters: map[string]string{"conversation_id": chatID, "customer_id": customerID}},
		"p9":  {Report: "pancake.stats.ads_campaigns", Range: days(1)},
		"p10": {Report: "pancake.stats.engagement", Range: days(1)},
		"p11": {Report: "pancake.stats.page", Range: hours()},
		"p12": {Report: "pancake.stats.tags", Range: days(1)},
		"p13": {Report: "pancake.stats.staff", Range: hours()},
		"p15": {Report: "pancake.stats.new_customers", Range: days(1)},
		"p16": {Report: "pancake.page_customers", Range: days(2)},
	} {
		all = append(all, operation{id, pancakePage, page, nil, &r, nil})
	}
	for id, c := range map[string]events.Command{
		"p4": {Command: "conversation.tag.add", ConversationID: chatID, TagID: "5"},
		"p5": {Command: "conversation.assign", ConversationID: chatID, AssigneeIDs: []string{staffID}},
		"p6": {Command: "conversation.mark_read", ConversationID: chatID},
		"p7": {Command: "conversation.mark_unread", ConversationID: chatID},
	} {
		all = append(all, operation{id, pancakePage, page, nil, nil, &c})
	}
	return all
}

// provider is the one of the operation's account.
func (op operation) provider() string {
	name, _, _ := strings.Cut(op.account, "/")
	return name
}

// relay is an account of the relay for the operation alone: what befalls one
// account must not hide what befalls another.
func (op operation) relay(name, base, token string) channels.Account {
	key := "token"
	switch op.account {
	case pancakeUser:
		key = "user_token"
	case pancakePage:
		key = "page_token"
	}
	return channels.Account{
		Provider: op.provider(), Name: name, BaseURL: base + "/" + op.provider(), Settings: op.settings,
		Secrets: map[string]channels.Secret{key: channels.Secret(token)},
	}
}

// request is the operation as a request to an account of the relay.
func (op operation) request(id, account string) *events.Request {
	r := &events.Request{
		Meta: events.Meta{ID: id, Source: "/e2e"}, Provider: op.provider(), Account: account, Class: events.Normal,
		Send: op.send, Report: op.report, Command: op.command,
	}
	switch {
	case op.send != nil:
		r.Kind = events.KindSend
	case op.report != nil:
		r.Kind = events.KindReport
	default:
		r.Kind = events.KindCommand
	}
	return r
}

// once says that nobody may do the operation twice because an answer was lost.
func (op operation) once() bool { return op.send != nil || op.id == "p2" }
