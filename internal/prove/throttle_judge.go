package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

// judgeSilence adds what followed the call that a fault refused.
func (t *trouble) judgeSilence(ctx context.Context, what string, a account, fault int64, wait time.Duration) error {
	var refused sandbox.Call
	for _, c := range t.sandbox.Calls(sandbox.Filter{Provider: a.provider(), Account: a.Name}) {
		if c.FaultID == fault {
			refused = c
		}
	}
	if refused.Seq == 0 {
		return errors.New(what + ": no call was refused")
	}
	var heard time.Time
	attempts := 0
	err := until(ctx, 30*time.Second, "the end of a refused send", func() (ended bool, err error) {
		heard, attempts, err = t.fate(ctx, a, refused.Recipient)
		return attempts > 0, err
	})
	if err != nil {
		return err
	}
	// Calls that began before the refusal was heard could not know of it.
	later, err := t.record(a, heard.Add(250*time.Millisecond), time.Now(), throttleLimit)
	if err != nil {
		return err
	}
	early, _ := slices.BinarySearchFunc(later.calls, refused.At.Add(wait), time.Time.Compare)
	t.r.add(fmt.Sprintf("%s: calls in the %s after it", what, wait), early, "0", early == 0)
	t.r.note(what+": first call after it", later.calls[0].Sub(refused.At).Round(time.Millisecond))
	t.r.add(what+": attempts of the refused send when it was accepted", attempts, "1", attempts == 1)
	return t.judgeReturn(what, a, later.calls[early])
}

// judgeReturn adds how an account goes on from its first call on.
func (t *trouble) judgeReturn(what string, a account, first time.Time) error {
	calls, err := t.record(a, first, time.Now(), throttleLimit)
	if err != nil {
		return err
	}
	second, most := calls.most(time.Second), int(throttleLimit*(1+t.plan.Slack))
	t.r.add(what+": then, most calls in any second", second, fmt.Sprintf("%d at most", most), second <= most)
	t.r.add(what+": then, use of the limit", percent(calls.use), percent(t.plan.Use)+" at least", calls.use >= t.plan.Use)
	return nil
}

// fate returns when the first answer about the send for recipient was stored, and
// how many attempts had counted when it was accepted.
func (t *trouble) fate(ctx context.Context, a account, recipient string) (first time.Time, attempts int, err error) {
	err = t.results(ctx, a, func(m *broker.Stored, res *ledger.Result) error {
		req, err := events.DecodeRequest(res.Request.Subject, res.Request.Header, res.Request.Data)
		if err != nil || req.Send.Recipient.Value != recipient {
			return err
		}
		if first.IsZero() && res.Answer != nil {
			first = m.Time
		}
		if res.State == events.StateAccepted {
			attempts = res.Attempt
		}
		return nil
	})
	return first, attempts, err
}

func (t *trouble) results(ctx context.Context, a account, each func(*broker.Stored, *ledger.Result) error) error {
	filter := broker.ResultSubject(a.partition(), a.provider(), a.Name)
	return broker.NewReader(t.js).Replay(ctx, broker.Results, filter, 1, func(m *broker.Stored) error {
		res, err := ledger.DecodeResult(m.Data)
		if err != nil {
			return err
		}
		return each(m, res)
	})
}

// judgeOutage adds how a was called while its provider was out, and after it.
// Calls that got no answer at all are known by their results alone.
func (t *trouble) judgeOutage(ctx context.Context, what string, a account, start, back time.Time) error {
	var calls []time.Time
	err := t.results(ctx, a, func(m *broker.Stored, res *ledger.Result) error {
		if res.Answer != nil && m.Time.After(start) && m.Time.Before(back) {
			calls = append(calls, m.Time)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(calls) == 0 {
		return errors.New(what + ": not called meanwhile")
	}
	// What comes before the first pause is what it took to open the breaker.
	least := t.plan.Probe * 95 / 100
	before := 1
	for before < len(calls) && calls[before].Sub(calls[before-1]) < least {
		before++
	}
	opened := calls[before-1].Sub(start)
	probes := calls[before:]
	nearest, out := t.plan.Down, back.Sub(start)
	for i := 1; i < len(probes); i++ {
		nearest = min(nearest, probes[i].Sub(probes[i-1]))
	}
	t.r.note(what+": calls before the breaker opened", before)
	t.r.add(what+": it opened after", opened.Round(time.Millisecond), "2s at most", t.plan.Flat == 0 && opened < out-least || opened <= 2*time.Second)
	most := int(out/t.plan.Probe) + 1
	t.r.add(fmt.Sprintf("%s: probes in %s", what, out.Round(time.Second)), len(probes), fmt.Sprintf("%d at most", most), len(probes) <= most)
	t.r.add(what+": time between two probes", nearest.Round(time.Millisecond), t.plan.Probe.String()+" at least", t.plan.Flat == 0 || nearest >= least)

	after, err := t.record(a, back, time.Now(), throttleLimit)
	if err != nil {
		return err
	}
	// A probe is claimed in a checkpoint, one a second, and may begin for two.
	soon := t.plan.Probe + 4*time.Second
	first := after.calls[0]
	late := t.plan.Flat > 0 && first.Sub(back) > soon
	t.r.add(what+": first call after its return", first.Sub(back).Round(time.Millisecond), "within "+soon.String(), !late)
	return t.judgeReturn(what, a, first)
}

// judgeCalm compares how long sends of the other accounts took. How much two
// stretches without trouble differ is what the machine adds.
func (t *trouble) judgeCalm() {
	for _, c := range t.sandbox.Calls(sandbox.Filter{}) {
		i, _ := strconv.Atoi(c.Recipient[2:]) // it is a phone number
		was, ok := t.published[i]
		for _, s := range t.stretches {
			if ok && !was.Before(s.from) && was.Before(s.to) {
				s.all = append(s.all, c.At.Sub(was))
			}
		}
	}
	p99 := func(s *stretch) float64 { return float64(s.all.at(0.99)) }
	one, other := p99(t.stretches[0]), p99(t.stretches[1])
	for i, s := range t.stretches {
		t.r.note("others, "+s.what+": publication to call", s.all)
		if i < 2 {
			continue
		}
		ratio, noise := p99(s)/max(one, other), max(one, other)/min(one, other)
		allowed := t.plan.Flat * noise
		got := fmt.Sprintf("%.2f, two stretches before: %.2f", ratio, noise)
		if t.plan.Flat == 0 {
			t.r.note("others, "+s.what+": p99 of that before", got)
			continue
		}
		t.r.add("others, "+s.what+": p99 of that before", got, fmt.Sprintf("%.2f at most", allowed), ratio <= allowed)
	}
}
