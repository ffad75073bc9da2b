package dispatcher

import (
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// throttles counts in a row how often a provider has said that there were too
// many calls. What calls that were under way together are told counts once:
// none of them could know of the others' refusal.
type throttles struct {
	inRow int
	last  time.Time // when the last one that counted was told
}

// next is the number that a throttle of a call begun at the given time has in
// its row.
func (t *throttles) next(begun time.Time) int {
	if begun.Before(t.last) {
		return max(t.inRow, 1)
	}
	return t.inRow + 1
}

// heed takes in the verdict about a call.
func (t *throttles) heed(class channels.Class, begun, ended time.Time) {
	switch {
	case begun.Before(t.last): // older than the last throttle, so it says nothing new
	case class == channels.Throttled:
		t.inRow, t.last = t.inRow+1, ended
	default:
		t.inRow = 0
	}
}
