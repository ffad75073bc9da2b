package pancake

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/tramhq/tram/pkg/channels"
)

// A listing is the answer of a call that lists objects page by page.
type listing struct {
	field string // of the answer, that has them
	kind  string // of their records

	texts, times []string // fields with a meaning of their own
	advance      func(t *task, n cursor, b *body, last string) (cursor, bool)
}

var (
	conversations = listing{"conversations", "conversation",
		[]string{"page_id", "customer_id", "type", "post_id", "thread_id"},
		[]string{"inserted_at", "updated_at", "last_customer_interactive_at"}, nextConversations}
	messages = listing{"messages", "message",
		[]string{"page_id", "conversation_id", "type"}, []string{"inserted_at"}, nextMessages}
	customers = listing{"customers", "customer",
		[]string{"customer_id", "psid", "thread_id"}, []string{"inserted_at", "updated_at"}, nextNumber}
)

// next finds the page after b. How many objects a page has is only partly
// documented and partly otherwise in life (§2.4), so that a short page is not
// the last one, but an empty one is, and one that comes a second time.
func (l listing) next(t *task, b *body) (next, warning string) {
	items := list(b.fields[l.field])
	if len(items) == 0 {
		return t.nextPart(), ""
	}
	digest := sha256.New()
	last := ""
	for _, item := range items {
		id := text(object(item)["id"])
		digest.Write([]byte(id + "\x00"))
		last = cmp.Or(id, last)
	}
	page := hex.EncodeToString(digest.Sum(nil))[:digestLen]
	n := cursor{Edition: t.at.Edition, Part: t.at.Part, Count: t.at.Count + len(items), Seen: remember(page, t.at.Seen)}
	if saw(t.at.Seen, page) {
		return t.nextPart(), "Pancake gave the same page twice: what is behind it, if anything, is missing"
	}
	n, more := l.advance(t, n, b, last)
	if !more {
		return t.nextPart(), ""
	}
	return n.String(), ""
}

// A cursor remembers the last pages, the newest first, because a provider may
// go round in a circle. Earlier builds kept one digest of twice the length, the
// first half of which is that of today.
const (
	digestLen = 8
	maxSeen   = 8
)

func saw(seen, page string) bool {
	for digest := range slices.Chunk([]byte(seen), digestLen) {
		if string(digest) == page {
			return true
		}
	}
	return false
}

func remember(page, seen string) string {
	return page + seen[:min(len(seen), digestLen*(maxSeen-1))]
}

// nextNumber goes by page_number, and ends with the total where there is one.
func nextNumber(t *task, n cursor, b *body, _ string) (cursor, bool) {
	n.Page = max(t.at.Page, 1) + 1
	total, err := strconv.Atoi(text(b.fields["total"]))
	return n, err != nil || total <= 0 || n.Count < total
}

// nextConversations goes by page_number in v1 and by the last id in v2.
func nextConversations(t *task, n cursor, b *body, last string) (cursor, bool) {
	if t.edition() == "v1" {
		return nextNumber(t, n, b, last)
	}
	n.Last = last
	return n, last != ""
}

// nextMessages goes by current_count: the messages received, whatever the
// documented size of a page. A message that arrives meanwhile shifts the
// pages, so that one may come twice, with the same key.
func nextMessages(_ *task, n cursor, _ *body, _ string) (cursor, bool) { return n, true }

func (l listing) parse(_ *task, b *body, h *harvest) error {
	if h.list(b.fields[l.field]) == nil {
		return errors.New("the answer has no list of " + l.field)
	}
	for i, raw := range list(b.fields[l.field]) {
		h.object(l.kind, channels.Pointer(l.field, strconv.Itoa(i)), raw, l.attrs(object(raw)))
	}
	h.rest("", b.fields, l.field)
	return nil
}

// attrs are the parts of an object with a meaning of their own. Its times are
// UTC, however they look (§1.6.4).
func (l listing) attrs(fields map[string]json.RawMessage) map[string]string {
	attrs := map[string]string{}
	for _, f := range l.texts {
		if v := text(fields[f]); v != "" {
			attrs[f] = v
		}
	}
	for _, f := range l.times {
		if ms, ok := recordTime(text(fields[f])); ok {
			attrs[f+"_ms"] = ms
		}
	}
	return attrs
}
