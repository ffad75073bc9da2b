package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type crashPlan struct {
	Sends int
	Kills int
}

// crash publishes sends and kills dispatchers that have calls in flight. Then
// every send must have exactly one final delivery, nobody may have been called
// twice, and those that were mid-call at a kill end as unknown.
func crash(ctx context.Context, s *stage, plan crashPlan) (report, error) {
	collector, err := s.start("collector")
	if err != nil {
		return nil, err
	}
	d, err := s.start("dispatcher")
	if err != nil {
		return nil, err
	}
	if err := s.publishSends(ctx, plan.Sends); err != nil {
		return nil, err
	}
	inFlight := 0
	for k := range plan.Kills {
		goal := int64(plan.Sends * (k + 1) / (plan.Kills + 2))
		err := until(ctx, time.Minute, fmt.Sprintf("%d calls", goal), func() (bool, error) {
			return s.sandbox.Stats().Calls >= goal, alive(d, collector)
		})
		if err != nil {
			return nil, err
		}
		time.Sleep(time.Duration(s.random.IntN(50)) * time.Millisecond) // somewhere in its work
		before, err := s.count(ctx, broker.Results, "tram.result.>")
		if err != nil {
			return nil, err
		}
		if err := d.kill(); err != nil {
			return nil, err
		}
		inFlight += int(s.sandbox.Stats().Calls) - int(before)
		if d, err = s.start("dispatcher"); err != nil {
			return nil, err
		}
	}
	ends, err := s.finals(ctx, plan.Sends, 2*time.Minute, func() error { return alive(d, collector) })
	if err != nil {
		return nil, err
	}
	return s.judge(plan, ends, inFlight), nil
}

func (s *stage) judge(plan crashPlan, ends map[string][]events.State, inFlight int) report {
	var r report
	states := map[events.State]int{}
	several, none := 0, 0
	for i := range plan.Sends {
		switch e := ends[sendID(i)]; len(e) {
		case 0:
			none++
		case 1:
			states[e[0]]++
		default:
			several++
		}
	}
	called := map[string]int{}
	twice, unknownNotCalled := 0, 0
	for _, c := range s.sandbox.Calls(sandbox.Filter{}) {
		if called[c.Recipient]++; called[c.Recipient] == 2 {
			twice++
		}
	}
	wrong := 0 // accepted by us, never called
	for i := range plan.Sends {
		e := ends[sendID(i)]
		if len(e) != 1 {
			continue
		}
		n := called[phone(i)]
		if e[0] == events.StateAccepted && n != 1 {
			wrong++
		}
		if e[0] == events.StateUnknown && n == 0 {
			unknownNotCalled++
		}
	}
	r.note("sends published", plan.Sends)
	r.note("dispatchers killed (-9)", plan.Kills)
	r.note("calls in flight at the kills, at most", inFlight)
	r.note("ended as accepted", states[events.StateAccepted])
	r.note("ended as unknown", states[events.StateUnknown])
	r.note("of these not called yet: the kill came between intent and call", unknownNotCalled)
	r.add("without a final delivery", none, "0", none == 0)
	r.add("with several final deliveries", several, "0", several == 0)
	r.add("recipients called twice", twice, "0", twice == 0)
	r.add("accepted, but not called exactly once", wrong, "0", wrong == 0)
	others := plan.Sends - none - several - states[events.StateAccepted] - states[events.StateUnknown]
	r.add("ended otherwise", others, "0", others == 0)
	r.add("kills that caught calls mid-way", states[events.StateUnknown] > 0, "true", states[events.StateUnknown] > 0)
	return r
}

func (s *stage) publishSends(ctx context.Context, n int) error {
	pub := events.NewPublisher(s.js, events.PublisherConfig{Source: "/prove", Directory: events.NewDirectory(s.js)})
	for i := range n {
		r := sendTo(prover, i)
		// A dispatcher that has just been started has yet to tell the directory.
		var refusal error
		err := until(ctx, 10*time.Second, "the directory", func() (bool, error) {
			_, refusal = pub.Publish(ctx, r)
			return refusal == nil, alive(s.running...)
		})
		if err != nil {
			return fmt.Errorf("%w: %w", err, refusal)
		}
	}
	return nil
}

// finals reads EVENTS until n sends have a final delivery, and a little longer,
// to see whether any has a second one.
func (s *stage) finals(ctx context.Context, n int, patience time.Duration, check func() error) (map[string][]events.State, error) {
	ends := map[string][]events.State{}
	reader := broker.NewReader(s.js)
	next := uint64(1)
	read := func() error {
		return reader.Replay(ctx, broker.Events, "tram.delivery.>", next, func(m *broker.Stored) error {
			next = m.Seq + 1
			e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
			if err != nil {
				return err
			}
			if e.Delivery.Final {
				id := e.Delivery.RequestID
				ends[id] = append(ends[id], e.Delivery.State)
			}
			return nil
		})
	}
	err := until(ctx, patience, "the final deliveries", func() (bool, error) {
		if err := read(); err != nil {
			return false, err
		}
		return len(ends) >= n, check()
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %d of %d", err, len(ends), n)
	}
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
	}
	return ends, read()
}
