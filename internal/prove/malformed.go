package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

type malformedPlan struct {
	Bodies int // to publish
}

func (malformedPlan) scene(seed uint64) scene { return scene{Seed: seed} }

// malformed publishes bodies that are no requests, past the library that would
// refuse them. Each must become a dead letter with a reason, no process may
// die, and a good send among them must go its way.
func malformed(ctx context.Context, s *stage, plan malformedPlan) (report, error) {
	n := plan.Bodies
	dispatcher, collector, err := s.startBoth()
	if err != nil {
		return nil, err
	}
	if err := s.publishSends(ctx, 10); err != nil { // warm, before memory is measured
		return nil, err
	}
	if _, err := s.finals(ctx, 10, time.Minute, func() error { return alive(dispatcher, collector) }); err != nil {
		return nil, err
	}

	// A tenth first: what the programs need under this load at all. Then memory
	// must not follow the number.
	var before, after memory
	start := time.Now()
	reasons := map[string]int{}
	for _, part := range []struct {
		from, to int
		peak     *memory
	}{{0, n / 10, &before}, {n / 10, n, &after}} {
		if err := s.publishMalformed(ctx, part.from, part.to, func() error { return part.peak.note(dispatcher, collector) }); err != nil {
			return nil, err
		}
		err := until(ctx, 15*time.Minute, "the dead letters", func() (bool, error) {
			if err := part.peak.note(dispatcher, collector); err != nil {
				return false, err
			}
			got, err := s.count(ctx, broker.Dead, "tram.dead.event.>")
			return got >= uint64(part.to), err
		})
		if err != nil {
			return nil, err
		}
	}
	took := time.Since(start)

	noReason, letters := 0, map[uint64]int{}
	err = broker.NewReader(s.js).Replay(ctx, broker.Dead, "tram.dead.>", 1, func(m *broker.Stored) error {
		d, err := ledger.DecodeDeadLetter(m.Data)
		if err != nil {
			return err
		}
		letters[d.Seq]++
		reasons[d.Why.Reason]++
		if d.Why.Reason == "" || d.Why.Detail == "" {
			noReason++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var r report
	r.note("bodies published", n)
	r.note("time", took.Round(time.Second))
	r.add("requests with a dead letter", len(letters), strconv.Itoa(n), len(letters) == n)
	twice := 0
	for _, k := range letters {
		if k > 1 {
			twice++
		}
	}
	r.add("with more than one", twice, "0", twice == 0)
	r.add("without a reason", noReason, "0", noReason == 0)
	for reason, k := range reasons {
		r.note("  reason "+reason, k)
	}
	died := alive(dispatcher, collector)
	r.add("processes that died", died, "none", died == nil)
	calls := s.sandbox.Stats().Calls
	r.add("provider calls", calls, "10, of the good sends", calls == 10)
	for i, program := range []string{"dispatcher", "collector"} {
		got := fmt.Sprintf("%d MiB, then %d MiB", before[i]>>20, after[i]>>20)
		flat := after[i] <= before[i]+before[i]/4+16<<20
		r.add(program+" memory, first tenth and rest", got, "flat", flat)
	}
	return r, nil
}

// memory is the peak of the dispatcher's and the collector's.
type memory [2]int64

func (m *memory) note(processes ...*process) error {
	for i, p := range processes {
		if err := p.dead(); err != nil {
			return err
		}
		rss, err := p.rss()
		if err != nil {
			return err
		}
		m[i] = max(m[i], rss)
	}
	return nil
}

// publishMalformed publishes bodies number from to to.
func (s *stage) publishMalformed(ctx context.Context, from, to int, check func() error) error {
	seeds := hostile()
	return s.publish(ctx, from, to, 0, func(i int) (*nats.Msg, error) {
		m := nats.NewMsg("tram.send.caresoft.prove." + string(events.Classes[i%3]))
		for k, v := range map[string]string{
			events.HeaderSpecVersion: "1.0", events.HeaderID: "bad-" + strconv.Itoa(i),
			events.HeaderSource: "/prove", events.HeaderType: events.KindSend.Type(),
		} {
			m.Header.Set(k, v)
		}
		m.Data = s.mutate(seeds[i%len(seeds)])
		if i%512 == 0 {
			return m, check()
		}
		return m, nil
	})
}

// mutate changes a few bytes of seed, and makes sure that it is no request.
func (s *stage) mutate(seed []byte) []byte {
	b := append([]byte(nil), seed...)
	for range s.random.IntN(4) {
		if len(b) == 0 {
			break
		}
		switch i := s.random.IntN(len(b)); s.random.IntN(3) {
		case 0:
			b[i] = byte(s.random.Uint32())
		case 1:
			b = b[:i]
		default:
			b = append(b[:i], b[min(i+1, len(b)):]...)
		}
	}
	header := nats.Header{
		events.HeaderSpecVersion: {"1.0"}, events.HeaderID: {"x"}, events.HeaderSource: {"/prove"}, events.HeaderType: {events.KindSend.Type()},
	}
	r, err := events.DecodeRequest("tram.send.caresoft.prove.normal", header, b)
	if err == nil && r.Validate() == nil {
		return b[:0] // it would be sent
	}
	return b
}

// hostile are the seeds: the five-byte killers, deep and wide and cut-off
// bodies, and good ones to break.
func hostile() [][]byte {
	good, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "x", Source: "/prove"}, Kind: events.KindSend, Provider: "caresoft", Account: "prove", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000000"},
			Content:   events.Content{Kind: events.ContentTemplate, TemplateRef: "608", Params: map[string]string{"username": "Anh Tan"}},
		},
	})
	if err != nil {
		panic(err) // it is as constant as the program
	}
	deep := make([]byte, 100_000)
	for i := range deep {
		deep[i] = 0x91
	}
	wide := append([]byte{0xde, 0xff, 0xff}, make([]byte, 2000)...)
	seeds := [][]byte{
		{0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xc6, 0xff, 0xff, 0xff, 0xff},
		{0xdb, 0xff, 0xff, 0xff, 0xff}, {0xc9, 0xff, 0xff, 0xff, 0xff}, {}, {0xc0}, {0x80}, wide,
		[]byte(`{"recipient":{"kind":"phone"}}`), []byte("\x81\xa9recipient\x01"),
	}
	for len(seeds) < 1000 { // the deep one is 100 kB: not a million times
		seeds = append(seeds, good.Data, append([]byte{0x81, 0xa7}, good.Data...), append(good.Data[:len(good.Data):len(good.Data)], 0xc0))
	}
	return append(seeds, deep)
}
