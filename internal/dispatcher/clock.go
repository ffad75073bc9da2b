package dispatcher

import (
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// A clock translates times between this process's clock and the broker's. What
// one owner of a partition leaves to the next is in the broker's time: hosts
// need not agree about the time of day. All its times say "not before", so where
// a translation is not exact it is late, never early.
//
// A host's clock may be set while the process runs. So local times keep their
// monotonic reading, and are measured from when the clock was read.
type clock struct {
	read        time.Time     // by ours
	least, most time.Duration // that the broker was ahead then
}

// readClock returns the clock of a broker that stored something at the given
// time of its own, between begun and ended of ours.
func readClock(stored, begun, ended time.Time) clock {
	return clock{read: ended, least: stored.Sub(ended), most: stored.Sub(begun)}
}

// ms returns t in the broker's milliseconds; zero stays zero.
func (c clock) ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if !c.read.IsZero() { // as the clock would tell it had nobody set it
		t = c.read.Round(0).Add(t.Sub(c.read))
	}
	return ceilMS(t.Add(c.most))
}

// ceilMS returns t in milliseconds, of which the last may not be over yet.
func ceilMS(t time.Time) int64 { return t.Add(time.Millisecond - time.Nanosecond).UnixMilli() }

// local returns when it is ms by the broker's clock; zero stays zero.
func (c clock) local(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	t := time.UnixMilli(ms).Add(-c.least)
	if c.read.IsZero() {
		return t
	}
	return c.read.Add(t.Sub(c.read))
}

// storedResult reads a result, with the time of its next try in the broker's
// time: counted from when it was stored, as its owner counted from AtMS.
func storedResult(m *broker.Stored) (*ledger.Result, error) {
	r, err := ledger.DecodeResult(m.Data)
	if err == nil && r.RetryAtMS > 0 {
		r.RetryAtMS += ceilMS(m.Time) - r.AtMS
	}
	return r, err
}
