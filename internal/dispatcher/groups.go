package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// A Group is a limit that several accounts share, beside those of their own:
// that of one app, or of one partner.
type Group struct {
	Name   string
	Limits ratelimit.Limits
}

// The accounts of a group lie in many partitions, and so with many dispatchers.
// The group itself has a home, one of the partitions: its owner keeps the
// limit, alone and therefore exactly, and gives places in time to the lanes that
// ask. A lane asks before it picks a request, so that no intent waits for a
// place; a call that has missed its place is not made.
const (
	maxPlaces     = 8                      // for one question
	placesAhead   = 250 * time.Millisecond // how far from now one may be
	groupPatience = time.Second            // for the answer
)

// checkGroups returns the limits of the groups by their names, or what is wrong
// with them.
func checkGroups(all []Group) (map[string]ratelimit.Limits, error) {
	limits := make(map[string]ratelimit.Limits, len(all))
	for _, g := range all {
		if err := g.Limits.Validate(); err != nil {
			return nil, fmt.Errorf("group %s: limits: %w", g.Name, err)
		}
		limits[g.Name] = g.Limits
	}
	return limits, nil
}

// A place is when a call may start.
type place struct{ from, until time.Time }

// A placesQuestion asks for so many places, a placesAnswer gives some or none.
// Times are nanoseconds of the keeper's own clock.
type (
	placesQuestion struct {
		Places int `json:"places"`
	}
	placesAnswer struct {
		Keeper  string  `json:"keeper"` // whose clock it is
		Now     int64   `json:"now"`
		Places  []int64 `json:"places"`
		AgainIn int64   `json:"again_in"` // how long from now there may be more
	}
)

// groupClient asks for places, wherever their groups are kept.
type groupClient struct {
	nc *nats.Conn

	mu     sync.Mutex
	clocks map[string]keeperClock // by group
}

// A keeperClock knows, within bounds, when it was 0 by a keeper's clock. Every
// answer bounds it by when it was asked for and when it came.
type keeperClock struct {
	keeper           string
	earliest, latest time.Time
	read             time.Time
}

// drift is how far apart two clocks may run, for each unit of time.
const drift = 1e-4

// now returns the clock with the bounds that are certain by now.
func (c keeperClock) now(now time.Time) keeperClock {
	d := time.Duration(drift * float64(now.Sub(c.read)))
	c.earliest, c.latest, c.read = c.earliest.Add(-d), c.latest.Add(d), now
	return c
}

func (c keeperClock) width() time.Duration { return c.latest.Sub(c.earliest) }

// ask returns places in a group and, if there are none, how long to wait before
// asking again.
func (g *groupClient) ask(ctx context.Context, group string, n int) ([]place, time.Duration, error) {
	data, err := json.Marshal(placesQuestion{Places: n})
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, groupPatience)
	defer cancel()
	asked := time.Now()
	m, err := g.nc.RequestWithContext(ctx, broker.GroupSubject(group), data)
	came := time.Now()
	if err != nil {
		return nil, 0, fmt.Errorf("ask for a place in group %s: %w", group, err)
	}
	var a placesAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return nil, 0, fmt.Errorf("ask for a place in group %s: %w", group, err)
	}
	clock := g.clock(group, &a, asked, came)
	var places []place
	for _, at := range a.Places {
		at := time.Duration(at)
		pl := place{from: clock.latest.Add(at), until: clock.earliest.Add(at + ratelimit.GroupPlay)}
		if pl.from.Before(pl.until) {
			places = append(places, pl)
		}
	}
	return places, time.Duration(a.AgainIn), nil
}

// clock returns the best that is known of the clock by which a was given.
func (g *groupClient) clock(group string, a *placesAnswer, asked, came time.Time) keeperClock {
	now := time.Duration(a.Now)
	fresh := keeperClock{keeper: a.Keeper, earliest: asked.Add(-now), latest: came.Add(-now), read: came}
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.clocks[group].now(came)
	if known.keeper != a.Keeper || fresh.width() <= known.width() {
		known = fresh
	}
	g.clocks[group] = known
	return known
}

// placeLocked returns how long to wait for the next place, and asks for more
// when there is none. How many it asks for grows slowly while all are
// used, and halves when one was not: that one is lost to the others.
func (l *lane) placeLocked(now time.Time, group string) time.Duration {
	for len(l.places) > 0 && !now.Before(l.places[0].until.Add(-l.p.intents.ahead())) {
		l.places = l.places[1:]
		l.useful = max(1, l.useful/2)
	}
	if len(l.places) > 0 {
		return max(0, l.places[0].from.Sub(now)-l.p.intents.ahead())
	}
	if !l.asking {
		l.asking = true
		l.useful = min(l.useful+0.1, maxPlaces)
		n := 0
		for c := range l.queues {
			n += len(l.ready[c]) + len(l.queues[c].items)
		}
		n = max(1, min(n, int(l.useful)))
		l.p.wg.Go(func() { l.ask(group, n) })
	}
	return forever
}

// ask gets places for the lane. If there is none it lets the lane ask again
// only after a while, longer each time, so that many that wait for few places
// do not ask all the time.
func (l *lane) ask(group string, n int) {
	places, again, err := l.p.d.groups.ask(l.p.take, group, n)
	l.mu.Lock()
	l.places = append(l.places, places...)
	if len(places) > 0 {
		l.refused = 0
	} else {
		l.refused++
	}
	refused := l.refused
	l.mu.Unlock()
	if refused > 0 {
		if err != nil && refused == 1 && l.p.take.Err() == nil {
			l.p.log.Warn("no place in the group, trying again", "provider", l.key.provider, "account", l.key.account, "error", err)
		}
		wait := max(again, time.Millisecond) << min(refused-1, 6)
		wait = min(wait, time.Second)
		rest, cancel := context.WithTimeout(l.p.take, wait/2+rand.N(wait/2+1))
		<-rest.Done()
		cancel()
	}
	l.mu.Lock()
	l.asking = false
	l.mu.Unlock()
	l.stir()
}

// seated waits for the place of x's entry. It reports false if that was missed:
// the call must not be made.
func (x *execution) seated() bool {
	if x.e.place.until.IsZero() {
		return true
	}
	if early := time.Until(x.e.place.from); early > 0 {
		t := time.NewTimer(early)
		defer t.Stop()
		select {
		case <-t.C:
		case <-x.p.take.Done():
		}
	}
	return !x.e.missed(time.Now())
}

// missed reports whether e had a place, and its time is over.
func (e *entry) missed(now time.Time) bool {
	return !e.place.until.IsZero() && now.After(e.place.until)
}
