package dispatcher

import (
	"context"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A stray is a request that has * or > for a name in its subject. Brokers take it,
// and leave it out of the partitions: what is to be put into them is matched
// literally. So nobody would ever read it. The owner of partition 0 looks for
// strays, and tells that they are refused.
const (
	strayPartition = 0
	strayEvery     = time.Second
	strayBatch     = 100
)

func stray(subject string) bool { return strings.HasPrefix(subject, broker.StrayPrefix) }

// refuseStrays looks for strays until the partition takes no more.
func (p *partition) refuseStrays() {
	for p.take.Err() == nil {
		more, err := p.refuseSome(p.take)
		if err != nil && p.take.Err() == nil {
			p.log.Debug("requests outside of the partitions not read, trying again", "error", err)
		}
		if !more {
			sleep(p.take, strayEvery)
		}
	}
}

// refuseSome refuses the next strays. It reports whether there may be more.
func (p *partition) refuseSome(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msgs, _, err := p.reader.NextBySubject(ctx, broker.Requests, broker.StrayPrefix+">", p.strays.Load()+1, strayBatch)
	if err != nil {
		return false, err
	}
	for _, m := range msgs {
		if !p.mayCall() {
			return false, nil
		}
		if !p.past.ended(m.Seq) {
			if err := p.refuseStray(m); err != nil {
				p.fail(err)
				return false, err
			}
		}
		p.strays.Store(m.Seq)
	}
	return len(msgs) == strayBatch, nil
}

func (p *partition) refuseStray(m *broker.Stored) error {
	req, fault := events.DecodeRequest(m.Subject, m.Header, m.Data)
	why := events.Why{Class: string(channels.Permanent), Reason: events.ReasonEnvelope, Detail: "the subject has a wildcard in it"}
	provider, account := "_", "_"
	if req != nil {
		provider, account = events.Token(req.Provider), events.Token(req.Account)
	}
	if fault != nil {
		why.Reason, why.Detail = events.ReasonOf(fault), fault.Error()
	}
	p.log.Warn("request refused: its subject has a wildcard in it", "seq", m.Seq, "subject", m.Subject)
	at, err := p.d.results.put(p.d.storing, broker.ResultSubject(p.n, provider, account), &ledger.Result{
		Seq: m.Seq, Step: 1, Request: original(m), AtMS: time.Now().UnixMilli(),
		State: events.StateRejected, Why: why, Dead: ledger.DeadEvent,
	}, p.mayCall)
	if err != nil {
		return err
	}
	p.d.sawResult(at.seq)
	p.d.cfg.Observer.Meter("", "").Stored(events.StateRejected)
	return nil
}
