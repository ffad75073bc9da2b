package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type poisonPlan struct {
	Good  int     // sends of a round
	Turns int     // of four rounds: without poison, with it, with it, without
	Speed float64 // of the good sends with poison, of that without; 0: not judged
}

const (
	poisonEvery    = 100 // good sends for one bad request
	poisonAhead    = 800 // sends that may wait for their calls
	poisonAccounts = 20
)

func (plan poisonPlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Journal: heavyFrom, Brittle: true}
	for i := range poisonAccounts {
		c.Accounts = append(c.Accounts, other(i))
	}
	return c
}

// poison publishes sends as fast as they can be carried out, in rounds without
// and with one bad request in a hundred, for the same accounts. Each of these
// must become one dead letter, and the good ones must not be slower.
func poison(ctx context.Context, s *stage, plan poisonPlan) (report, error) {
	// The ids that the broker remembers would grow all the time, and with them the
	// work of its garbage collector, from which rounds would differ.
	s.env = append(s.env, "TRAM_STREAMS_DUPLICATES=30s")
	if err := broker.Setup(ctx, s.js, broker.Streams{Duplicates: 30 * time.Second}); err != nil {
		return nil, err
	}
	for _, program := range []string{"dispatcher", "collector"} {
		if _, err := s.start(program); err != nil {
			return nil, err
		}
	}
	p := &poisoning{stage: s, plan: plan, seeds: hostile()}
	if _, err := p.round(ctx, false); err != nil { // to warm up
		return nil, err
	}
	var took paces
	for range plan.Turns {
		var clean, poisoned time.Duration
		for _, bad := range []bool{false, true, true, false} { // what else changes meanwhile changes for both
			d, err := p.round(ctx, bad)
			if err != nil {
				return nil, err
			}
			if bad {
				poisoned += d
			} else {
				clean += d
			}
		}
		took.add(clean, poisoned)
	}
	return p.judge(ctx, took)
}

// A poisoning counts what was published.
type poisoning struct {
	*stage
	plan      poisonPlan
	seeds     [][]byte // of bodies that are none
	good, bad int
	calls     int64     // that the sandbox must get in this round
	wrong     int       // good sends that it did not get once
	seen      uint64    // of EVENTS
	accepted  int       // of the good ones, as deliveries say
	last      time.Time // that one was
}

// round publishes a round of sends and returns how long it took from the first
// publication to the last delivery of a good one. Nothing of it is left then that
// would burden the next round.
func (p *poisoning) round(ctx context.Context, bad bool) (time.Duration, error) {
	total := p.plan.Good
	if bad {
		total += total / poisonEvery
	}
	p.calls = 0
	p.sandbox.Reset()
	if _, err := p.sandbox.AddFault(sandbox.Fault{Recipient: getsHTML, How: sandbox.HTML}); err != nil {
		return 0, err
	}
	begun, first := time.Now(), p.good
	err := p.publish(ctx, 0, total, 0, func(i int) (*nats.Msg, error) {
		if i%64 == 0 {
			p.keepPace(ctx)
		}
		if bad && i%(poisonEvery+1) == poisonEvery {
			p.bad++
			return p.poison(p.bad - 1)
		}
		p.good++
		p.calls++
		return encode(sendTo(other(p.good%poisonAccounts), p.good-1))
	})
	if err != nil {
		return 0, err
	}
	err = until(ctx, 10*time.Minute, "the calls", func() (bool, error) {
		return p.sandbox.Stats().Calls >= p.calls, alive(p.running...)
	})
	if err != nil {
		return 0, err
	}
	err = until(ctx, 2*time.Minute, "the events and dead letters", func() (bool, error) {
		done, err := p.collected(ctx)
		if !done || err != nil {
			return false, errors.Join(err, alive(p.running...))
		}
		letters, err := p.count(ctx, broker.Dead, ">")
		if letters < uint64(p.bad) || err != nil {
			return false, err
		}
		err = p.readDeliveries(ctx)
		return p.accepted >= p.good, err
	})
	p.countCalls(first)
	return p.last.Sub(begun), err
}

// countCalls looks whether each good send since number first was called once.
func (p *poisoning) countCalls(first int) {
	called := map[int]int{}
	for _, c := range p.sandbox.Calls(sandbox.Filter{}) {
		if n, ok := goodNumber(c.Recipient); ok {
			called[n]++
		}
	}
	p.wrong += p.good - first - len(called)
	for n, times := range called {
		if times > 1 || n < first {
			p.wrong++
		}
	}
}

// keepPace waits while the relay is further behind than it is at work on: speed is
// what it carries out, not how it catches up with a burst.
func (p *poisoning) keepPace(ctx context.Context) {
	for ctx.Err() == nil && p.calls-p.sandbox.Stats().Calls > poisonAhead && alive(p.running...) == nil {
		time.Sleep(time.Millisecond)
	}
}

// readDeliveries reads those that have come since the last time.
func (p *poisoning) readDeliveries(ctx context.Context) error {
	return broker.NewReader(p.js).Replay(ctx, broker.Events, "tram.delivery.>", p.seen+1, func(m *broker.Stored) error {
		p.seen = m.Seq
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err == nil && e.Delivery.State == events.StateAccepted {
			p.accepted++
			p.last = m.Time
		}
		return err
	})
}

// goodNumber is the number of a good send, by its recipient.
func goodNumber(recipient string) (int, bool) {
	digits, good := strings.CutPrefix(recipient, "09")
	n, err := strconv.Atoi(digits)
	return n, good && err == nil
}
