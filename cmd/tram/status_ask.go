package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// answerWait is how long dispatchers have to answer; all that are alive answer
// within some milliseconds.
const answerWait = 500 * time.Millisecond

// A relayStatus is how the whole relay stands, as `tram status --json` prints
// it. Times are unix milliseconds by this machine's clock.
type relayStatus struct {
	Dispatchers []ledger.Status `json:"dispatchers"`
	Silent      []string        `json:"silent,omitempty"` // members that did not answer
	Unowned     int             `json:"unowned_partitions"`
	Lanes       []laneStatus    `json:"lanes"`
	Collector   *collectorLag   `json:"collector,omitempty"` // nil: none has ever run
	Dead        map[string]int  `json:"dead"`                // letters by group

	ahead map[string]time.Duration // by how much this machine's clock is ahead of each dispatcher's
}

// A laneStatus is a lane with its backlog.
type laneStatus struct {
	ledger.Lane
	Waiting int `json:"waiting"` // requests stored and not ended; those not yet read are counted by the broker
}

// A collectorLag is what the collectors have not made events of yet.
type collectorLag struct {
	Unread  int `json:"unread"`  // results that wait in the stream
	Reading int `json:"reading"` // results that are handed out
}

// ask asks every dispatcher how it stands, and returns when all that own
// partitions have answered, or have had the time to.
func (c *client) ask(ctx context.Context, r ledger.StatusRequest) (*relayStatus, error) {
	leases, err := broker.NewLeases(c.js, time.Second)
	if err != nil {
		return nil, err
	}
	partitions, err := broker.PartitionCount(ctx, c.js)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, events.ErrNotSetUp
	}
	if err != nil {
		return nil, err
	}
	view, err := leases.View(ctx)
	if err != nil {
		return nil, err
	}
	s := &relayStatus{Unowned: partitions, Silent: view.Members, Dispatchers: []ledger.Status{}, Lanes: []laneStatus{}, ahead: map[string]time.Duration{}}
	for _, claim := range view.Claims {
		if slices.Contains(view.Members, claim.Member) {
			s.Unowned--
		}
	}
	answers := make(chan *nats.Msg, 1024)
	sub, err := c.nc.ChanSubscribe(c.nc.NewInbox(), answers)
	if err != nil {
		return nil, fmt.Errorf("ask dispatchers: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only on a closed connection
	question, err := json.Marshal(r)
	if err == nil {
		err = c.nc.PublishRequest(broker.StatusSubject, sub.Subject, question)
	}
	if err != nil {
		return nil, fmt.Errorf("ask dispatchers: %w", err)
	}
	late := time.NewTimer(answerWait)
	defer late.Stop()
	for len(s.Silent) > 0 {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-late.C:
			return s.sorted(), nil
		case m := <-answers:
			if err := s.add(m.Data); err != nil {
				return nil, err
			}
		}
	}
	return s.sorted(), nil
}

// add takes in one answer, with its times by this machine's clock. A broker
// that nobody listens to answers with nothing.
func (s *relayStatus) add(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	var a ledger.Status
	if err := json.Unmarshal(data, &a); err != nil {
		return fmt.Errorf("read a dispatcher's answer: %w", err)
	}
	ahead := time.Now().UnixMilli() - a.NowMS
	for _, l := range a.Lanes {
		for _, ms := range []*int64{&l.SinceMS, &l.UntilMS} {
			if *ms != 0 {
				*ms += ahead
			}
		}
		for class := range l.Quiet {
			l.Quiet[class] += ahead
		}
		s.Lanes = append(s.Lanes, laneStatus{Lane: l})
	}
	if a.More {
		return nil
	}
	a.Lanes = nil
	s.ahead[a.ID] = time.Duration(ahead) * time.Millisecond
	a.NowMS, a.StartedMS = a.NowMS+ahead, a.StartedMS+ahead
	s.Dispatchers = append(s.Dispatchers, a)
	s.Silent = slices.DeleteFunc(s.Silent, func(member string) bool { return member == a.Member })
	return nil
}

// gravity orders states: what a person should look at comes first.
var gravity = []events.LaneState{
	events.LanePaused, events.LaneCredentialRefused, events.LaneBreakerOpen, events.LaneBreakerProbing,
	events.LaneSilenced, events.LaneWorking, ledger.LaneIdle,
}

func (s *relayStatus) sorted() *relayStatus {
	slices.SortFunc(s.Lanes, func(a, b laneStatus) int {
		return cmp.Or(
			cmp.Compare(slices.Index(gravity, a.State), slices.Index(gravity, b.State)),
			cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account),
		)
	})
	slices.SortFunc(s.Dispatchers, func(a, b ledger.Status) int { return cmp.Compare(a.StartedMS, b.StartedMS) })
	return s
}

// count adds what only the broker knows: how many requests wait unread behind
// those that the lanes have read, what collectors have not come to, and what
// waits for a person.
func (c *client) count(ctx context.Context, s *relayStatus) error {
	reader := broker.NewReader(c.js)
	for i := range s.Lanes {
		l := &s.Lanes[i]
		l.Waiting = l.Open
		for class := range l.Queued {
			l.Waiting += l.Queued[class]
			if !l.Behind[class] {
				continue
			}
			filter := broker.LaneFilter(l.Partition, l.Provider, l.Account, events.Classes[class])
			first, more, err := reader.NextBySubject(ctx, broker.Requests, filter, l.Head[class]+1, 1)
			if err != nil {
				return fmt.Errorf("count requests of %s/%s: %w", l.Provider, l.Account, err)
			}
			l.Waiting += len(first) + int(more)
		}
	}
	cons, err := c.js.Consumer(ctx, broker.Results, collector.Durable)
	switch {
	case err == nil:
		info := cons.CachedInfo()
		s.Collector = &collectorLag{Unread: int(info.NumPending), Reading: info.NumAckPending}
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return fmt.Errorf("read consumer %s: %w", collector.Durable, err)
	}
	dead, err := c.js.Stream(ctx, broker.Dead)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", broker.Dead, err)
	}
	info, err := dead.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", broker.Dead, err)
	}
	s.Dead = make(map[string]int)
	for subject, n := range info.State.Subjects {
		if group, _, _, err := broker.ParseDead(subject); err == nil {
			s.Dead[group] += int(n)
		}
	}
	return nil
}
