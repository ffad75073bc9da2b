package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type throttlePlan struct {
	Told  time.Duration // Retry-After, in whole seconds
	Flow  time.Duration // of the stretches before and after each trouble
	Down  time.Duration // how long the other provider is out
	Probe time.Duration // its breaker's interval
	Skew  []int         // as in limits
	Use   float64
}

const throttleLimit = 50 // per second, of each account

func (plan throttlePlan) accounts() (told, down, flat account) {
	limits := fmt.Sprintf("{per_second: %d, concurrency: 64}", throttleLimit)
	breaker := fmt.Sprintf("{min_calls: 10, window: 2s, open: %s}", plan.Probe)
	return account{Provider: "ahachat", Name: "told", Limits: limits},
		account{Provider: "ahachat", Name: "down", Limits: limits, Breaker: breaker},
		account{Provider: "ahachat", Name: "flat", Limits: limits}
}

func (plan throttlePlan) scene(seed uint64) scene {
	told, down, flat := plan.accounts()
	return scene{Seed: seed, Accounts: []account{told, down, flat}, Skew: plan.Skew != nil}
}

// throttle lets the provider refuse one call with Retry-After, while three
// dispatchers work a backlog and the owner of the account changes twice; then
// it takes another account's provider down. Nobody may call the first before its
// time or the second but for a probe, both must come back without a burst, and a
// third account must not notice.
func throttle(ctx context.Context, s *stage, plan throttlePlan) (report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told, down, flat := plan.accounts()
	lasts := 4*plan.Flow + plan.Told + plan.Down + time.Minute
	for _, a := range []account{told, down, flat} {
		if err := s.fill(ctx, a, throttleLimit, lasts); err != nil {
			return nil, err
		}
	}
	f, err := s.newFleet(ctx, 3, plan.Skew)
	if err != nil {
		return nil, err
	}
	err = until(ctx, 20*time.Second, "the first call of each account", func() (bool, error) {
		return len(s.sandbox.Stats().Accounts) == 3, alive(f.dispatchers...)
	})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	var r report
	err = errors.Join(pause(ctx, plan.Flow), f.tellToWait(ctx, plan, &r), f.takeDown(ctx, plan, &r))
	if err != nil {
		return nil, err
	}
	calls, err := f.record(flat, start, time.Now(), throttleLimit)
	if err != nil {
		return nil, err
	}
	r.add("other account, use of its limit throughout", percent(calls.use), percent(plan.Use)+" at least", calls.use >= plan.Use)
	r.note("other account, taken over", calls.takeOvers())
	return r, nil
}

// tellToWait answers one call with Retry-After.
func (f *fleet) tellToWait(ctx context.Context, plan throttlePlan, r *report) error {
	told, _, _ := plan.accounts()
	id, err := f.sandbox.AddFault(sandbox.Fault{
		Provider: told.provider(), Account: told.Name, Count: 1, Status: http.StatusTooManyRequests,
		Header: map[string]string{"Retry-After": strconv.Itoa(int(plan.Told.Seconds()))},
	})
	if err != nil {
		return err
	}
	if err := pause(ctx, plan.Told/3); err != nil {
		return err
	}
	if err := errors.Join(f.join(), f.leave(told, (*process).stop), pause(ctx, plan.Told/3)); err != nil {
		return err
	}
	if err := errors.Join(f.join(), f.leave(told, (*process).kill), pause(ctx, plan.Told/3+plan.Flow)); err != nil {
		return err
	}
	var refused sandbox.Call
	for _, c := range f.sandbox.Calls(sandbox.Filter{Account: told.Name}) {
		if c.FaultID == id {
			refused = c
		}
	}
	if refused.Seq == 0 {
		return errors.New("no call was refused")
	}
	// Calls under way when the refusal came could not know of it.
	answered := refused.At.Add(200 * time.Millisecond)
	end := refused.At.Add(plan.Told)
	later, err := f.record(told, answered, time.Now(), throttleLimit)
	if err != nil {
		return err
	}
	first := later.calls[0]
	early, _ := slices.BinarySearchFunc(later.calls, end, time.Time.Compare)
	r.add(fmt.Sprintf("calls in the %s after the refusal", plan.Told), early, "0", early == 0)
	r.note("first call after the refusal", first.Sub(refused.At).Round(time.Millisecond))
	calls, err := f.record(told, first, time.Now(), throttleLimit)
	if err != nil {
		return err
	}
	most := calls.most(time.Second)
	r.add("then, most calls in any second", most, fmt.Sprintf("%d at most", throttleLimit), most <= throttleLimit)
	r.add("then, use of the limit", percent(calls.use), percent(plan.Use)+" at least", calls.use >= plan.Use)
	attempts, err := f.attempts(ctx, told, refused.Recipient)
	r.add("attempts of the refused request when it was accepted", attempts, "1", attempts == 1)
	return err
}

// attempts returns how many attempts had counted when the request for recipient
// was accepted.
func (f *fleet) attempts(ctx context.Context, a account, recipient string) (attempts int, err error) {
	filter := broker.ResultSubject(a.partition(), a.provider(), a.Name)
	err = broker.NewReader(f.js).Replay(ctx, broker.Results, filter, 1, func(m *broker.Stored) error {
		res, err := ledger.DecodeResult(m.Data)
		if err != nil || res.State != events.StateAccepted {
			return err
		}
		req, err := events.DecodeRequest(res.Request.Subject, res.Request.Header, res.Request.Data)
		if err == nil && req.Send.Recipient.Value == recipient {
			attempts = res.Attempt
		}
		return err
	})
	return attempts, err
}

// takeDown answers every call of an account with 503 for a while.
func (f *fleet) takeDown(ctx context.Context, plan throttlePlan, r *report) error {
	_, down, _ := plan.accounts()
	_, err := f.sandbox.AddFault(sandbox.Fault{
		Provider: down.provider(), Account: down.Name, Status: http.StatusServiceUnavailable, ForMS: plan.Down.Milliseconds(),
	})
	if err != nil {
		return err
	}
	start := time.Now()
	back := start.Add(plan.Down)
	if err := pause(ctx, plan.Down+plan.Probe+plan.Flow); err != nil {
		return err
	}
	// Half of the calls in its window have failed after a second at the latest,
	// and a second later the breaker must have opened.
	open, err := f.record(down, start, back, throttleLimit)
	if err != nil {
		return err
	}
	before, _ := slices.BinarySearchFunc(open.calls, start.Add(2*time.Second), time.Time.Compare)
	probes := open.calls[before:]
	nearest := plan.Down
	for i := 1; i < len(probes); i++ {
		nearest = min(nearest, probes[i].Sub(probes[i-1]))
	}
	r.note("provider down: calls before the breaker had opened", before)
	most := int(plan.Down/plan.Probe) + 1
	r.add(fmt.Sprintf("provider down: probes in %s", plan.Down), len(probes), fmt.Sprintf("1 to %d", most), 0 < len(probes) && len(probes) <= most)
	r.add("provider down: time between two probes", nearest.Round(time.Millisecond), plan.Probe.String()+" at least", nearest >= plan.Probe*95/100)

	after, err := f.record(down, back, time.Now(), throttleLimit)
	if err != nil {
		return err
	}
	first := after.calls[0]
	r.add("provider back: first call", first.Sub(back).Round(time.Millisecond), "within "+plan.Probe.String(), first.Sub(back) <= plan.Probe*105/100)
	if after, err = f.record(down, first, time.Now(), throttleLimit); err != nil {
		return err
	}
	second := after.most(time.Second)
	r.add("provider back: most calls in any second", second, fmt.Sprintf("%d at most", throttleLimit), second <= throttleLimit)
	r.add("provider back: use of the limit", percent(after.use), percent(plan.Use)+" at least", after.use >= plan.Use)
	return nil
}
