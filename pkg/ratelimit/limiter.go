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
	group *Group
	turn  turn
}

// A Group is a limit that several limiters share, such as that of one app or
// one partner: a call passes the limits of its account and those of the group.
// What the provider says about the group goes to the group.
type Group struct {
	Name string
	gate
	turn turn
}

// New returns an empty limiter. It panics on limits that are not valid.
func New(limits Limits) *Limiter {
	l := &Limiter{turn: make(turn, 1)}
	l.open(limits, time.Now())
	return l
}

// NewGroup returns an empty group. It panics on limits that are not valid.
func NewGroup(name string, limits Limits) *Group {
	g := &Group{Name: name, turn: make(turn, 1)}
	g.open(limits, time.Now())
	return g
}

// Join makes the limiter a member of the group from its next call on; nil
// leaves the present one.
func (l *Limiter) Join(g *Group) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.group = g
}

// Take lets a call of the given cost pass, or takes nothing and returns false.
func (l *Limiter) Take(now time.Time, cost int) bool {
	return l.admit(now, cost, true) == 0
}

// Delay returns how long from now a call of the given cost could pass if
// nothing else did, without taking anything. The answer of now can change with
// the next [Limiter.Update], Cooldown or Usage.
func (l *Limiter) Delay(now time.Time, cost int) time.Duration {
	return l.admit(now, cost, false)
}

// admit returns 0 if cost can pass now, and takes it if told to; otherwise how
// long it must wait.
func (l *Limiter) admit(now time.Time, cost int, take bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	gates := [2]*gate{&l.gate}
	n := 1
	if l.group != nil {
		l.group.mu.Lock()
		defer l.group.mu.Unlock()
		gates[1], n = &l.group.gate, 2
	}
	var wait time.Duration
	for _, g := range gates[:n] {
		if g.fits(cost) != nil {
			return Never
		}
		wait = max(wait, g.due(cost).Sub(now))
	}
	if wait == 0 && take {
		for _, g := range gates[:n] {
			g.take(now, cost)
		}
	}
	return wait
}
