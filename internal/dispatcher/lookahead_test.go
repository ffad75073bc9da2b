package dispatcher

import (
	"testing"
	"time"
)

func TestLookaheadFollowsTheTimeThatIntentsTake(t *testing.T) {
	var l lookahead
	for _, tt := range []struct{ took, want time.Duration }{
		{0, minLookahead}, {20 * time.Millisecond, 20 * time.Millisecond}, {time.Second, maxLookahead}, {time.Millisecond, minLookahead},
	} {
		for range 100 {
			l.took(tt.took)
		}
		if got := l.ahead(); got < tt.want-time.Millisecond || got > tt.want {
			t.Errorf("after intents that took %s: %s, want %s", tt.took, got, tt.want)
		}
	}
}
