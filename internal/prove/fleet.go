package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
)

// A fleet is dispatchers that come and go, and who of them owned what when.
type fleet struct {
	*stage
	skew        []int // seconds by which the clocks are off, in turns
	dispatchers []*process
	joined      int

	mu     sync.Mutex
	claims map[int][]claim // by partition, oldest first
}

type claim struct {
	at     time.Time
	member string
}

// newFleet starts n dispatchers. It looks at who owns what until ctx is done.
func (s *stage) newFleet(ctx context.Context, n int, skew []int) (*fleet, error) {
	f := &fleet{stage: s, skew: skew, claims: map[int][]claim{}}
	prefix := "$KV." + broker.OwnersBucket + ".p."
	feed := broker.NewFeed(s.js, "KV_"+broker.OwnersBucket, prefix+"*", 1, func(m *broker.Stored, _ uint64) {
		n, err := strconv.Atoi(strings.TrimPrefix(m.Subject, prefix))
		if err != nil || len(m.Data) == 0 { // released
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.claims[n] = append(f.claims[n], claim{m.Time, string(m.Data)})
	})
	go feed.Run(ctx) //nolint:errcheck // ends with ctx only
	for range n {
		if err := f.join(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// join starts one more dispatcher.
func (f *fleet) join() error {
	var env []string
	if n := len(f.skew); n > 0 {
		env = append(env, skewVariable+"="+strconv.Itoa(f.skew[f.joined%n]))
	}
	p, err := f.start("dispatcher", env...)
	if err != nil {
		return err
	}
	f.dispatchers = append(f.dispatchers, p)
	f.joined++
	return nil
}

// leave ends the dispatcher that owns a: with end, which is kill or stop.
func (f *fleet) leave(a account, end func(*process) error) error {
	return f.leaveHome(a.partition(), end)
}

// leaveHome ends the owner of a partition.
func (f *fleet) leaveHome(partition int, end func(*process) error) error {
	if err := alive(f.dispatchers...); err != nil {
		return err
	}
	claims := f.owners(partition)
	if len(claims) == 0 {
		return fmt.Errorf("partition %d has no owner", partition)
	}
	owner := claims[len(claims)-1].member
	for i, p := range f.dispatchers {
		switch member, err := p.member(); {
		case err != nil:
			return err
		case member == owner:
			f.dispatchers = slices.Delete(f.dispatchers, i, i+1)
			return end(p)
		}
	}
	return fmt.Errorf("owner %s is none of the dispatchers", owner)
}

// owners returns who has owned a partition, oldest first.
func (f *fleet) owners(partition int) []claim {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.claims[partition])
}

// A record is when an account was called in a stretch of time.
type record struct {
	calls   []time.Time
	use     float64 // share of the limit, while it had an owner
	gaps    int     // changes of the owner
	lost    time.Duration
	longest time.Duration
}

// record judges the calls of a from one time to another by what it may be
// called per second. Its backlog must last.
func (f *fleet) record(a account, from, to time.Time, perSecond float64) (*record, error) {
	return f.recordOf([]account{a}, a.partition(), from, to, perSecond)
}

// recordOf judges the calls of accounts from one time to another by what they may
// be called per second together, which the owner of partition home sees to.
// Their backlog must last.
func (f *fleet) recordOf(accounts []account, home int, from, to time.Time, perSecond float64) (*record, error) {
	r := new(record)
	for _, a := range accounts {
		for _, c := range f.sandbox.Calls(sandbox.Filter{Provider: a.provider(), Account: a.Name}) {
			if !c.At.Before(from) && c.At.Before(to) {
				r.calls = append(r.calls, c.At)
			}
		}
	}
	if len(r.calls) == 0 {
		return nil, errors.New(accounts[0].Name + " was never called")
	}
	slices.SortFunc(r.calls, time.Time.Compare)
	spacing := time.Duration(float64(time.Second) / perSecond)
	last := -1
	for _, c := range f.owners(home) {
		i, _ := slices.BinarySearchFunc(r.calls, c.at, time.Time.Compare)
		if i == 0 || i == last || !c.at.Before(to) { // still in the same gap, or none of this stretch
			continue
		}
		until := to
		if i < len(r.calls) {
			until = r.calls[i]
		}
		gap := max(0, until.Sub(r.calls[i-1])-spacing)
		last, r.gaps, r.lost, r.longest = i, r.gaps+1, r.lost+gap, max(r.longest, gap)
	}
	r.use = float64(len(r.calls)) / (to.Sub(from) - r.lost + spacing).Seconds() / perSecond
	return r, nil
}

// most is the most calls in any span of time per, its start excluded.
func (r *record) most(per time.Duration) int {
	most, first := 0, 0
	for i, at := range r.calls {
		for at.Sub(r.calls[first]) >= per {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func (r *record) takeOvers() string {
	return fmt.Sprintf("%d times, %s not called, %s at once", r.gaps, r.lost.Round(time.Millisecond), r.longest.Round(time.Millisecond))
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
