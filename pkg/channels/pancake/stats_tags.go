package pancake

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// P12, tag statistics (§2.4). Its series are an object by tag, unlike P10's.

// tagCount is the metric of P12, which has no name for it.
const tagCount = "tag_count"

func parseTags(t *task, b *body, h *harvest) error {
	if b.fields == nil {
		return errNoObject
	}
	known := lists(b.fields, "tags")
	if data, there := b.fields["data"]; !there || !isEmpty(data) && !h.tagSeries("data", data, t.instantBucket(), nil) {
		h.warn(warnShape)
	} else {
		known = append(known, "data")
	}
	today := t.zone.dayBucket(t.zone.midnight(h.atMS), "")
	apart := map[string]string{"part": "data_today"} // from the same day in data
	if part := b.fields["data_today"]; isEmpty(part) || h.tagSeries("data_today", part, today, apart) {
		known = append(known, "data_today")
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

// tagSeries reads one of P12's two parts, and reports false if it is not like
// that. Categories that are days are the buckets. What else they may be is not
// documented: then they are a dimension within the whole.
func (h *harvest) tagSeries(part string, raw json.RawMessage, whole events.Bucket, dims map[string]string) bool {
	fields := object(raw)
	if isEmpty(fields["series"]) {
		known := []string{"series"}
		if isEmpty(fields["categories"]) {
			known = append(known, "categories")
		}
		h.rest("/"+part, fields, known...)
		return true
	}
	series := object(fields["series"])
	if list(fields["categories"]) == nil || series == nil {
		return false
	}
	all := h.categories(channels.Pointer(part, "categories"), fields["categories"])
	for _, tag := range slices.Sorted(maps.Keys(series)) {
		path := channels.Pointer(part, "series", tag)
		values := list(series[tag])
		if len(values) != len(all) {
			h.unread(path, series[tag])
			continue
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
	return true
}
