package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
)

type idlePlan struct {
	Accounts int
	For      time.Duration // that nothing happens
	Memory   int64         // bytes that the dispatcher may take
	CPU      float64       // cores that it may use
}

func idler(i int) account {
	return account{Name: "idle" + strconv.Itoa(i), Limits: "{per_second: 10}"}
}

func (plan idlePlan) scene(seed uint64) scene {
	c := scene{Seed: seed}
	for i := range plan.Accounts {
		c.Accounts = append(c.Accounts, idler(i))
	}
	return c
}

// idle has every one of many accounts called once, and then nothing more. From
// then on the processes must cost next to nothing.
func idle(ctx context.Context, s *stage, plan idlePlan) (report, error) {
	var r report
	begun := time.Now()
	dispatcher, collector, err := s.startBoth()
	if err != nil {
		return nil, err
	}
	err = until(ctx, time.Minute, "the dispatcher to take its partitions", func() (bool, error) {
		n, err := s.count(ctx, broker.Intents, "tram.intent.>")
		return n >= broker.DefaultPartitions, errors.Join(err, alive(dispatcher, collector))
	})
	if err != nil {
		return nil, err
	}
	r.note("from the start of the dispatcher to its last partition", time.Since(begun).Round(10*time.Millisecond))
	const rate = 500 // sends per second: a burst is for other proofs
	err = s.publish(ctx, 0, plan.Accounts, rate, func(i int) (*nats.Msg, error) { return encode(sendTo(idler(i), i)) })
	if err != nil {
		return nil, err
	}
	err = until(ctx, 2*time.Minute, "a delivery of each account", func() (bool, error) {
		n, err := s.count(ctx, broker.Events, "tram.delivery.>")
		return n >= uint64(plan.Accounts), errors.Join(err, alive(dispatcher, collector))
	})
	if err != nil {
		return nil, err
	}
	calls := s.sandbox.Stats().Calls
	r.add("accounts called once", calls, strconv.Itoa(plan.Accounts), calls == int64(plan.Accounts))
	// What is left of the work: checkpoints, connections that nobody needs, garbage.
	if err := pause(ctx, plan.For/4); err != nil {
		return nil, err
	}
	all := []*process{dispatcher, collector, s.broker}
	before, from := make([]float64, len(all)), time.Now()
	for i, p := range all {
		before[i] = cpuOf(p.cmd.Process.Pid)
	}
	if err := pause(ctx, plan.For); err != nil {
		return nil, err
	}
	seconds := time.Since(from).Seconds()
	for i, p := range all {
		what := []string{"dispatcher", "collector", "broker"}[i]
		used := (cpuOf(p.cmd.Process.Pid) - before[i]) / seconds
		memory, err := p.rss()
		if err := errors.Join(err, p.dead()); err != nil {
			return nil, err
		}
		if p == dispatcher {
			r.add(what+", memory", mib(memory), mib(plan.Memory)+" at most", memory <= plan.Memory)
			r.add(what+", of a core", percent(used), percent(plan.CPU)+" at most", used <= plan.CPU)
			continue
		}
		r.note(fmt.Sprintf("%s, memory, of a core", what), mib(memory)+", "+percent(used))
	}
	return r, nil
}
