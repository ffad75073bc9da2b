package ratelimit

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// A bucket holds one window, with a token bucket whose burst and rate add up to
// the limit.
//
// From a bucket of burst b and rate r, less than b + r·d passes in a span of d,
// its end excluded, whatever was before. With r = (Limit - b + 1) / Per that is
// less than Limit + 1 in a span of Per, and costs are whole numbers: the sliding
// window holds exactly. A record of past calls would hold it with any burst, but
// dies with its owner, and who takes over an account could pass a whole Limit
// once more; an empty bucket is never fuller than the one before.
type bucket struct {
	Window
	tokens *rate.Limiter
	margin time.Duration
	at     time.Time // what tokens counts from: never goes back
}

// newBucket returns a bucket that is empty at the given time.
func newBucket(w Window, margin time.Duration, at time.Time) *bucket {
	b := &bucket{Window: w, margin: margin}
	b.tokens = rate.NewLimiter(b.rate(1), w.burst())
	b.drain(at)
	return b
}

// rate returns the tokens per second at a pace of 1, full, or less.
func (b *bucket) rate(pace float64) rate.Limit {
	steady := float64(b.Limit - b.burst() + 1)
	return rate.Limit(pace * steady / (b.Per + b.margin).Seconds())
}

// drain empties the bucket as of the given time, unless it has taken since. What
// it owes then, because its burst has become smaller, it goes on to owe.
func (b *bucket) drain(at time.Time) {
	if !at.After(b.at) {
		return
	}
	b.at = at
	if b.tokens.TokensAt(at) > 0 {
		fresh := rate.NewLimiter(b.tokens.Limit(), b.tokens.Burst())
		fresh.ReserveN(at, fresh.Burst())
		b.tokens = fresh
	}
}

// set changes the window or the pace from now on; tokens already there stay.
// Only a smaller burst takes away the difference, even if that leaves less than
// nothing: it makes the rate higher, and the old burst may just have passed.
func (b *bucket) set(now time.Time, w Window, margin time.Duration, pace float64) {
	b.Window, b.margin = w, margin
	b.at = latest(b.at, now)
	if less := b.tokens.Burst() - w.burst(); less > 0 {
		b.tokens.ReserveN(b.at, less)
	}
	b.tokens.SetLimitAt(b.at, b.rate(pace))
	b.tokens.SetBurstAt(b.at, w.burst())
}

// due returns when the bucket has cost tokens.
func (b *bucket) due(cost int) time.Time {
	missing := float64(cost) - b.tokens.TokensAt(b.at)
	if missing <= 0 {
		return b.at
	}
	return b.at.Add(time.Duration(math.Ceil(missing / float64(b.tokens.Limit()) * 1e9)))
}

// take removes cost tokens, which must be due. A little lateness is forgiven:
// tokens count as taken when they were due, up to a quarter of the margin ago.
// Timers fire late, and without this each late one would cost its delay. The
// margin, by which the period is longer, covers it.
func (b *bucket) take(now time.Time, cost int) {
	b.takeAt(latest(b.due(cost), now.Add(-b.margin/4)), cost)
}

// takeAt removes cost tokens as of the given time, at which they are due.
func (b *bucket) takeAt(at time.Time, cost int) {
	b.at = at
	b.tokens.ReserveN(at, cost)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
