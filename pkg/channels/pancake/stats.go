package pancake

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// What the documents say about metrics (§1.7.4 and §3c). Aliases are those of
// §3c, without messages.sent: what staff have replied is not what a campaign
// has sent.
var (
	count   = metric{unit: events.UnitCount, agg: events.AggSum}
	unique  = metric{unit: events.UnitCount, agg: events.AggUnique}
	derived = metric{unit: events.UnitCount, agg: events.AggSum, flag: "derived"} // the sum of its siblings

	newChats     = metric{unit: events.UnitCount, agg: events.AggSum, alias: "conversations.new"}
	newCustomers = metric{unit: events.UnitCount, agg: events.AggSum, alias: "customers.new"}
	phones       = metric{unit: events.UnitCount, agg: events.AggSum, alias: "phones.captured"}
	responseTime = metric{unit: events.UnitSeconds, agg: events.AggAvg, alias: "response_time.avg"}
	ratio        = metric{unit: events.UnitRatio, agg: events.AggRatio}
)

// rangeBucket is the one of totals over the range of this call.
func (t *task) rangeBucket() events.Bucket { return t.zone.bucket("range", t.from, t.to, "") }

// instantBucket is the same of a call whose range went out as instants, which
// no zone has a part in.
func (t *task) instantBucket() events.Bucket {
	return events.Bucket{StartMS: t.from.UnixMilli(), EndMS: t.to.UnixMilli(), Granularity: "range"}
}

// P11, page statistics: one row for each hour (§2.4).

var pageMetrics = map[string]metric{
	"customer_comment_count": count, "customer_inbox_count": count, "inbox_interactive_count": count,
	"page_comment_count": count, "page_inbox_count": count,
	"new_customer_count": newCustomers, "new_inbox_count": newChats,
	"phone_number_count": phones, "uniq_phone_number_count": unique,
	// Of the day so far, by their names.
	"today_uniq_website_referral":  unique,
	"today_website_guest_referral": {unit: events.UnitCount, agg: events.AggCumulative},
}

func parsePageStats(_ *task, b *body, h *harvest) error {
	data, there := b.fields["data"]
	known := []string{"data"}
	switch {
	case b.fields == nil:
		return errNoObject
	case list(data) != nil:
		h.hours("/data", data, pageMetrics, nil)
	case !there || !isEmpty(data):
		known = nil
		h.warn(warnShape)
	}
	h.rest("", b.fields, known...)
	return nil
}

// P13 and P14, staff statistics: rows by hour, and totals, for each one.

var staffMetrics = map[string]metric{
	"average_response_time": responseTime,
	"comment_count":         count, "inbox_count": count, "order_count": count,
	"private_reply_count": count, "phone_number_count": phones,
	"unique_comment_count": unique, "unique_inbox_count": unique,
}

// staffParts returns where statistics and users are: below data in P13, at the
// top in P14.
func staffParts(b *body) (path string, fields map[string]json.RawMessage) {
	if data := object(b.fields["data"]); data != nil {
		return "/data", data
	}
	return "", b.fields
}

// people returns what is told of each one by id; nobody may be an empty list.
func (h *harvest) people(raw json.RawMessage) map[string]json.RawMessage {
	if items := h.list(raw); items != nil && len(items) == 0 {
		return map[string]json.RawMessage{}
	}
	return object(raw)
}

func parseStaff(t *task, b *body, h *harvest) error {
	path, fields := staffParts(b)
	// The same staff over other pages are other numbers.
	dims := map[string]string{}
	if t.what() == StaffMulti {
		dims["page_ids"] = t.pages()
	}
	statistics, users := h.people(fields["statistics"]), h.people(fields["users"])
	if statistics == nil || users == nil {
		return errors.New("the answer has no statistics or no users")
	}
	for _, id := range slices.Sorted(maps.Keys(statistics)) {
		dims["user_id"] = id
		h.hours(path+channels.Pointer("statistics", id), statistics[id], staffMetrics, maps.Clone(dims))
	}
	for _, id := range slices.Sorted(maps.Keys(users)) {
		dims["user_id"] = id
		h.user(path+channels.Pointer("users", id), id, users[id], staffMetrics, maps.Clone(dims))
	}
	h.rest(path, fields, "statistics", "users")
	if path != "" {
		h.rest("", b.fields, "data")
	}
	return nil
}

// user reads one member of staff with totals over the range. Its hour is the
// last active one and not the bucket of the totals (T-22).
func (h *harvest) user(path, id string, raw json.RawMessage, metrics map[string]metric, dims map[string]string) {
	fields := object(raw)
	if fields == nil {
		h.extra(path, raw)
		return
	}
	attrs := map[string]string{}
	for field, attr := range map[string]string{"user_name": "name", "name": "name", "user_fb_id": "fb_id"} {
		if v := text(fields[field]); v != "" {
			attrs[attr] = v
		}
	}
	if last, err := h.t.zone.hour(text(fields["hour"]), text(fields["hour_in_integer"])); err == nil {
		attrs["last_active_hour_ms"] = fmt.Sprint(last.StartMS)
		attrs["zone"], attrs["zone_source"] = last.Zone, string(last.ZoneSource)
	}
	h.row(row{path: path, fields: fields, metrics: metrics, bucket: h.t.rangeBucket(), dims: dims, object: true,
		done: []string{"hour_in_integer", "user_id"}})
	h.record("staff", id, path, raw, attrs)
}

// P15, new customers: rows by day or hour, for the page or for each page.

var customerMetrics = map[string]metric{
	"new_customer_count": newCustomers, "new_page_inbox_count": newChats,
	"new_phone_number_count": phones, "phone_number_count": phones,
}

func parseNewCustomers(_ *task, b *body, h *harvest) error {
	h.rest("", b.fields, "data")
	data := b.fields["data"]
	pages := object(data) // T-17: by page, or else a list
	switch {
	case pages != nil:
	case list(data) != nil:
		h.dates("/data", data, nil)
	case h.list(data) == nil:
		return errors.New("the answer has no list of dates")
	}
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		h.dates(channels.Pointer("data", id), pages[id], map[string]string{"page_id": id})
	}
	return nil
}
