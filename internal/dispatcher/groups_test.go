package dispatcher

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// app puts all accounts into a group of so many calls per second.
func app(perSecond int) func(*Config) {
	return func(c *Config) {
		c.Groups = []Group{{Name: "app", Limits: ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(perSecond)}}}}
		for _, a := range c.Accounts {
			a.Group = "app"
		}
	}
}

// sendToAll publishes n requests for each of three accounts.
func (r *rig) sendToAll(n int) (seqs []uint64) {
	for i := range n {
		for _, account := range []string{"shop", "bank", "slow"} {
			seqs = append(seqs, r.send(account, events.Normal, fmt.Sprintf("%s-%d", account, i), nil))
		}
	}
	return seqs
}

func TestAGroupIsOneLimitForAllDispatchers(t *testing.T) {
	const limit, each = 20, 20
	r := newRig(t)
	first := r.start(app(limit))
	r.start(app(limit))
	seqs := r.sendToAll(each)
	r.eventually(func() string {
		if n := len(r.desk.made()); n < each {
			return fmt.Sprintf("%d calls", n)
		}
		return ""
	})
	first() // its accounts, and maybe the group, go to the other one
	for _, end := range r.ends(seqs...) {
		if end.State != events.StateAccepted {
			t.Errorf("ended as %s, %+v", end.State, end.Why)
		}
	}
	calls := r.desk.made()
	if twice := r.desk.twice(); twice != nil || len(calls) != 3*each {
		t.Errorf("%d calls, %q of them twice, want %d", len(calls), twice, 3*each)
	}
	least := time.Duration(3*each-1) * time.Second / limit
	if took := calls[len(calls)-1].at.Sub(calls[0].at); took < least {
		t.Errorf("%d calls at %d per second took %s, want %s at least", len(calls), limit, took, least)
	}
}

func TestAGroupChangesWhileItRuns(t *testing.T) {
	r := newRig(t)
	slowly := func(c *Config) {
		app(1)(c)
		c.Groups[0].Limits.Windows[0] = ratelimit.PerHour(1)
	}
	d := r.dispatcher(r.b.Conn, slowly)
	r.run(d)
	seqs := r.sendToAll(3)
	r.eventually(func() string {
		for _, l := range d.lanes() {
			l.mu.Lock()
			refused := l.refused
			l.mu.Unlock()
			if refused > 0 {
				return ""
			}
		}
		return "nobody was refused a place"
	})
	changed := r.dispatcher(r.b.Conn, app(1000)).cfg
	if err := d.Update(t.Context(), changed.Accounts, changed.Groups); err != nil {
		t.Fatal(err)
	}
	r.ends(seqs...)
	if err := d.Update(t.Context(), changed.Accounts, []Group{{Name: "app"}}); err == nil {
		t.Error("a group without a limit was taken")
	}
}

// lanes returns those of all partitions.
func (d *Dispatcher) lanes() (all []*lane) {
	d.mu.Lock()
	opened := slices.Collect(maps.Values(d.opened))
	d.mu.Unlock()
	for _, p := range opened {
		all = append(all, p.all()...)
	}
	return all
}

// However long answers take on their way, the places that the lanes come to
// know leave the group within its limit.
func TestPlacesHoldTheLimitAcrossClocks(t *testing.T) {
	const limit = 50
	r := newRig(t)
	r.start(app(limit))
	began := time.Now()
	var mu sync.Mutex
	var all []place
	var askers sync.WaitGroup
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(all) >= 3*limit
	}
	for range 4 {
		conn := r.b.Connect()
		askers.Go(func() {
			g := groupClient{nc: conn, clocks: make(map[string]keeperClock)}
			for !enough() && time.Since(began) < patience {
				places, again, err := g.ask(t.Context(), "app", 3)
				if err != nil { // the dispatcher has not got its partitions yet
					again = 20 * time.Millisecond
				}
				mu.Lock()
				all = append(all, places...)
				mu.Unlock()
				if len(places) == 0 {
					<-time.After(max(again, time.Millisecond))
				}
			}
		})
	}
	askers.Wait()
	slices.SortFunc(all, func(a, b place) int { return a.from.Compare(b.from) })
	if len(all) < 3*limit {
		t.Fatalf("%d places in %s", len(all), time.Since(began))
	}
	for i := range all[:max(0, len(all)-limit)] {
		if apart := all[i+limit].from.Sub(all[i].until); apart < time.Second {
			t.Errorf("places %d and %d can be used %s apart", i, i+limit, apart)
		}
	}
}

func TestAGroupHasOneHome(t *testing.T) {
	for _, n := range []int{1, 8, 64} {
		if home := broker.GroupPartition("app", n); home < 0 || home >= n {
			t.Errorf("home of %d is %d", n, home)
		}
	}
}
