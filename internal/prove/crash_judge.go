package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

// A book is what the streams say became of each send, by its number.
type book struct {
	s     *stage
	ends  map[int][]*events.Delivery // final ones
	dead  map[int]int                // letters about an unknown end
	seqs  map[int]uint64             // in REQUESTS
	calls map[uint64][]underWay      // by sequence in REQUESTS, the first call first
	next  map[string]uint64          // by filter, what is to be read next

	cancelled map[int][]events.State // how the cancel of a send ended
}

// underWay is what is known of one call.
type underWay struct {
	began bool // there is an intent
	ended bool // there is a result
	again bool // which says that it may be made again
}

func newBook(s *stage) *book {
	return &book{
		s: s, ends: map[int][]*events.Delivery{}, dead: map[int]int{}, seqs: map[int]uint64{},
		calls: map[uint64][]underWay{}, next: map[string]uint64{}, cancelled: map[int][]events.State{},
	}
}

// numberOf is the reverse of sendID.
func numberOf(id string) (int, error) { return strconv.Atoi(strings.TrimPrefix(id, "order-")) }

// read reads what has been stored since it was called last.
func (b *book) read(ctx context.Context) error {
	for _, part := range []struct {
		stream, filter string
		note           func(*broker.Stored) error
	}{
		{broker.Intents, "tram.intent.>", b.noteIntents},
		{broker.Results, "tram.result.>", b.noteResult},
		{broker.Events, "tram.delivery.>", b.noteEvent},
		{broker.Events, "tram.outcome.>", b.noteOutcome},
		{broker.Dead, "tram.dead.unknown.>", b.noteDead},
	} {
		err := broker.NewReader(b.s.js).Replay(ctx, part.stream, part.filter, max(b.next[part.filter], 1), func(m *broker.Stored) error {
			b.next[part.filter] = m.Seq + 1
			return part.note(m)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *book) call(seq uint64, n int) *underWay {
	for len(b.calls[seq]) < n {
		b.calls[seq] = append(b.calls[seq], underWay{})
	}
	return &b.calls[seq][n-1]
}

func (b *book) noteIntents(m *broker.Stored) error {
	g, err := ledger.DecodeIntents(m.Data)
	if err != nil {
		return err
	}
	for _, in := range g.Calls {
		if in.Call == 0 { // of a cancel
			continue
		}
		b.call(in.Seq, in.Call).began = true
	}
	return nil
}

func (b *book) noteResult(m *broker.Stored) error {
	r, err := ledger.DecodeResult(m.Data)
	if err != nil {
		return err
	}
	if r.Call > 0 { // else it was taken back before any
		c := b.call(r.Seq, r.Call)
		c.ended, c.again = true, r.State == events.StateDeferred
	}
	req, err := events.DecodeRequest(r.Request.Subject, r.Request.Header, r.Request.Data)
	if err != nil {
		return err
	}
	if req.Kind != events.KindSend {
		return nil
	}
	i, err := numberOf(req.ID)
	b.seqs[i] = r.Seq
	return err
}

func (b *book) noteEvent(m *broker.Stored) error {
	e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
	if err != nil || !e.Delivery.Final {
		return err
	}
	i, err := numberOf(e.Delivery.RequestID)
	b.ends[i] = append(b.ends[i], e.Delivery)
	return err
}

func (b *book) noteDead(m *broker.Stored) error {
	d, err := ledger.DecodeDeadLetter(m.Data)
	if err != nil {
		return err
	}
	req, err := events.DecodeRequest(d.Request.Subject, d.Request.Header, d.Request.Data)
	if err != nil {
		return err
	}
	i, err := numberOf(req.ID)
	b.dead[i]++
	return err
}

// waiting counts the sends of a span that have not ended.
func (b *book) waiting(from, to int) (n int) {
	for i := from; i < to; i++ {
		if len(b.ends[i]) == 0 {
			n++
		}
	}
	return n
}

// A verdict is what became of the sends of one run.
type verdict struct {
	deaths, sends, waited int

	taken            int // back, before they were called
	unknown, assumed int // in doubt, and not repeated
	again            int // called twice, as on_ambiguous: resend has it

	lost     int // no end
	several  int // more than one
	twice    int // called more often than on_ambiguous allows
	mistaken int // the end is not what the provider saw
	unclosed int // calls without an intent or a result
	letters  int // unknown without exactly one dead letter
}

func (v *verdict) broken() int {
	return v.lost + v.several + v.twice + v.mistaken + v.unclosed + v.letters
}

// judge compares the ends of sends number from to to with the calls that the
// sandbox has seen.
func (b *book) judge(from, to int) *verdict {
	v := &verdict{sends: to - from}
	called := map[string]int{}
	for _, c := range b.s.sandbox.Calls(sandbox.Filter{Outcome: sandbox.Accepted}) {
		called[c.Recipient]++
	}
	for i := from; i < to; i++ {
		before := v.broken()
		b.judgeCalls(v, i, called[phone(i)])
		b.judgeEnd(v, i, called[phone(i)])
		if v.broken() > before {
			b.s.log.Error("a promise is broken", "send", i, "policy", policyOf(i), "called", called[phone(i)],
				"ends", endsOf(b.ends[i]), "cancel", fmt.Sprint(b.cancelled[i]),
				"calls", fmt.Sprintf("%+v", b.calls[b.seqs[i]]), "letters", b.dead[i])
		}
	}
	return v
}

// endsOf says how a send ended, and why.
func endsOf(all []*events.Delivery) (ends []string) {
	for _, d := range all {
		ends = append(ends, fmt.Sprintf("%s %s %s %s", d.State, d.Evidence, d.Why.Reason, d.Why.Detail))
	}
	return ends
}

// judgeEnd looks at how one send ended.
func (b *book) judgeEnd(v *verdict, i, called int) {
	switch len(b.ends[i]) {
	case 0:
		v.lost++
		return
	case 1:
	default:
		v.several++
		return
	}
	end := b.ends[i][0]
	letters := 0
	switch {
	case end.State == events.StateUnknown && policyOf(i) == events.Hold:
		v.unknown++
		letters = 1
	case end.State == events.StateAccepted && policyOf(i) == events.AssumeSent && end.Evidence == events.Assumed:
		v.assumed++
	case end.State == events.StateFailed && policyOf(i) == events.Resend && end.Why.Reason == "attempts_exhausted":
		// Everybody who called it was killed; its letter is about a refusal.
	case end.State == events.StateCancelled && len(b.cancelled[i]) > 0:
	case end.State != events.StateAccepted || called == 0:
		v.mistaken++
	}
	if b.dead[i] != letters {
		v.letters++
	}
	b.judgeCancel(v, i, called)
}

// judgeCalls looks at the calls of one send. Each must have begun with an intent
// and ended with a result, and no other may follow one whose result does not say
// so. Only on_ambiguous: resend lets it say so of a call that may have been made.
func (b *book) judgeCalls(v *verdict, i, called int) {
	all := b.calls[b.seqs[i]]
	for n, c := range all {
		if !c.began || !c.ended {
			v.unclosed++
		}
		if last := n == len(all)-1; !last && !c.again {
			v.twice++
		}
	}
	allowed := 1
	if policyOf(i) == events.Resend {
		allowed = len(all)
	}
	switch {
	case called > allowed:
		v.twice++
	case called > 1:
		v.again++
	}
}

func (v *verdict) report(r *report, name string) {
	got := fmt.Sprintf("%d times\t%d sends, %d waited\t%d taken back\t%d unknown\t%d assumed\t%d sent again\t%d lost\t%d ended twice\t%d called twice\t%d others",
		v.deaths, v.sends, v.waited, v.taken, v.unknown, v.assumed, v.again, v.lost, v.several, v.twice, v.mistaken+v.unclosed+v.letters)
	r.add(name, got, "0 from lost on", v.broken() == 0)
}
