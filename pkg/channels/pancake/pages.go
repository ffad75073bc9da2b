package pancake

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/tramhq/tram/pkg/channels"
)

// pageGroups are where P1's answer has pages: as the specification says, and
// as it is in life, with or without a wrapping data (§2.4).
var pageGroups = []struct {
	path   []string
	status string
}{
	{[]string{"pages"}, ""},
	{[]string{"categorized", "activated"}, "activated"},
	{[]string{"categorized", "inactivated"}, "inactivated"},
	{[]string{"data", "categorized", "activated"}, "activated"},
	{[]string{"data", "categorized", "inactivated"}, "inactivated"},
}

// within returns what lies below raw.
func within(raw json.RawMessage, path ...string) json.RawMessage {
	for _, p := range path {
		raw = object(raw)[p]
	}
	return raw
}

func hasPages(b *body) bool {
	return list(b.fields["pages"]) != nil || object(b.fields["categorized"]) != nil ||
		object(within(b.raw, "data", "categorized")) != nil
}

// parsePages makes a record of each page, without its settings: of them only
// the fingerprint of the page's token is told, by which it can be seen that a
// token has changed.
func parsePages(_ *task, b *body, h *harvest) error {
	if !hasPages(b) {
		return errors.New("the answer has neither pages nor categorized")
	}
	for _, g := range pageGroups {
		for i, raw := range list(within(b.raw, g.path...)) {
			fields := object(raw)
			attrs := map[string]string{}
			for attr, v := range map[string]string{
				"name": text(fields["name"]), "platform": text(fields["platform"]), "status": g.status,
				"page_token_fingerprint": told(within(raw, "settings", "page_access_token")),
			} {
				if v != "" {
					attrs[attr] = v
				}
			}
			if fields != nil {
				delete(fields, "settings")
				raw = json.RawMessage(encode(fields))
			}
			h.object("page", channels.Pointer(append(g.path[:len(g.path):len(g.path)], strconv.Itoa(i))...), raw, attrs)
		}
	}
	known := lists(b.fields, "pages")
	for _, f := range []string{"categorized", "data"} {
		if object(b.fields[f]) != nil {
			known = append(known, f)
		}
	}
	h.rest("", b.fields, known...)
	for _, path := range [][]string{{"categorized"}, {"data", "categorized"}} {
		// The ids of those activated stand in their records.
		fields := object(within(b.raw, path...))
		h.rest(channels.Pointer(path...), fields, append(lists(fields, "activated", "inactivated"), "activated_page_ids")...)
	}
	if data := object(b.fields["data"]); data != nil {
		h.rest("/data", data, "categorized")
	}
	return nil
}
