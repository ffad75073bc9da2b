package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// ReasonNotSent is why a request is failed that an operator says was not
// carried out.
const ReasonNotSent = "not_sent"

// ErrNotUnknown says that a letter is not about an end that is unknown.
var ErrNotUnknown = errors.New("only letters of the group unknown can be resolved: what became of the others is known")

// Resolve stores what a person has found out about a request that had ended as
// unknown, as a result of which collectors make an event, and removes the
// letter. The error is a [*DecidedError] if somebody has decided otherwise.
// After any other error it can be called again: nothing is told twice.
func (b *Box) Resolve(ctx context.Context, l *Letter, sent bool) error {
	if l.Group != ledger.DeadUnknown || l.Event == nil {
		return fmt.Errorf("resolve dead letter %d: %w", l.ID, ErrNotUnknown)
	}
	after, err := b.lastSeq(ctx, broker.Results)
	if err != nil {
		return err
	}
	action := NotSent
	if sent {
		action = Sent
	}
	mine := Decision{Action: action, AtMS: time.Now().UnixMilli(), Run: events.NewID(), After: after}
	held, err := b.decide(ctx, l, mine)
	if err != nil {
		return err
	}
	if held.Action != action {
		return &DecidedError{l.ID, held}
	}
	if held.Run != mine.Run { // it was begun, and perhaps stored
		stored, err := b.resolved(ctx, l, held.After)
		if err != nil {
			return err
		}
		if stored {
			return b.remove(ctx, l.ID)
		}
	}
	if err := b.store(ctx, l, resolution(l, &held)); err != nil {
		return err
	}
	return b.remove(ctx, l.ID)
}

// resolution is the result that tells of d. It depends on nothing but its
// arguments.
func resolution(l *Letter, d *Decision) *ledger.Result {
	r := &ledger.Result{
		Seq: l.Seq, Call: l.Call, Attempt: l.Attempt, Step: 1, Request: l.Request,
		State: events.StateDone, AtMS: d.AtMS, Resolved: true,
	}
	switch {
	case d.Action == NotSent:
		r.State = events.StateFailed
		r.Why = events.Why{
			Class: string(channels.Permanent), Reason: ReasonNotSent,
			Detail: "it had ended as unknown; an operator has found out that it was not carried out",
		}
	case l.Event.Kind == events.KindSend:
		r.State, r.Evidence = events.StateAccepted, events.Operator
	}
	return r
}

// resolvedID names the result that resolves the request of l.
func resolvedID(l *Letter) string { return strconv.FormatUint(l.Seq, 10) + "/resolved" }

func (b *Box) resultSubject(l *Letter) string {
	return broker.ResultSubject(broker.Partition(l.Provider, l.Account, b.partitions), l.Provider, l.Account)
}

func (b *Box) store(ctx context.Context, l *Letter, r *ledger.Result) error {
	data, err := ledger.EncodeResult(r)
	if err != nil {
		return err
	}
	m := nats.NewMsg(b.resultSubject(l))
	m.Data = data
	m.Header.Set(jetstream.MsgIDHeader, resolvedID(l))
	return b.insist(ctx, "store result", func(ctx context.Context) error {
		_, err := b.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		return err
	})
}

// resolved reports whether the result that resolves l is stored, after a
// sequence of RESULTS.
func (b *Box) resolved(ctx context.Context, l *Letter, after uint64) (found bool, err error) {
	id := resolvedID(l)
	err = b.read.Replay(ctx, broker.Results, b.resultSubject(l), after+1, func(m *broker.Stored) error {
		if m.Header.Get(jetstream.MsgIDHeader) == id {
			found = true
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}
