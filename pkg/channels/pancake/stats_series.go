package pancake

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
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
	var err error
	if hours := b.fields["statistics"]; hours != nil {
		err = h.hours("/statistics", hours, engagementMetrics, dims)
	} else {
		err = h.engagementDays(object(b.fields["data"]), dims)
	}
	if err != nil {
		return err
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
	known := lists(b.fields, "statistics", "users_engagements")
	if b.fields["statistics"] == nil {
		known = append(known, "data")
	}
	h.rest("", b.fields, known...)
	return nil
}

func (h *harvest) engagementDays(data map[string]json.RawMessage, dims map[string]string) error {
	if list(data["categories"]) == nil || list(data["series"]) == nil {
		return errors.New("the answer has neither statistics by hour nor series by day")
	}
	all := h.categories("/data/categories", data["categories"])
	if slices.ContainsFunc(all, func(c category) bool { return c.day.IsZero() }) {
		h.warn("Pancake gave labels that are no days of the range, or the same one: their points have the label alone")
	}
	for i, raw := range list(data["series"]) {
		fields, path := object(raw), pointer("/data/series", i)
		values, metricName := list(fields["data"]), text(fields["name"])
		if metricName == "" || len(values) != len(all) {
			return fmt.Errorf("series %d has no name, or not one value for each category", i)
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

// P12, tag statistics (§2.4). Its series are an object by tag, unlike P10's.

// tagCount is the metric of P12, which has no name for it.
const tagCount = "tag_count"

func parseTags(t *task, b *body, h *harvest) error {
	if err := h.tagSeries("data", b.fields["data"], t.instantBucket(), nil); err != nil {
		return err
	}
	known := append(lists(b.fields, "tags"), "data")
	today := t.zone.dayBucket(t.zone.midnight(h.atMS), "")
	apart := map[string]string{"part": "data_today"} // from the same day in data
	if part := b.fields["data_today"]; object(part) != nil {
		known = append(known, "data_today")
		if err := h.tagSeries("data_today", part, today, apart); err != nil {
			return err
		}
	}
	for i, raw := range list(b.fields["tags"]) {
		fields := object(raw)
		attrs := map[string]string{}
		if v := text(fields["text"]); v != "" {
			attrs["text"] = v
		}
		h.object("tag", pointer("/tags", i), raw, attrs)
	}
	h.rest("", b.fields, known...)
	return nil
}

// tagSeries reads one of P12's two parts. Categories that are days are the
// buckets. What else they may be is not documented: then they are a dimension
// within the whole.
func (h *harvest) tagSeries(part string, raw json.RawMessage, whole events.Bucket, dims map[string]string) error {
	fields := object(raw)
	series := object(fields["series"])
	if list(fields["categories"]) == nil || series == nil {
		return errors.New("the answer has no categories or no series by tag")
	}
	all := h.categories(channels.Pointer(part, "categories"), fields["categories"])
	for _, tag := range slices.Sorted(maps.Keys(series)) {
		path := channels.Pointer(part, "series", tag)
		values := list(series[tag])
		if len(values) != len(all) {
			return errors.New("the series of a tag does not have one value for each category")
		}
		h.series(tagCount, count, values, path, all, func(c category) (events.Bucket, map[string]string) {
			mine := map[string]string{"tag_id": tag}
			maps.Copy(mine, dims)
			if !c.day.IsZero() {
				return h.t.zone.dayBucket(c.day, c.label), mine
			}
			mine["category"] = c.label
			bucket := whole
			bucket.Label = c.label
			return bucket, mine
		})
	}
	h.rest("/"+part, fields, "categories", "series")
	return nil
}
