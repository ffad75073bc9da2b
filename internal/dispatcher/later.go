package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A request that is not due for a while is planned in LATER, from where the
// server brings it back to REQUESTS as another message shortly before its time.
// Meanwhile it costs this process nothing, and the broker some hundred bytes. The
// lane keeps what is due soon, to the millisecond.
const (
	planFrom = 2 * time.Second        // requests due later than this are planned
	dueEarly = 500 * time.Millisecond // how long before its time a planned one comes back: the server is late by up to 250 ms
)

// later sees to it that the request is not carried out before its time. It
// reports whether the request is out of our hands, for now or for good.
//
// A request must not be planned and carried out at once, whatever dies when. So
// both, planning it and deciding to carry it out, are one message each in LATER,
// and the server takes one of them only.
func (x *execution) later(now time.Time) (done bool) {
	e := x.e
	due := e.notBefore(x.p.clock)
	if e.calls == 0 && !e.kept {
		switch again, err := x.cameAgain(); {
		case err != nil:
			x.again(err)
			return true
		case again:
			x.scheduled()
			return true
		}
	}
	switch {
	case due.IsZero() || e.calls > 0 || e.kept:
		return false
	case due.Sub(now) > planFrom:
		x.plan()
		return true
	case !e.plannable(): // nobody can have planned it
	default:
		kept, err := x.keep()
		if err != nil {
			x.again(err)
			return true
		}
		if !kept {
			x.scheduled()
			return true
		}
	}
	e.kept = true
	if due.After(now) { // it has its turn again then
		x.decision = decision{state: events.StateDeferred, retryIn: due.Sub(now)}
		return true
	}
	return false
}

// cameAgain reports whether the request has come back from LATER, and had done
// so before: a server that was killed may have forgotten that it has published
// what was planned.
func (x *execution) cameAgain() (bool, error) {
	source := sourceOf(x.e.msg)
	if source == nil {
		return false, nil
	}
	first, err := x.p.reader.First(x.p.work, broker.Later, source[4])
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // whoever wrote this was not the server
		return false, nil
	case err != nil:
		return false, err
	}
	return strconv.FormatUint(first.Seq, 10) != source[1], nil
}

// streamSourceHeader is where the server says what a message is a copy of.
const streamSourceHeader = "Nats-Stream-Source"

// sourceOf returns what the server says about m if it has come from LATER:
// stream, sequence, filter, transform, subject. Else it returns nil.
func sourceOf(m *broker.Stored) []string {
	source := strings.Fields(m.Header.Get(streamSourceHeader))
	if len(source) < 5 || source[0] != broker.Later {
		return nil
	}
	return source
}

// notBefore returns when e is due by our clock; zero is at once.
func (e *entry) notBefore(c clock) time.Time {
	if e.req == nil {
		return time.Time{}
	}
	return c.local(e.req.Timing().NotBeforeMS)
}

// plannable reports whether an owner may have planned e: whether it was stored
// so long before its time. What has come back from LATER was not. The second is
// for clocks that have been read badly.
func (e *entry) plannable() bool {
	return time.UnixMilli(e.req.Timing().NotBeforeMS).Sub(e.msg.Time) > planFrom-time.Second
}

// A request that can be planned has at most so many bytes, headers and body
// together, and so many of headers: what the server adds must leave room for it in
// REQUESTS, and below the 64 KiB that headers may have. The server would try one
// that has no room there again and again, and nothing behind it would come.
const (
	maxPlanned        = 290 << 10
	maxPlannedHeaders = 60 << 10
)

func (e *entry) tooLargeToPlan() bool {
	all := (&nats.Msg{Header: e.plannedHeader(), Data: e.msg.Data}).Size()
	return all > maxPlanned || all-len(e.msg.Data) > maxPlannedHeaders
}

// plannedHeader is the header with which e goes to LATER. What else the producer
// tells the server must not be told there, and names that are none (ADR-4 of NATS)
// the client does not write.
func (e *entry) plannedHeader() nats.Header {
	h := nats.Header{}
	for k, v := range e.msg.Header {
		if k != "" && !strings.HasPrefix(strings.ToLower(k), "nats-") && !strings.ContainsFunc(k, notInName) {
			h[k] = v
		}
	}
	return h
}

func notInName(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"()/,:;<=>?@[\]{}`, r)
}

// plan hands e over to the broker's clock.
func (x *execution) plan() {
	stored, err := broker.ParseStored(x.e.msg.Subject)
	if err != nil || x.e.tooLargeToPlan() {
		x.refuse(ReasonInvalidRequest, fmt.Sprintf("a request with not_before_ms may have %d bytes at most, headers and body together, and %d of headers", maxPlanned, maxPlannedHeaders))
		return
	}
	switch err := x.planAt(stored, x.e.req.Timing().NotBeforeMS); {
	case err != nil && !broker.IsWrongSequence(err):
		x.again(err)
	default: // an owner before us may have planned it
		x.scheduled()
	}
}

// planAt makes e come back for the given time, in the broker's milliseconds.
func (x *execution) planAt(stored broker.StoredSubject, ms int64) error {
	name := x.e.name()
	m := nats.NewMsg(stored.Plan(name, x.e.msg.Seq))
	m.Header, m.Data = x.e.plannedHeader(), x.e.msg.Data
	publishAt(m, time.UnixMilli(ms).Add(-dueEarly), stored.Due(name, x.e.msg.Seq))
	return x.first(m, stored)
}

// publishAt makes m be published as target at the given time.
func publishAt(m *nats.Msg, at time.Time, target string) {
	m.Header.Set(jetstream.ScheduleHeader, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(jetstream.ScheduleTargetHeader, target)
	m.Header.Set(jetstream.MsgTTLHeader, "never") // or the age of the stream would end it
}

// name stands for e in the subjects of LATER.
func (e *entry) name() string { return broker.RequestName(e.req.Source, e.req.ID) }

// keepHeader marks the message by which a request is never planned.
const keepHeader = "Tram-Keep"

// keep makes sure that e is not planned, by anybody, from now on. It reports
// false if it has been.
func (x *execution) keep() (bool, error) {
	stored, err := broker.ParseStored(x.e.msg.Subject)
	if err != nil {
		return false, err
	}
	plan := stored.Plan(x.e.name(), x.e.msg.Seq)
	m := nats.NewMsg(plan)
	m.Header.Set(keepHeader, "1")
	if err = x.first(m, stored); !broker.IsWrongSequence(err) {
		return err == nil, err
	}
	last, err := x.p.reader.Last(x.p.work, broker.Later, plan)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // it has come back already
		return false, nil
	}
	return err == nil && last.Header.Get(keepHeader) != "", err
}

// first publishes m if nothing about its request is in LATER.
func (x *execution) first(m *nats.Msg, stored broker.StoredSubject) error {
	return x.p.storeLater(x.p.work, m, 0, stored.PlanOrDue(x.e.name(), x.e.msg.Seq))
}

// storeLater publishes m to LATER if the newest message of subject has the
// sequence last there.
func (p *partition) storeLater(ctx context.Context, m *nats.Msg, last uint64, subject string) error {
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, subject)
	ctx, cancel := context.WithTimeout(ctx, laterTimeout)
	defer cancel()
	_, err := p.d.cfg.JS.PublishMsg(ctx, m)
	return err
}

const laterTimeout = 5 * time.Second

// scheduled ends our part of a request that will come back for its time.
func (x *execution) scheduled() {
	ms, why := x.e.req.Timing().NotBeforeMS, events.Why{Reason: ReasonScheduled, Detail: "waits for not_before_ms"}
	if ms == 0 { // nothing else is planned, and this one has come back twice
		why = quietWhy
	}
	x.planned(ms, why)
}

// planned ends our part of a request that will come back; 0 is an unknown time.
func (x *execution) planned(ms int64, why events.Why) {
	r := x.e.result(time.Now())
	r.State, r.Planned, r.RetryAtMS, r.Why = events.StateDeferred, true, ms, why
	x.store(r, decision{state: events.StateDeferred, planned: true})
}

// again tries once more in a moment: the broker is away.
func (x *execution) again(err error) {
	x.p.log.Debug("request put off, trying again", "provider", x.l.key.provider, "account", x.l.key.account, "seq", x.e.msg.Seq, "error", err)
	x.decision = decision{state: events.StateDeferred, retryIn: time.Second}
}
