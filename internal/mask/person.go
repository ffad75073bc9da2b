package mask

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tramhq/tram/pkg/events"
)

// names are the fields of a request that name a person. Of these the ends are
// shown to people, so that two can be told apart.
var names = []string{"recipient.value", "conversation_id", "assignee_ids"}

// Request returns what r asks for as JSON text for a person: without who it is
// about and what is said to them unless reveal is set, nil if there is nothing to
// tell. What a [Masker] leaves as it is stands in it, and nothing else.
func Request(r *events.Request, reveal bool) json.RawMessage {
	var body any
	switch {
	case r == nil:
		return nil
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
	text, _ = json.Marshal(shown("", tree)) // it came from JSON
	return text
}

// shown returns v without the texts that may be about a person.
func shown(path string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = shown(strings.TrimPrefix(path+"."+name, "."), inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = shown(path, inner)
		}
	case string:
		switch {
		case harmless[path]:
		case slices.Contains(names, path):
			return ends(v)
		default:
			return fmt.Sprintf("(%d characters)", utf8.RuneCountInString(v))
		}
	}
	return v
}

// ends returns text with all but its ends, or all of it if it is short, made
// unreadable: enough to tell two apart, not to know one.
func ends(text string) string {
	const kept = 2
	n := utf8.RuneCountInString(text)
	if n < 4*kept {
		return strings.Repeat("*", n)
	}
	r := []rune(text)
	return string(r[:kept]) + strings.Repeat("*", min(n-2*kept, 8)) + string(r[n-kept:])
}

// Words returns a text of the provider or the relay about r without its
// recipient, unless reveal is set.
func Words(r *events.Request, text string, reveal bool) string {
	if reveal || r == nil {
		return text
	}
	var who events.Recipient
	switch {
	case r.Send != nil:
		who = r.Send.Recipient
	case r.Report != nil:
		who = r.Report.Recipient
	}
	if who.Value == "" {
		return text
	}
	return strings.ReplaceAll(text, who.Value, ends(who.Value))
}
