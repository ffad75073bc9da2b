package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	pancakeRecord = "2006-01-02T15:04:05"        // of records: UTC, and nothing says so
	pancakeMicros = "2006-01-02T15:04:05.000000" // of messages
)

type fields = map[string]any

// pages is P1: by its token a user sees all pages, and all their tokens.
func (c *pancakeCall) pages() (any, error) {
	var all []fields
	for _, id := range c.world.order {
		p := fields{"id": id, "platform": "facebook", "name": "Trang " + id[max(0, len(id)-4):], "avatar_url": nil}
		if strings.HasPrefix(id, "wa_") {
			p["platform"] = "whatsapp"
		}
		if !c.documented() {
			p["timezone"] = 7.0
			p["settings"] = fields{"page_access_token": c.world.pages[id].token, "auto_reply": false}
		}
		all = append(all, p)
	}
	if c.documented() {
		return fields{"pages": all}, nil
	}
	return fields{"success": true, "categorized": fields{"activated": all, "inactivated": []any{}, "activated_page_ids": c.world.order}}, nil
}

// messages is P8: the 30 before the current_count newest ones.
func (c *pancakeCall) messages() (any, error) {
	const size = 30
	ch, err := c.chat()
	if err != nil {
		return nil, err
	}
	if c.param("customer_id") != ch.customer {
		return nil, errors.New("customer_id is not that of the conversation")
	}
	skip, err := c.number("current_count", 0, 0)
	if err != nil {
		return nil, err
	}
	all := []fields{}
	for i := skip; i < min(skip+size, ch.messages); i++ { // the i-th from the newest
		m := fields{
			"id": fmt.Sprintf("m_%s_%d", ch.psid, ch.messages-i), "conversation_id": ch.id, "page_id": c.page.id, "type": ch.kind,
			"inserted_at": ch.updated.Add(-time.Duration(i) * time.Minute).Format(pancakeMicros), "attachments": []any{},
			"from": fields{"id": ch.psid, "name": ch.name, "email": ch.psid + "@facebook.com"}, "message": fmt.Sprintf("Tin nhắn %d", ch.messages-i),
			"has_phone": false, "phone_info": []any{}, "is_hidden": false, "is_parent": false, "is_parent_hidden": false,
			"is_removed": false, "is_livestream_order": nil, "like_count": nil,
		}
		if !c.documented() {
			m["original_message"] = m["message"]
			m["message"] = fmt.Sprintf("<div>%s</div>", m["message"])
		}
		all = append(all, m)
	}
	if !c.documented() { // §2.4, measured: the oldest first
		slices.Reverse(all)
	}
	return fields{"success": true, "messages": all}, nil
}

// customers is P16: those of the conversations.
func (c *pancakeCall) customers() (any, error) {
	since, until, err := c.instants()
	if err != nil {
		return nil, err
	}
	n, err := c.number("page_number", 1, -1)
	if err != nil {
		return nil, err
	}
	size, err := c.number("page_size", 1, 20)
	if err != nil || size > 100 {
		return nil, errors.New("page_size must be from 1 to 100")
	}
	order, err := c.oneOf("order_by", "inserted_at", "updated_at")
	if err != nil {
		return nil, err
	}
	type customer struct {
		*pancakeChat
		at time.Time
	}
	var found []customer
	for _, ch := range c.page.chats {
		at := map[string]time.Time{"inserted_at": ch.inserted, "updated_at": ch.updated}[order]
		if !at.Before(since) && !at.After(until) {
			found = append(found, customer{ch, at})
		}
	}
	slices.SortStableFunc(found, func(a, b customer) int { return cmp.Or(b.at.Compare(a.at), strings.Compare(a.id, b.id)) })
	all := []fields{}
	for _, p := range cut(found, (n-1)*size, size) {
		all = append(all, fields{
			"id": pancakeUUID("page customer", p.customer), "customer_id": p.customer, "name": p.name, "psid": p.psid, "thread_id": "1" + p.psid,
			"birthday": "1998-00-00", "gender": nil, "lives_in": nil, "can_inbox": true, "emails": []any{}, "phone_numbers": []any{},
			"inserted_at": p.inserted.Format(pancakeRecord), "updated_at": p.updated.Format(pancakeRecord), "recent_orders": []any{}, "notes": []any{},
		})
	}
	return fields{"success": true, "total": len(found), "customers": all}, nil
}
