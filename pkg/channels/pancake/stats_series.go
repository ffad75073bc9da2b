package pancake

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/events"
)

// P10, engagement. Its form by day and its form by hour have neither the
// wrapper nor all names in common (T-16).

var engagementMetrics = map[string]metric{
	"inbox": count, "comment": count, "total": derived,
	"new_customer_replied": count, "customer_engagement_new_inbox": count, // by day
	"new_customer": newCustomers, "new_customer_from_inbox": count, // by hour
	"order_count": count, "old_order_count": count, // in the present specification
	"inbox_count": count, "total_engagement": derived, // of its users_engagements
}

func parseEngagement(t *task, b *body, h *harvest) error {
	// Numbers of some staff are not those of all.
	dims := map[string]string{}
	if users := t.r.Report.Filters["user_ids"]; users != "" {
		dims["user_ids"] = strings.Join(ids(users), ",")
	}
	hours, data := b.fields["statistics"], b.fields["data"]
	known := lists(b.fields, "users_engagements")
	for _, f := range []string{"statistics", "data"} {
		if isEmpty(b.fields[f]) {
			known = append(known, f)
		}
	}
	switch {
	case list(hours) != nil:
		h.hours("/statistics", hours, engagementMetrics, dims)
		known = append(known, "statistics")
	case object(data) != nil:
		known = append(known, "data")
		if err := h.engagementDays(object(data), dims); err != nil {
			return err
		}
	case h.list(hours) == nil && h.list(data) == nil:
		return errNoEngagement
	}
	for i, raw := range list(b.fields["users_engagements"]) {
		id := text(object(raw)["user_id"])
		path := pointer("/users_engagements", i)
		if id == "" {
			h.extra(path, raw)
			continue
		}
		mine := maps.Clone(dims)
		mine["user_id"] = id
		h.user(path, id, raw, engagementMetrics, mine)
	}
	h.rest("", b.fields, known...)
	return nil
}

var errNoEngagement = errors.New("the answer has neither statistics by hour nor series by day")

func (h *harvest) engagementDays(data map[string]json.RawMessage, dims map[string]string) error {
	if h.list(data["categories"]) == nil || h.list(data["series"]) == nil {
		return errNoEngagement
	}
	all := h.categories("/data/categories", data["categories"])
	if slices.ContainsFunc(all, func(c category) bool { return c.day.IsZero() }) {
		h.warn("Pancake gave labels that are no days of the range, or the same one: their points have the label alone")
	}
	for i, raw := range list(data["series"]) {
		fields, path := object(raw), pointer("/data/series", i)
		values, metricName := list(fields["data"]), text(fields["name"])
		switch {
		case h.list(fields["data"]) != nil && values == nil: // null
			h.extra(path, raw)
			continue
		case metricName == "" || len(values) != len(all):
			h.unread(path, raw)
			continue
		}
		m, known := engagementMetrics[metricName]
		if !known {
			m = count
		}
		h.series(metricName, m, values, path+"/data", all, func(c category) (events.Bucket, map[string]string) {
			if c.day.IsZero() {
				return h.t.zone.labelBucket("day", c.label), dims
			}
			return h.t.zone.dayBucket(c.day, c.label), dims
		})
		h.rest(path, fields, "name", "data")
	}
	h.rest("/data", data, "categories", "series")
	return nil
}
