package dispatcher

import (
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

func TestThrottlesOfCallsUnderWayTogetherCountOnce(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var row throttles
	for i, step := range []struct {
		class        channels.Class
		begun, ended int
		next         int // of a throttle of this call, before it is taken in
	}{
		{channels.Throttled, 0, 10, 1},
		{channels.Throttled, 1, 11, 1},
		{channels.OK, 2, 12, 1}, // it was carried out before the provider had enough
		{channels.Throttled, 20, 21, 2},
		{channels.Throttled, 20, 22, 2},
		{channels.Throttled, 40, 41, 3},
		{channels.Auth, 60, 61, 4},
		{channels.Throttled, 70, 71, 1},
	} {
		if got := row.next(at(step.begun)); got != step.next {
			t.Errorf("step %d: number %d in its row, want %d", i, got, step.next)
		}
		row.heed(step.class, at(step.begun), at(step.ended))
	}
}
