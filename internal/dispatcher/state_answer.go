package dispatcher

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// lanesInAnswer keeps an answer far below what a broker lets pass at once.
const lanesInAnswer = 200

// answerStatus tells who asks how this dispatcher stands, until ctx is done.
func (d *Dispatcher) answerStatus(ctx context.Context) {
	questions := make(chan *nats.Msg, 16)
	sub, err := d.cfg.JS.Conn().ChanSubscribe(broker.StatusSubject, questions)
	if err != nil {
		d.log.Warn("status not answered", "error", err)
		return
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only on a closed connection
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-questions:
			if err := d.answer(m); err != nil {
				d.log.Warn("status not answered", "error", err)
			}
		}
	}
}

func (d *Dispatcher) answer(m *nats.Msg) error {
	var r ledger.StatusRequest
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return err
	}
	all := d.Lanes()
	s := ledger.Status{
		ID: d.owner.ID(), Member: d.owner.Member(), NowMS: time.Now().UnixMilli(), StartedMS: d.began.UnixMilli(), Version: d.cfg.Version,
		Partitions: len(d.partitions()), LaneCount: len(all),
	}
	for i := range all {
		s.InFlight += all[i].InFlight
	}
	wanted := slices.DeleteFunc(all, func(l ledger.Lane) bool { return !r.Wants(&l) })
	for s.More = true; s.More; {
		n := min(len(wanted), lanesInAnswer)
		s.Lanes, wanted = wanted[:n], wanted[n:]
		s.More = len(wanted) > 0
		data, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := m.Respond(data); err != nil {
			return err
		}
	}
	return nil
}
