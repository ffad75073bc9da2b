package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type classesPlan struct {
	Campaign int           // bulk sends
	Urgent   int           // sends, one after the other
	Between  time.Duration // two urgent ones
	Shared   time.Duration // for how long normal sends are there as well
}

// campaigner has a turn of 100 ms.
var campaigner = account{Name: "campaigner", Limits: fmt.Sprintf("{per_second: %d}", campaignLimit)}

const campaignLimit = 10 // per second

func (plan classesPlan) scene(seed uint64) scene {
	return scene{Seed: seed, Accounts: []account{campaigner}}
}

// classes gives an account a bulk campaign that takes hours, and then urgent
// sends one by one, and normal ones. An urgent send may wait for no more than the
// next turn of the limiter; normal and bulk share what is left by their weights.
func classes(ctx context.Context, s *stage, plan classesPlan) (report, error) {
	d, err := s.start("dispatcher")
	if err != nil {
		return nil, err
	}
	send := func(class events.Class) func(i int) (*nats.Msg, error) {
		return func(i int) (*nats.Msg, error) {
			r := sendTo(campaigner, i)
			r.Class = class
			return encode(r)
		}
	}
	normals := plan.Campaign + plan.Urgent
	if err := s.publish(ctx, 0, plan.Campaign, 0, send(events.Bulk)); err != nil {
		return nil, err
	}
	err = until(ctx, 20*time.Second, "the first calls", func() (bool, error) { return s.sandbox.Stats().Calls > 0, d.dead() })
	if err != nil {
		return nil, err
	}
	var r report
	published := make([]time.Time, plan.Urgent)
	for i := range published {
		if err := pause(ctx, plan.Between); err != nil {
			return nil, err
		}
		n := plan.Campaign + i
		if err := s.publish(ctx, n, n+1, 0, send(events.Urgent)); err != nil {
			return nil, err
		}
		published[i] = time.Now() // it is stored
	}
	err = until(ctx, 20*time.Second, "the last urgent call", func() (bool, error) {
		return len(s.calledBetween(plan.Campaign, normals)) == plan.Urgent, d.dead()
	})
	if err != nil {
		return nil, err
	}
	judgeUrgent(&r, s.calledBetween(0, normals), plan.Campaign, published)

	from := time.Now()
	enough := int(campaignLimit * plan.Shared.Seconds())
	if err := s.publish(ctx, normals, normals+enough, 0, send(events.Normal)); err != nil {
		return nil, err
	}
	if err := errors.Join(pause(ctx, plan.Shared), d.dead()); err != nil {
		return nil, err
	}
	bulk, normal := 0, 0
	for _, c := range s.calledBetween(0, normals+enough) {
		switch {
		case c.at.Before(from):
		case c.number < plan.Campaign:
			bulk++
		default:
			normal++
		}
	}
	share := float64(bulk) / float64(bulk+normal)
	r.add("share of bulk beside normal", percent(share), "20 to 30 %", share >= 0.20 && share <= 0.30)
	most := s.sandbox.Stats().Accounts["caresoft/"+campaigner.Name].MaxPerSecond
	r.add("most calls in any second", most, fmt.Sprintf("%d at most", campaignLimit), most <= campaignLimit)
	return r, nil
}

// A numbered is a call of the send with that number.
type numbered struct {
	number int
	at     time.Time
}

// calledBetween returns the calls of sends numbered from to to, oldest first.
func (s *stage) calledBetween(from, to int) (calls []numbered) {
	for _, c := range s.sandbox.Calls(sandbox.Filter{Account: campaigner.Name}) {
		if i, _ := strconv.Atoi(c.Recipient[2:]); i >= from && i < to { // it is a phone number
			calls = append(calls, numbered{i, c.At})
		}
	}
	slices.SortFunc(calls, func(a, b numbered) int { return a.at.Compare(b.at) })
	return calls
}

// judgeUrgent adds how long urgent sends waited, in time and in turns: the bulk
// calls that went before each.
func judgeUrgent(r *report, calls []numbered, first int, published []time.Time) {
	var took latencies
	most, sum := 0, 0
	for at, c := range calls {
		if c.number < first {
			continue
		}
		was := published[c.number-first]
		took = append(took, c.at.Sub(was))
		before := 0
		for i := at - 1; i >= 0 && calls[i].at.After(was); i-- {
			before++
		}
		most, sum = max(most, before), sum+before
	}
	turn := time.Second / campaignLimit
	r.note("bulk sends before them", first)
	r.note("urgent sends", len(took))
	r.note("publication to call, of urgent sends", took)
	p99 := float64(took.at(0.99)) / float64(turn)
	r.add(fmt.Sprintf("the same in turns of %s, p99", turn), fmt.Sprintf("%.2f", p99), "1.5 at most", p99 <= 1.5)
	r.note("bulk calls between the publication of an urgent send and its call, on average", fmt.Sprintf("%.2f", float64(sum)/float64(len(took))))
	r.add("the same, at most", most, "1", most <= 1)
}
