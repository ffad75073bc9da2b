package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	pancakeTimes = "02/01/2006 15:04:05"
	pancakeDates = "02/01/2006"
)

// hourIn puts the hour of a row into it: as the pages' zone has it, and in the
// present edition as UTC beside it.
func (c *pancakeCall) hourIn(row fields, at time.Time) fields {
	row["hour"] = at.Format(pancakeRecord)
	if !c.documented() {
		row["hour_in_integer"] = at.UTC().Format("20060102150405")
	}
	return row
}

// daysOf returns the days from from to to, the newest first, with the labels
// of the account's edition.
func (c *pancakeCall) daysOf(from, to time.Time) (days []time.Time, labels []string) {
	layout := "2/1/2006"
	if c.documented() {
		layout = "2/1"
	}
	midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location()) }
	for day := midnight(to); !day.Before(midnight(from)) && len(days) < pancakeBack; day = day.AddDate(0, 0, -1) {
		days, labels = append(days, day), append(labels, day.Format(layout))
	}
	return days, labels
}

// ads is P9: in the document's edition all numbers are null, as in its example.
func (c *pancakeCall) ads() (any, error) {
	since, until, err := c.instants()
	if err != nil {
		return nil, err
	}
	random := c.world.random(c.page.id, uint64(since.Unix()+until.Unix()))
	all := []fields{}
	for i := range 3 {
		ad := fields{
			"account_id": "10147843054304762", "ad_id": fmt.Sprintf("101031180675584774%d", i), "adset_id": "1057337925561246",
			"name": fmt.Sprintf("Quảng cáo %d", i+1), "status": []string{"ACTIVE", "PAUSED"}[i%2], "currency": "VND",
			"budget_remaining": "3000", "daily_budget": "3000", "lifetime_budget": "0",
		}
		for _, metric := range []string{"impressions", "reach", "link_click", "messaging_conversation_started_7d", "messaging_first_reply", "post_comments", "purchases"} {
			ad[metric] = random.IntN(10_000)
		}
		for _, metric := range []string{"spend", "purchases_conversion_value", "cpc", "cpm", "ctr", "purchase_roas"} {
			ad[metric] = fmt.Sprintf("%d.%02d", random.IntN(90_000), random.IntN(100))
		}
		for metric, v := range ad {
			_, text := v.(string)
			if c.documented() && (!text || strings.Contains(v.(string), ".")) {
				ad[metric] = nil
			}
		}
		all = append(all, ad)
	}
	return all, nil
}

// engagement is P10.
func (c *pancakeCall) engagement() (any, error) {
	from, to, err := c.dateRange(pancakeTimes)
	if err != nil {
		return nil, err
	}
	byHour, err := c.oneOf("by_hour", "false", "true")
	if err != nil {
		return nil, err
	}
	hours := c.world.hours(c.page.id, from, to, c.now)
	if users := c.param("user_ids"); users != "" {
		ids := strings.Split(users, ",")
		hours = slices.DeleteFunc(hours, func(h pancakeHour) bool { return !slices.Contains(ids, pancakeStaff[h.staff].id) })
	}
	if byHour == "true" {
		rows := []fields{}
		for _, h := range hours {
			rows = append(rows, fields{"hour": h.start.Format(pancakeRecord), "inbox": h.inbox, "comment": h.comment, "total": h.total(),
				"new_customer": h.customers, "new_customer_from_inbox": h.customers})
		}
		return fields{"success": true, "statistics": rows}, nil
	}
	days, labels := c.daysOf(from, to)
	series := []fields{}
	add := func(name string, of func(pancakeHour) int) {
		series = append(series, fields{"name": name, "data": sums(hours, days, of)})
	}
	add("inbox", func(h pancakeHour) int { return h.inbox })
	add("comment", func(h pancakeHour) int { return h.comment })
	add("total", pancakeHour.total)
	add("new_customer_replied", func(h pancakeHour) int { return h.customers })
	add("customer_engagement_new_inbox", func(h pancakeHour) int { return h.customers })
	body := fields{"success": true, "data": fields{"categories": labels, "series": series}}
	if c.documented() {
		return body, nil
	}
	add("order_count", func(h pancakeHour) int { return h.orders })
	add("old_order_count", func(pancakeHour) int { return 0 })
	body["data"] = fields{"categories": labels, "series": series}
	people := []fields{}
	for i, s := range pancakeStaff {
		mine := slices.DeleteFunc(slices.Clone(hours), func(h pancakeHour) bool { return h.staff != i })
		people = append(people, fields{"user_id": s.id, "name": s.name,
			"inbox_count":      sum(mine, func(h pancakeHour) int { return h.inbox }),
			"order_count":      sum(mine, func(h pancakeHour) int { return h.orders }),
			"old_order_count":  0,
			"total_engagement": sum(mine, pancakeHour.total)})
	}
	body["users_engagements"] = people
	return body, nil
}

func sum(hours []pancakeHour, of func(pancakeHour) int) int {
	n := 0
	for _, h := range hours {
		n += of(h)
	}
	return n
}

// sums adds up each of the days.
func sums(hours []pancakeHour, days []time.Time, of func(pancakeHour) int) []int {
	byDay := map[string]int{}
	for _, h := range hours {
		byDay[h.start.Format(time.DateOnly)] += of(h)
	}
	all := make([]int, len(days))
	for i, day := range days {
		all[i] = byDay[day.Format(time.DateOnly)]
	}
	return all
}

// pageStats is P11, of which the document shows nothing.
func (c *pancakeCall) pageStats() (any, error) {
	since, until, err := c.instants()
	if err != nil {
		return nil, err
	}
	rows := []fields{}
	for _, h := range c.world.hours(c.page.id, since, until, c.now) {
		rows = append(rows, c.hourIn(fields{
			"customer_comment_count": h.comment, "customer_inbox_count": h.inbox, "inbox_interactive_count": h.inbox,
			"new_customer_count": h.customers, "new_inbox_count": h.customers, "page_comment_count": h.comment, "page_inbox_count": h.inbox,
			"phone_number_count": h.phones, "uniq_phone_number_count": h.phones,
			"today_uniq_website_referral": 0, "today_website_guest_referral": 0,
		}, h.start))
	}
	return fields{"success": true, "data": rows}, nil
}

// tagStats is P12, of which the document shows nothing.
func (c *pancakeCall) tagStats() (any, error) {
	since, until, err := c.instants()
	if err != nil {
		return nil, err
	}
	part := func(from, to time.Time) fields {
		days, labels := c.daysOf(from, to)
		hours := c.world.hours(c.page.id, from, to, c.now)
		series := fields{}
		for i, t := range pancakeTags {
			series[fmt.Sprint(t.id)] = sums(hours, days, func(h pancakeHour) int { return h.total() / (i + 1) })
		}
		return fields{"categories": labels, "series": series}
	}
	midnight := time.Date(c.now.Year(), c.now.Month(), c.now.Day(), 0, 0, 0, 0, c.world.zone)
	tags := []fields{}
	for _, t := range pancakeTags {
		tags = append(tags, fields{"id": fmt.Sprint(t.id), "text": t.text, "color": "#4b5577", "lighten_color": "#c9ccd6", "description": ""})
	}
	return fields{"success": true, "data": part(since, until), "data_today": part(midnight, c.now), "tags": tags}, nil
}

// newCustomers is P15, at its old or its new path.
func (c *pancakeCall) newCustomers(old bool) (any, error) {
	if old != c.documented() {
		return nil, errNoPath
	}
	from, to, err := c.dateRange(pancakeDates)
	if err != nil {
		return nil, err
	}
	group, err := c.oneOf("group_by", "day", "hour", "page_id")
	if err != nil {
		return nil, err
	}
	rows := func(page, layout string) []fields {
		all := []fields{}
		for _, h := range c.world.hours(page, from, to.AddDate(0, 0, 1).Add(-time.Second), c.now) {
			label := h.start.Format(layout)
			if len(all) == 0 || all[len(all)-1]["date"] != label {
				all = append(all, fields{"date": label, "new_customer_count": 0, "new_page_inbox_count": 0, "new_phone_number_count": 0, "phone_number_count": 0})
			}
			row := all[len(all)-1]
			row["new_customer_count"] = row["new_customer_count"].(int) + h.customers
			row["new_page_inbox_count"] = row["new_page_inbox_count"].(int) + h.customers
			row["phone_number_count"] = row["phone_number_count"].(int) + h.phones
		}
		return all
	}
	switch group {
	case "hour":
		return fields{"success": true, "data": rows(c.page.id, pancakeRecord)}, nil
	case "page_id":
		byPage := fields{} // all pages, though the token is of one, as in the document's example
		for _, id := range c.world.order {
			byPage[id] = rows(id, time.DateOnly)
		}
		return fields{"success": true, "data": byPage}, nil
	}
	return fields{"success": true, "data": rows(c.page.id, time.DateOnly)}, nil
}
