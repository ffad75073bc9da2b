package pancake

import (
	"encoding/json"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// A category is what all values at one place of their series are about.
type category struct {
	label string
	day   time.Time // zero where the label is no day, or that of another one too
	same  bool      // nothing tells it from one before it
}

// categories reads the labels of series.
func (h *harvest) categories(path string, raw json.RawMessage) []category {
	items := list(raw)
	labels, all := make([]string, len(items)), make([]category, len(items))
	seen := map[string]bool{"": true}
	for i, item := range items {
		labels[i] = text(item)
		all[i] = category{label: labels[i], same: seen[labels[i]]}
		seen[labels[i]] = true
		if all[i].same {
			h.extra(pointer(path, i), item)
		}
	}
	for i, day := range h.t.zone.days(labels, h.t.from, h.t.to) {
		all[i].day = day
	}
	return all
}

// series makes a point of each value of a series, in the bucket that place
// finds for its category.
func (h *harvest) series(metricName string, m metric, values []json.RawMessage, path string, all []category, place func(category) (events.Bucket, map[string]string)) {
	for i, raw := range values {
		b, dims := place(all[i])
		if at := pointer(path, i); all[i].same || !h.point(metricName, m, raw, b, dims, at, "") {
			h.extra(at, raw)
		}
	}
}
