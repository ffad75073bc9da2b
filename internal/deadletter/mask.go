package deadletter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tramhq/tram/pkg/events"
)

// told are the fields of a request that are nobody's personal data: what is
// asked for, and how. Of those that name a person the ends are shown, so that
// two can be told apart. All others are hidden.
var (
	told = []string{
		"recipient.kind", "content.kind", "content.block_name", "content.template_ref", "sender.id", "attributes.name",
		"policy.message_tag", "policy.expect_kind", "policy.precheck", "on_ambiguous",
		"report", "pages", "range.from_date", "range.to_date", "range.zone", "range.preset", "granularity", "group_by", "metrics", "order_by",
		"command", "page_id", "tag_id", "tenant", "correlation_id",
	}
	names = []string{"recipient.value", "conversation_id", "assignee_ids"}
)

// Body returns what was asked for as JSON text for a person: without who it is
// about and what is said to them unless reveal is set, nil if it cannot be read.
func (l *Letter) Body(reveal bool) json.RawMessage {
	if l.Event == nil {
		return nil
	}
	var body any
	switch r := l.Event; {
	case r.Send != nil:
		body = r.Send
	case r.Report != nil:
		body = r.Report
	case r.Command != nil:
		body = r.Command
	default:
		return nil
	}
	text, err := json.Marshal(body)
	if err != nil || reveal {
		return text
	}
	var tree any
	if json.Unmarshal(text, &tree) != nil {
		return nil
	}
	text, _ = json.Marshal(masked("", tree)) // it came from JSON
	return text
}

// masked returns v without the texts that are not told.
func masked(path string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = masked(strings.TrimPrefix(path+"."+name, "."), inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = masked(path, inner)
		}
	case string:
		switch {
		case slices.Contains(told, path):
		case slices.Contains(names, path):
			return Mask(v)
		default:
			return fmt.Sprintf("(%d characters)", utf8.RuneCountInString(v))
		}
	}
	return v
}

// Mask returns text with all but its ends, or all of it if it is short, made
// unreadable: enough to tell two apart, not to know one.
func Mask(text string) string {
	const ends = 2
	n := utf8.RuneCountInString(text)
	if n < 4*ends {
		return strings.Repeat("*", n)
	}
	r := []rune(text)
	return string(r[:ends]) + strings.Repeat("*", min(n-2*ends, 8)) + string(r[n-ends:])
}

// Words returns a text of the provider or the relay without the recipient.
func (l *Letter) Words(text string, reveal bool) string {
	if reveal || l.Event == nil {
		return text
	}
	var who events.Recipient
	switch {
	case l.Event.Send != nil:
		who = l.Event.Send.Recipient
	case l.Event.Report != nil:
		who = l.Event.Report.Recipient
	}
	if who.Value == "" {
		return text
	}
	return strings.ReplaceAll(text, who.Value, Mask(who.Value))
}
