package sandbox

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// staff is P13.
func (c *pancakeCall) staff() (any, error) {
	from, to, err := c.dateRange(pancakeTimes)
	if err != nil {
		return nil, err
	}
	return fields{"success": true, "data": c.staffOf([]string{c.page.id}, from, to)}, nil
}

// staffMulti is P14: no wrapper, no success.
func (c *pancakeCall) staffMulti() (any, error) {
	from, to, err := c.dateRange(pancakeTimes)
	if err != nil {
		return nil, err
	}
	pages := strings.Split(c.param("page_ids"), ",")
	for _, id := range pages {
		if c.world.pages[id] == nil {
			return nil, errors.New("page_ids must be pages of the user")
		}
	}
	return c.staffOf(pages, from, to), nil
}

// staffOf adds up the hours of the pages for each member of staff.
func (c *pancakeCall) staffOf(pages []string, from, to time.Time) fields {
	statistics, users := fields{}, fields{}
	for i, s := range pancakeStaff {
		byHour := map[time.Time][]pancakeHour{}
		var mine []pancakeHour
		for _, page := range pages {
			for _, h := range c.world.hours(page, from, to, c.now) {
				if h.staff == i {
					byHour[h.start] = append(byHour[h.start], h)
					mine = append(mine, h)
				}
			}
		}
		if len(mine) == 0 {
			continue
		}
		var rows []fields
		last := mine[0].start
		for at := range byHour {
			rows = append(rows, c.hourIn(c.staffRow(byHour[at], pages), at))
			if at.After(last) {
				last = at
			}
		}
		slices.SortFunc(rows, func(a, b fields) int { return strings.Compare(a["hour"].(string), b["hour"].(string)) })
		total := c.hourIn(c.staffRow(mine, pages), last)
		total["user_name"], total["user_fb_id"] = s.name, s.fbID
		statistics[s.id], users[s.id] = rows, total
	}
	return fields{"statistics": statistics, "users": users}
}

func (c *pancakeCall) staffRow(hours []pancakeHour, pages []string) fields {
	answered := slices.DeleteFunc(slices.Clone(hours), func(h pancakeHour) bool { return h.responseSeconds == 0 })
	mean := 0 // not measured
	if len(answered) > 0 {
		mean = sum(answered, func(h pancakeHour) int { return h.responseSeconds }) / len(answered)
	}
	row := fields{
		"average_response_time": mean,
		"inbox_count":           sum(hours, func(h pancakeHour) int { return h.inbox }),
		"comment_count":         sum(hours, func(h pancakeHour) int { return h.comment }),
		"phone_number_count":    sum(hours, func(h pancakeHour) int { return h.phones }),
		"private_reply_count":   0, "unique_comment_count": 0,
		"unique_inbox_count": sum(hours, func(h pancakeHour) int { return min(h.inbox, 1) }),
	}
	if !c.documented() || c.page == nil {
		row["order_count"] = sum(hours, func(h pancakeHour) int { return h.orders })
	}
	if !c.documented() && c.page != nil {
		row["page_id"] = pages[0]
	}
	return row
}
