package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type poisonPlan struct {
	Good   int     // sends of a round
	Rounds int     // without poison, and as many with it
	Speed  float64 // of the good sends with poison, of that without; 0: not judged
}

const (
	poisonEvery    = 100 // good sends for one bad request
	poisonKinds    = 14
	poisonAccounts = 20
	getsHTML       = "0610000009" // as the answer to a send
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
	for _, program := range []string{"dispatcher", "collector"} {
		if _, err := s.start(program); err != nil {
			return nil, err
		}
	}
	if _, err := s.sandbox.AddFault(sandbox.Fault{Recipient: getsHTML, How: sandbox.HTML}); err != nil {
		return nil, err
	}
	p := &poisoning{stage: s, plan: plan}
	if _, err := p.round(ctx, false); err != nil { // to warm up
		return nil, err
	}
	var took [2]time.Duration // without poison, with it
	for i := range 2 * plan.Rounds {
		bad := i%4 == 1 || i%4 == 2 // without, with, with, without: what else changes on the machine changes for both
		d, err := p.round(ctx, bad)
		if err != nil {
			return nil, err
		}
		if bad {
			took[1] += d
		} else {
			took[0] += d
		}
	}
	err := until(ctx, 2*time.Minute, "the dead letters", func() (bool, error) {
		n, err := s.count(ctx, broker.Dead, ">")
		return n >= uint64(p.bad), errors.Join(err, alive(s.running...))
	})
	if err != nil {
		return nil, err
	}
	return p.judge(ctx, took)
}

// A poisoning counts what was published.
type poisoning struct {
	*stage
	plan      poisonPlan
	good, bad int
	calls     int64 // that the sandbox must get
}

// round publishes a round of sends and returns how long it took from the first
// publication to the last call.
func (p *poisoning) round(ctx context.Context, bad bool) (time.Duration, error) {
	total := p.plan.Good
	if bad {
		total += total / poisonEvery
	}
	begun, first := time.Now(), p.good
	err := p.publish(ctx, 0, total, 0, func(i int) (*nats.Msg, error) {
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
	last := begun
	for _, c := range p.sandbox.Calls(sandbox.Filter{}) {
		if n, ok := goodNumber(c.Recipient); ok && n >= first && c.At.After(last) {
			last = c.At
		}
	}
	return last.Sub(begun), err
}

// goodNumber is the number of a good send, by its recipient.
func goodNumber(recipient string) (int, bool) {
	digits, good := strings.CutPrefix(recipient, "09")
	n, err := strconv.Atoi(digits)
	return n, good && err == nil
}

// poison is bad request number i.
func (p *poisoning) poison(i int) (*nats.Msg, error) {
	a := other(i % poisonAccounts)
	send := sendTo(a, 0)
	send.ID = "bad-" + strconv.Itoa(i)
	raw := func(change func(*nats.Msg)) (*nats.Msg, error) {
		m, err := encode(send)
		if err == nil {
			change(m)
		}
		return m, err
	}
	to := func(recipient string) (*nats.Msg, error) {
		send.Send.Recipient.Value = recipient
		return encode(send)
	}
	status := func(recipient string) (*nats.Msg, error) {
		p.calls++
		send.Kind, send.Send = events.KindReport, nil
		send.Report = &events.Report{Report: "caresoft.zalo_user_status", Recipient: events.Recipient{Kind: events.ByPhone, Value: recipient}}
		return encode(send)
	}
	switch i % poisonKinds {
	case 0:
		seeds := hostile()
		return raw(func(m *nats.Msg) { m.Data = p.mutate(seeds[i%len(seeds)]) })
	case 1:
		return raw(func(m *nats.Msg) { m.Header.Set(events.HeaderType, events.TypePrefix+"send.v9") })
	case 2:
		return raw(func(m *nats.Msg) { m.Data = append(m.Data, make([]byte, events.MaxBody)...) })
	case 3:
		return raw(func(m *nats.Msg) { m.Header.Add(events.HeaderID, "another") })
	case 4:
		return to(breaksPrepare)
	case 5:
		p.calls++
		return to(breaksJudge)
	case 6:
		p.calls++
		return to(getsHTML)
	case 7:
		return status(breaksParse)
	case 8:
		return status(breaksCollector)
	case 9:
		return status(isUnreadable)
	case 10:
		return raw(func(m *nats.Msg) { m.Header.Del(events.HeaderID) })
	case 11:
		return raw(func(m *nats.Msg) { m.Subject = strings.TrimSuffix(m.Subject, string(send.Class)) + "soon" })
	case 12:
		return raw(func(m *nats.Msg) { m.Subject = strings.Replace(m.Subject, "."+a.Name+".", ".nobody.", 1) })
	}
	send.Send.Recipient.Kind = events.ByMessengerUserID // which this provider does not know
	return encode(send)
}

func (p *poisoning) judge(ctx context.Context, took [2]time.Duration) (report, error) {
	letters, reasons, stacks, innocent := map[uint64]int{}, map[string]int{}, 0, 0
	err := broker.NewReader(p.js).Replay(ctx, broker.Dead, ">", 1, func(m *broker.Stored) error {
		d, err := ledger.DecodeDeadLetter(m.Data)
		if err != nil {
			return err
		}
		letters[d.Seq]++
		reasons[string(d.Group)+" "+d.Why.Reason]++
		if d.Stack != "" {
			stacks++
		}
		if id := d.Request.Header[events.HeaderID]; len(id) == 1 && !strings.HasPrefix(id[0], "bad-") {
			innocent++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	called := map[int]int{}
	for _, c := range p.sandbox.Calls(sandbox.Filter{}) {
		if n, ok := goodNumber(c.Recipient); ok {
			called[n]++
		}
	}
	var died []error // nothing starts them again
	for _, one := range p.running {
		if err := one.dead(); err != nil {
			died = append(died, err)
		}
	}
	twice, wrong := 0, p.good-len(called)
	for _, n := range letters {
		if n > 1 {
			twice++
		}
	}
	for _, n := range called {
		if n > 1 {
			wrong++
		}
	}
	var r report
	r.note("good sends, bad requests among half of them", fmt.Sprintf("%d, %d", p.good, p.bad))
	r.add("bad requests with a dead letter", len(letters), strconv.Itoa(p.bad), len(letters) == p.bad)
	r.add("with more than one", twice, "0", twice == 0)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		r.note("  "+reason, reasons[reason])
	}
	r.add("panics whose stack is in the letter", stacks, strconv.Itoa(p.panics()), stacks == p.panics())
	r.add("good sends with a dead letter", innocent, "0", innocent == 0)
	r.add("good sends not called exactly once", wrong, "0", wrong == 0)
	r.add("processes that died", len(died), "0", len(died) == 0)
	sends := float64(p.plan.Rounds * p.plan.Good)
	clean, poisoned := sends/took[0].Seconds(), sends/took[1].Seconds()
	r.note("good sends per second, without poison and with it", fmt.Sprintf("%.0f, %.0f", clean, poisoned))
	if p.plan.Speed > 0 {
		r.add("speed with poison, of that without", percent(poisoned/clean), percent(p.plan.Speed)+" at least", poisoned >= p.plan.Speed*clean)
	}
	return r, errors.Join(died...)
}

// panics is how many of the bad requests break the provider package.
func (p *poisoning) panics() (n int) {
	for i := range p.bad {
		if k := i % poisonKinds; k == 4 || k == 5 || k == 7 || k == 8 {
			n++
		}
	}
	return n
}
