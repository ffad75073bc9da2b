package collector

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Reasons that the collector gives; docs/reasons.md has one entry for each.
const (
	reasonUnreadableResult = "unreadable_result" // a record of RESULTS is not one
	reasonUnreadableAnswer = "unreadable_answer" // the provider package found no events in an answer that should have some
	reasonEventRefused     = "event_refused"     // an event is too large, or not one of the contract
	reasonPanic            = "panic"             // the provider package broke on the answer
)

func whyAnswer(reason, detail string, ans *channels.Answer) events.Why {
	w := events.Why{Class: string(channels.Permanent), Reason: reason, Detail: detail}
	if ans != nil {
		w.HTTPStatus = ans.Status
	}
	return w
}

// deadAnswer adds the dead letter for an answer that could not be told, or not
// in full.
func (t *translation) deadAnswer(reason, detail string) {
	t.dead(ledger.DeadAnswer, whyAnswer(reason, detail, t.r.Answer))
}

// dead adds a dead letter. Its id has the request's place in the stream and
// not its own id: each stored request that needs a person gets a letter, even
// if another had the same id.
func (t *translation) dead(group ledger.DeadGroup, why events.Why) {
	r := t.r
	attempts := slices.Clip(t.past.Attempts)
	if r.Call > 0 {
		attempts = append(attempts, ledger.AttemptOf(r))
	}
	msg, err := deadMessage(&ledger.DeadLetter{
		Group: group, Seq: r.Seq, Request: r.Request, State: r.State, Why: why,
		Attempt: r.Attempt, Call: r.Call, AtMS: r.AtMS, Answer: deadAnswerOf(group, r),
		Stack: t.stack, Attempts: attempts, Missing: t.past.Missing,
	}, t.about.Provider, t.about.Account, strconv.FormatUint(r.Seq, 10), strconv.Itoa(r.Call), strconv.Itoa(r.Step), why.Reason)
	t.add(msg, err)
}

// maxDeadBody bounds the answer in a dead letter. With its request it then fits
// whatever a server takes; the whole answer stands in RESULTS.
//
// A refusal's is bounded by maxDeadHead: there may be as many of them as there
// are requests, and what they say stands at their beginning.
const (
	maxDeadBody = 256 << 10
	maxDeadHead = 4 << 10
)

// deadAnswerOf returns the answer as a dead letter of the group has it.
func deadAnswerOf(group ledger.DeadGroup, r *ledger.Result) *channels.Answer {
	if r.Answer == nil {
		return nil
	}
	ans, limit := *r.Answer, maxDeadHead
	if group == ledger.DeadAnswer || group == ledger.DeadUnknown {
		limit = maxDeadBody
	}
	ans.Body = ans.Body[:min(len(ans.Body), limit)]
	return &ans
}

func deadMessage(d *ledger.DeadLetter, provider, account string, id ...string) (*nats.Msg, error) {
	data, err := ledger.EncodeDeadLetter(d)
	if err != nil {
		return nil, err
	}
	meta := events.Meta{
		ID:     events.DeterministicID(append([]string{"dead", string(d.Group)}, id...)...),
		Source: events.Source,
	}
	return &nats.Msg{
		Subject: broker.DeadSubject(string(d.Group), provider, account),
		Header:  nats.Header{events.HeaderMsgID: {meta.MsgID()}},
		Data:    data,
	}, nil
}

// unreadable returns the dead letter for a message of RESULTS that is no
// result. The message stands in it where a request would.
func unreadable(m jetstream.Msg, why error) (*nats.Msg, error) {
	provider, account := nowhere, nowhere
	if _, p, a, err := broker.ParseResult(m.Subject()); err == nil {
		provider, account = token(p), token(a)
	}
	md, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read place of result: %w", err)
	}
	data := m.Data()
	return deadMessage(&ledger.DeadLetter{
		Group: ledger.DeadAnswer,
		Request: ledger.Original{
			Subject: m.Subject(), Header: m.Headers(), Data: data[:min(len(data), maxDeadBody)], TimeMS: md.Timestamp.UnixMilli(),
		},
		Why:  whyAnswer(reasonUnreadableResult, fmt.Sprintf("record %d of %s: %v", md.Sequence.Stream, broker.Results, why), nil),
		AtMS: md.Timestamp.Truncate(time.Millisecond).UnixMilli(),
	}, provider, account, reasonUnreadableResult, strconv.FormatUint(md.Sequence.Stream, 10))
}
