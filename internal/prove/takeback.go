package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

type takebackPlan struct {
	Sends int // each of which is taken back
}

func (takebackPlan) scene(seed uint64) scene { return scene{Seed: seed} }

// takeback pauses an account, gives it a campaign, takes all of it back at once,
// and lets the account go on under another owner. Every cancel must be answered
// while the account is paused, and nothing may be called.
func takeback(ctx context.Context, s *stage, plan takebackPlan) (report, error) {
	d, c, err := s.startBoth()
	if err != nil {
		return nil, err
	}
	largest := 0
	all := func(what, subject string) error { // and looks how large the checkpoint is meanwhile
		return until(ctx, time.Hour, what, func() (bool, error) {
			n, err := s.count(ctx, broker.Events, subject)
			largest = max(largest, s.checkpointSize(ctx, prover))
			return n >= uint64(plan.Sends), errors.Join(err, alive(d, c))
		})
	}

	if err := s.lane(ctx, "pause"); err != nil {
		return nil, err
	}
	if err := s.publish(ctx, 0, plan.Sends, 0, bulkSend); err != nil {
		return nil, err
	}
	before, err := d.rss()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.publish(ctx, 0, plan.Sends, 0, func(i int) (*nats.Msg, error) { return encode(cancelTo(prover, i)) }); err != nil {
		return nil, err
	}
	published := time.Since(began)
	if err := all("the answers", "tram.outcome.>"); err != nil {
		return nil, err
	}
	answered := time.Since(began)
	peak, err := d.peak()
	if err != nil {
		return nil, err
	}

	_ = d.kill()
	if d, err = s.start("dispatcher"); err != nil {
		return nil, err
	}
	if err := s.lane(ctx, "resume"); err != nil {
		return nil, err
	}
	resumed := time.Now()
	if err := all("the ends", "tram.delivery.>"); err != nil {
		return nil, err
	}
	ended := time.Since(resumed)
	peak2, err := d.peak()
	if err != nil {
		return nil, err
	}

	r, err := s.judgeTakeback(ctx, plan)
	r.note("cancels published within", published.Round(time.Millisecond))
	r.note("answered within, while the account is paused", answered.Round(time.Millisecond))
	r.note("ended within, after the account goes on", ended.Round(time.Millisecond))
	r.note("dispatcher, memory before, at most while it answers, at most while another one ends them", fmt.Sprintf("%d, %d, %d MiB", before>>20, peak>>20, peak2>>20))
	r.note("largest checkpoint", fmt.Sprintf("%d bytes", largest))
	return r, err
}

// bulkSend is send number i of the campaign.
func bulkSend(i int) (*nats.Msg, error) {
	r := sendTo(prover, i)
	r.Class = events.Bulk
	return encode(r)
}

// judgeTakeback says what became of the cancels and of the sends.
func (s *stage) judgeTakeback(ctx context.Context, plan takebackPlan) (r report, err error) {
	states := map[events.State]int{} // of cancels done, of sends cancelled
	err = broker.NewReader(s.js).Scan(ctx, broker.Events, broker.Window{}, func(m *broker.Stored) error {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		switch {
		case err != nil:
			return err
		case e.Outcome != nil:
			states[e.Outcome.State]++
		case e.Delivery != nil:
			states[e.Delivery.State]++
		}
		return nil
	})
	want := strconv.Itoa(plan.Sends)
	r.add("cancels that came in time", states[events.StateDone], want, states[events.StateDone] == plan.Sends)
	r.add("sends that ended as cancelled", states[events.StateCancelled], want, states[events.StateCancelled] == plan.Sends)
	calls := s.sandbox.Stats().Calls
	r.add("calls", calls, "0", calls == 0)
	return r, err
}

// lane tells the fleet to pause or resume the prover.
func (s *stage) lane(ctx context.Context, do string) error {
	var refusal error
	err := until(ctx, time.Minute, "tram lane "+do, func() (bool, error) { // who has just started has yet to tell the directory
		out, err := s.tram(ctx, "lane", do, prover.provider()+"/"+prover.Name).CombinedOutput()
		if err != nil {
			refusal = fmt.Errorf("%w\n%s", err, out)
		}
		return err == nil, nil
	})
	if err != nil {
		return errors.Join(err, refusal)
	}
	return nil
}

// checkpointSize is how many bytes the checkpoint has of the partition of a, 0 if
// it cannot be read just now.
func (s *stage) checkpointSize(ctx context.Context, a account) int {
	m, err := broker.NewReader(s.js).Last(ctx, "KV_"+broker.CheckpointsBucket, fmt.Sprintf("$KV.%s.ck.%d", broker.CheckpointsBucket, a.partition()))
	if err != nil {
		return 0
	}
	return len(m.Data)
}
