package dispatcher

import (
	"cmp"
	"math"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// concurrency finds how many calls of an account are worth having under way at
// once. By Little's law that is what the provider works on at a time: more of
// them only wait there, and each takes longer by as much. So the limit rises
// while calls take about as long as they do when few are under way, and falls
// when they take longer, as TCP Vegas and the gradient limits of Netflix's
// concurrency-limits have it. It begins low, to see how long few take, and
// doubles, as TCP does, until they take longer for the first time.
//
// A provider may also be slow for reasons of its own, and then fewer calls at
// once would only make it worse. Vegas and its kin creep up from there; here a
// limit that has fallen by half in vain is restored, and the time that calls take
// now is what they are measured by.
//
// It is not safe for concurrent use, and knows no clock but what it is told.
type concurrency struct {
	most     int     // as configured
	now      float64 // from 1 to most
	starting bool    // doubles: nothing has been too slow yet
	paces    []pace
	round    round
	before   *fall // the last one, not judged yet
}

// A round is calls that were all begun under about the same limit, at least as
// many as may be under way at once.
type round struct {
	from     time.Time
	size     int // the limit at its start
	calls    int
	alarm    float64 // sum over the calls of their stretch, see pace, each at most maxStretch
	stretch  float64 // the same without a bound
	timeouts int
	full     bool // the limit was reached: it is what decides how long calls take
}

// A fall is where the limit came from.
type fall struct {
	now      float64
	starting bool
	size     int     // of the round that it ended
	stretch  float64 // mean
}

// A pace is how long calls of one kind take. Sends and pages of reports, say,
// have little in common, nor do sends carried out and sends refused.
type pace struct {
	operation string
	class     channels.Class
	calls     int     // up to paceCalls
	recent    float64 // mean of about the last paceCalls, in seconds
	floor     float64 // the least that recent has been
}

const (
	defaultConcurrency = 16
	startConcurrency   = 2

	// tolerated is how many times the floor calls may take, on average of a
	// round. A queue at the provider that makes them half as long again is
	// enough to keep it busy, and jitter alone stays below.
	tolerated = 1.5

	// A call counts as at most maxStretch floors, and as that when it timed out:
	// one that hangs means nothing, one in ten does.
	maxStretch = 10

	// quickCall is what calls may take without being slow, however little they took
	// before: a busy machine of ours alone makes that much of a difference.
	quickCall = 3 * time.Millisecond

	paceCalls = 32
	minRound  = 8 // calls, and the fewest that make a floor
)

// newConcurrency returns the limit of an account that has not been called yet. A
// maximum of 0 is the default.
func newConcurrency(most int) *concurrency {
	most = cmp.Or(most, defaultConcurrency)
	now := min(startConcurrency, most)
	return &concurrency{most: most, now: float64(now), starting: true, round: round{size: now}}
}

// setMost takes a changed configuration over.
func (c *concurrency) setMost(most int) {
	c.most = cmp.Or(most, defaultConcurrency)
	c.now = min(c.now, float64(c.most))
}

// limit is how many calls may be under way at once.
func (c *concurrency) limit() int { return int(math.Round(c.now)) }

// allows reports whether one more call may begin beside busy others.
func (c *concurrency) allows(busy int) bool {
	if busy < c.limit() {
		return true
	}
	c.round.full = true
	return false
}

// ended takes in what became of a call that ended at the given time. Refusals
// that say nothing of the work that a call makes are left out: too many calls,
// or a provider in trouble.
func (c *concurrency) ended(operation string, ans *channels.Answer, v channels.Verdict, at time.Time) {
	took := time.Duration(ans.TookUS) * time.Microsecond
	timeout := ans.Failure == channels.FailTimeout
	stretch := float64(maxStretch)
	switch {
	case timeout:
	case v.Class == channels.Throttled || v.ProviderFault || ans.Failure != "":
		return
	default:
		stretch = c.pace(operation, v.Class).add(took.Seconds())
	}
	if at.Add(-took).Before(c.round.from) { // begun under another limit
		return
	}
	c.round.calls++
	c.round.alarm += min(stretch, maxStretch)
	c.round.stretch += stretch
	switch {
	case timeout:
		c.round.timeouts++
	case c.starting && c.round.full:
		c.now = min(c.now+1, float64(c.most))
	}
	if c.round.calls >= max(c.round.size, minRound) {
		c.turn(at)
	}
}

// turn decides at the end of a round.
func (c *concurrency) turn(at time.Time) {
	r := c.round
	alarm, stretch := r.alarm/float64(r.calls), r.stretch/float64(r.calls)
	if r.full { // else it says nothing about the limit
		switch hanging := r.timeouts*maxStretch > r.calls; {
		case alarm <= tolerated:
			c.before = nil
			if !c.starting {
				c.now = min(c.now+math.Sqrt(c.now), float64(c.most))
			}
		case !hanging && c.inVain(stretch):
			c.restore()
		default:
			if c.before == nil {
				c.before = &fall{now: c.now, starting: c.starting, size: r.size, stretch: stretch}
			}
			c.now = max(1, float64(r.size)*max(0.5, min(tolerated/alarm, 0.8)))
			c.starting = false
		}
	}
	c.round = round{from: at, size: c.limit()}
}

// inVain reports whether the limit has fallen by half and calls have not become
// faster by half of what is to be expected when they wait for each other.
func (c *concurrency) inVain(stretch float64) bool {
	if c.before == nil || c.now > float64(c.before.size)/2 {
		return c.now == 1
	}
	return stretch > 0.75*c.before.stretch
}

// restore takes the last fall back, if there was one, and measures by what calls
// take at present.
func (c *concurrency) restore() {
	if c.before != nil {
		c.now, c.starting = min(c.before.now, float64(c.most)), c.before.starting
		c.before = nil
	}
	for i := range c.paces {
		c.paces[i].floor = c.paces[i].recent
	}
}

func (c *concurrency) pace(operation string, class channels.Class) *pace {
	for i := range c.paces { // a handful
		if p := &c.paces[i]; p.operation == operation && p.class == class {
			return p
		}
	}
	c.paces = append(c.paces, pace{operation: operation, class: class})
	return &c.paces[len(c.paces)-1]
}

// add takes in that a call took so many seconds, and returns how many times the
// floor that is.
func (p *pace) add(seconds float64) (stretch float64) {
	p.calls = min(p.calls+1, paceCalls)
	p.recent += (seconds - p.recent) / float64(p.calls)
	if p.calls <= minRound || p.recent < p.floor {
		p.floor = p.recent
	}
	return seconds / max(p.floor, quickCall.Seconds())
}
