package deadletter

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tramhq/tram/docs"
)

// An Explanation is what docs/reasons.md says about a reason.
type Explanation struct {
	What string // what happened
	Do   string // what to do about it
}

// Explain returns what is known about a reason. One of a newer version, or of a
// provider's own, is not.
func Explain(reason string) (Explanation, bool) {
	e, ok := explanations()[reason]
	return e, ok
}

// Reasons returns all reasons that [Explain] knows, sorted.
func Reasons() []string { return slices.Sorted(maps.Keys(explanations())) }

// explanations reads the tables of the document, whose rows are
//
//	| `reason` | class or state | what happened | what to do |
var explanations = sync.OnceValue(func() map[string]Explanation {
	all := map[string]Explanation{}
	for row := range strings.Lines(docs.Reasons) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), " | ")
		name, isCode := strings.CutPrefix(strings.TrimSpace(cells[0]), "`")
		if len(cells) != 4 || !isCode {
			continue
		}
		all[strings.TrimSuffix(name, "`")] = Explanation{What: plain(cells[2]), Do: plain(cells[3])}
	}
	return all
})

// plain is a cell without its marks: [events.md](events.md) is docs/events.md.
func plain(cell string) string {
	cell = strings.ReplaceAll(strings.TrimSpace(cell), "[events.md](events.md)", "docs/events.md")
	return strings.ReplaceAll(cell, "[dead-letters.md](dead-letters.md)", "docs/dead-letters.md")
}
