package dispatcher

import (
	"sync/atomic"
	"time"
)

// A lookahead is how early calls are picked before their limiter admits them: as
// long as storing their intents takes at present. Shorter, and a limit could not
// be used in full where the broker is slow. Longer, and a crash would leave calls
// in doubt that were never made.
type lookahead struct{ mean atomic.Int64 }

const (
	minLookahead = 4 * time.Millisecond
	maxLookahead = 50 * time.Millisecond
)

// took takes in how long it took to store an intent.
func (l *lookahead) took(d time.Duration) {
	mean := l.mean.Load()
	l.mean.Store(mean + (int64(d)-mean)/8) // of two at once one may go missing
}

func (l *lookahead) ahead() time.Duration {
	return min(max(time.Duration(l.mean.Load()), minLookahead), maxLookahead)
}
