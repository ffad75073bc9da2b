package sandbox

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

const month = 31 * 24 * time.Hour // "khoảng thời gian bé hơn bằng 1 tháng"

// chatsIn returns the conversations that P3 is asked for, the newest first.
func (c *pancakeCall) chatsIn(orderIfUnsaid string) ([]*pancakeChat, error) {
	since, until, err := c.instants()
	if err != nil {
		return nil, err
	}
	if until.Sub(since) > month {
		return nil, errors.New("the range must not be longer than a month")
	}
	order, err := c.oneOf("order_by", orderIfUnsaid, "inserted_at", "updated_at")
	if err != nil {
		return nil, err
	}
	when := func(ch *pancakeChat) time.Time {
		if order == "updated_at" {
			return ch.updated
		}
		return ch.inserted
	}
	tags, err := c.tagFilter()
	if err != nil {
		return nil, err
	}
	var found []*pancakeChat
	for _, ch := range c.page.chats {
		if at := when(ch); !at.Before(since) && !at.After(until) && !slices.ContainsFunc(tags, func(t int) bool { return !slices.Contains(ch.tags, t) }) {
			found = append(found, ch)
		}
	}
	slices.SortStableFunc(found, func(a, b *pancakeChat) int { return cmp.Or(when(b).Compare(when(a)), strings.Compare(a.id, b.id)) })
	return found, nil
}

func (c *pancakeCall) tagFilter() ([]int, error) {
	text := c.param("tags")
	if text == "" {
		return nil, nil
	}
	var tags []int
	for t := range strings.SplitSeq(text, ",") {
		id, err := strconv.Atoi(t)
		if err != nil {
			return nil, errors.New("tags must be ids with commas between them")
		}
		tags = append(tags, id)
	}
	return tags, nil
}

// conversationsV1 is P3 as the document has it.
func (c *pancakeCall) conversationsV1() (any, error) {
	const size = 30
	n, err := c.number("page_number", 1, -1)
	if err != nil {
		return nil, err
	}
	all, err := c.chatsIn("inserted_at")
	if err != nil {
		return nil, err
	}
	return fields{"success": true, "total": len(all), "conversations": c.tell(cut(all, (n-1)*size, size))}, nil
}

// conversationsV2 is P3 as it is now: 60 at most, on from the last one seen.
func (c *pancakeCall) conversationsV2() (any, error) {
	const size = 60
	if c.documented() {
		return nil, errNoPath
	}
	kind, err := c.oneOf("type", "", "INBOX", "COMMENT", "COMMENT_LIVESTREAM", "POST")
	if err != nil {
		return nil, err
	}
	if posts := c.param("post_ids"); posts != "" && kind != "POST" {
		return nil, errors.New("post_ids needs type POST")
	}
	unread, err := c.oneOf("unread_first", "false", "true")
	if err != nil {
		return nil, err
	}
	last := c.param("last_conversation_id")
	all, err := c.chatsIn("updated_at")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(ch *pancakeChat) bool { return kind != "" && ch.kind != kind })
	if unread == "true" {
		slices.SortStableFunc(all, func(a, b *pancakeChat) int {
			return map[bool]int{false: 0, true: 1}[a.read] - map[bool]int{false: 0, true: 1}[b.read]
		})
	}
	from := 0
	if last != "" {
		if from = 1 + slices.IndexFunc(all, func(ch *pancakeChat) bool { return ch.id == last }); from == 0 {
			return nil, errors.New("last_conversation_id is not one of these conversations")
		}
	}
	return fields{"success": true, "conversations": c.tell(cut(all, from, size))}, nil
}

// cut returns up to n from the from-th on.
func cut[T any](all []T, from, n int) []T {
	from = min(max(from, 0), len(all))
	return all[from:min(from+n, len(all))]
}

func (c *pancakeCall) tell(chats []*pancakeChat) []fields {
	all := []fields{}
	for _, ch := range chats {
		all = append(all, c.conversation(ch))
	}
	return all
}

// conversation is one as P3 and P5 tell it.
func (c *pancakeCall) conversation(ch *pancakeChat) fields {
	f := fields{
		"id": ch.id, "page_id": c.page.id, "customer_id": ch.customer, "type": ch.kind,
		"inserted_at": ch.inserted.Format(pancakeRecord), "updated_at": ch.updated.Format(pancakeRecord),
		"customers":                    []fields{{"id": ch.customer, "fb_id": ch.psid, "name": ch.name, "avatar_url": nil}},
		"from":                         fields{"id": ch.psid, "name": ch.name, "email": ch.psid + "@facebook.com"},
		"recent_phone_numbers":         []any{},
		"has_phone":                    false,
		"tag_histories":                []any{},
		"assignee_histories":           []any{},
		"assignee_ids":                 slices.Concat([]string{}, ch.assignees),
		"post_id":                      nil,
		"message_count":                ch.messages,
		"seen":                         ch.read,
		"snippet":                      "Cảm ơn shop",
		"last_sent_by":                 fields{"id": c.page.id, "name": "Trang Mẫu", "admin_id": pancakeStaff[0].fbID, "admin_name": pancakeStaff[0].name},
		"read_watermarks":              []fields{{"psid": ch.psid, "message_id": "m_" + ch.psid, "watermark": ch.updated.Unix()}},
		"thread_id":                    "1" + ch.psid,
		"last_customer_interactive_at": ch.updated.Format(pancakeRecord),
	}
	if ch.kind == "COMMENT" {
		f["post_id"] = c.page.id + "_55"
	}
	if c.documented() {
		f["tags"] = ch.tags
		return f
	}
	tags := []any{nil} // §2.4: "entries may be null"
	for _, id := range ch.tags {
		tags = append(tags, fields{"id": id, "text": pancakeTag(id), "color": "#4b5577", "is_deactive": false, "is_lead_event": false})
	}
	f["tags"] = tags
	return f
}

func pancakeTag(id int) string {
	for _, t := range pancakeTags {
		if t.id == id {
			return t.text
		}
	}
	return ""
}

// chat is the conversation that the path names.
func (c *pancakeCall) chat() (*pancakeChat, error) {
	ch := c.page.byID[c.vars["conversation"]]
	if ch == nil {
		return nil, errors.New("conversation not found")
	}
	return ch, nil
}
