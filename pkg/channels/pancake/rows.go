package pancake

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

const (
	warnRows  = "Pancake gave rows that cannot be read, such as one without its time: they are records of kind extra"
	warnShape = "the answer has another shape than is known: what it holds is in records of kind extra"
)

var errNoObject = errors.New("the answer is no object")

// list returns the items of a list that is due. null is an empty one in an
// answer that says success.
func (h *harvest) list(raw json.RawMessage) []json.RawMessage {
	if h.success && string(raw) == "null" {
		return []json.RawMessage{}
	}
	return list(raw)
}

// isEmpty reports whether raw says that there is nothing.
func isEmpty(raw json.RawMessage) bool {
	fields, items := object(raw), list(raw)
	return string(raw) == "null" || fields != nil && len(fields) == 0 || items != nil && len(items) == 0
}

// unread keeps a row that cannot be read. It costs no more than itself, as
// long as there is one that can.
func (h *harvest) unread(path string, raw json.RawMessage) {
	h.extra(path, raw)
	h.lost++
	h.warn(warnRows)
}

// rows reads those that have the time they are about, which when finds.
func (h *harvest) rows(path string, raw json.RawMessage, like row, when func(row) (events.Bucket, error)) {
	items := list(raw)
	switch {
	case items != nil:
	case isEmpty(raw):
		h.extra(path, raw)
	default:
		h.unread(path, raw)
	}
	for i, item := range items {
		like.path, like.fields = pointer(path, i), object(item)
		var err error
		if like.bucket, err = when(like); err != nil {
			h.unread(like.path, item)
			continue
		}
		h.row(like)
	}
}

// hours reads rows of an hour each.
func (h *harvest) hours(path string, raw json.RawMessage, metrics map[string]metric, dims map[string]string) {
	like := row{metrics: metrics, dims: dims, ids: []string{"page_id"}, done: []string{"hour", "hour_in_integer"}}
	h.rows(path, raw, like, func(r row) (events.Bucket, error) {
		integer, there := r.fields["hour_in_integer"]
		bucket, err := h.t.zone.hour(text(r.fields["hour"]), text(integer))
		if _, unusable := time.Parse(integerTime, text(integer)); there && err == nil && unusable != nil && string(integer) != "null" {
			h.extra(r.path+"/hour_in_integer", integer)
		}
		return bucket, err
	})
}

// dates reads rows of a day or an hour each.
func (h *harvest) dates(path string, raw json.RawMessage, dims map[string]string) {
	like := row{metrics: customerMetrics, dims: dims, ids: []string{"page_id"}, done: []string{"date"}}
	h.rows(path, raw, like, func(r row) (events.Bucket, error) { return h.t.zone.date(text(r.fields["date"])) })
}
