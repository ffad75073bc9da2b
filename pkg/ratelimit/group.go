package ratelimit

import "time"

// A Group is a limit that several accounts share, such as that of one app or
// one partner. It is kept in one place, and the accounts may be worked
// elsewhere, so it gives places in time away before they come: whoever has one
// may start a call then, and must let it pass unused when that is too late.
type Group struct{ gate }

// GroupPlay is how late a call may start in its place: by no more is the margin
// of a group's limits used up before the call has left.
const GroupPlay = 25 * time.Millisecond

// groupMargin is what a group's periods are longer than declared: the play, and
// what the way to the provider may add. It is the most that a limit per second
// can have.
const groupMargin = 50 * time.Millisecond

// NewGroup returns an empty group. It panics on limits that are not valid. The
// group has its own margin.
func NewGroup(limits Limits) *Group {
	g := new(Group)
	g.open(withGroupMargin(limits), time.Now())
	return g
}

// Update changes the limits as [Limiter.Update] does.
func (g *Group) Update(limits Limits) error { return g.gate.Update(withGroupMargin(limits)) }

func withGroupMargin(l Limits) Limits {
	l.Margin = groupMargin
	return l
}

// Reserve gives a place to a call of cost 1, and returns when that is. If it
// would be later than the given time it takes nothing, returns false, and the
// time at which there would have been one.
func (g *Group) Reserve(now, latest time.Time) (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.due(1)
	if at.Before(now) {
		at = now
	}
	if at.After(latest) {
		return at, false
	}
	for _, b := range g.buckets {
		b.takeAt(at, 1)
	}
	return at, true
}
