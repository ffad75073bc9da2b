// Package ratelimit keeps the calls of one account within what its provider
// allows, in every sliding window and not just on average.
//
// A [Limiter] belongs to one account and one process. It starts empty, because
// whoever had the account before may have used its allowance up to the last
// moment. Limits per hour or day therefore start to fill from nothing, too:
// a limit of 100 per day lets its first call pass after a quarter of an hour.
package ratelimit

import (
	"math"
	"time"
)

// Never is the delay of a cost that can never pass.
const Never = time.Duration(math.MaxInt64)

// A Limiter lets calls pass within its limits. Its methods are safe for
// concurrent use.
type Limiter struct {
	gate
	waiting int  // callers in Wait
	turn    turn // among them; nil while nobody has ever waited
}

// New returns an empty limiter. It panics on limits that are not valid.
func New(limits Limits) *Limiter {
	l := new(Limiter)
	l.open(limits, time.Now())
	return l
}

// Take lets a call of the given cost pass, or takes nothing and returns false.
func (l *Limiter) Take(now time.Time, cost int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(now, cost)
}

func (l *Limiter) take(now time.Time, cost int) bool {
	if l.delay(now, cost) > 0 {
		return false
	}
	for _, b := range l.buckets {
		b.take(now, cost)
	}
	return true
}

// Delay returns how long from now a call of the given cost could pass if
// nothing else did, without taking anything. The answer of now can change with
// the next [Limiter.Update], Cooldown or Usage.
func (l *Limiter) Delay(now time.Time, cost int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay(now, cost)
}

func (l *Limiter) delay(now time.Time, cost int) time.Duration {
	if l.fits(cost) != nil {
		return Never
	}
	return max(0, l.due(cost).Sub(now))
}
