package collector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/failpoint"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A lane works off the results of some accounts in order. One goroutine turns
// results into events and publishes them without waiting; the other follows in
// the same order, waits for the broker to have each event, and acknowledges a
// result after its last one. The channel between them is the window: it is
// full when so many events are under way, however few or many a result has.
type lane struct {
	*Collector
	work context.Context // done: what is left is given up, and comes again
	pub  *broker.Publisher
	read *broker.Reader
	in   chan jetstream.Msg
	sent chan publication

	reading sync.Mutex // held while a result is being read, which waits for nothing
}

// A publication is one event under way.
type publication struct {
	event *nats.Msg // nil for a result that has none
	ack   *broker.Ack
	err   error         // instead of one
	last  jetstream.Msg // the result, if the event is its last
	told  *told         // of the result, with its last event
}

func newLane(work context.Context, c *Collector, pub *broker.Publisher) *lane {
	return &lane{
		Collector: c, work: work, pub: pub, read: broker.NewReader(c.JS),
		in:   make(chan jetstream.Msg, 64),
		sent: make(chan publication, c.Window),
	}
}

// take hands the lane a result.
func (l *lane) take(m jetstream.Msg) {
	select {
	case l.in <- m:
	case <-l.work.Done():
	}
}

// publish reads results until there are no more.
func (l *lane) publish() {
	defer close(l.sent)
	for {
		select {
		case m, more := <-l.in:
			if !more {
				return
			}
			l.publishAll(m)
		case <-l.work.Done():
			return
		}
	}
}

func (l *lane) publishAll(m jetstream.Msg) {
	failpoint.Hit(failpoint.ResultRead)
	l.Observer.Read()
	begun := time.Now()
	r, msgs, err := l.translate(m)
	told := l.tell(r, begun, msgs)
	if len(msgs) == 0 {
		l.track(publication{err: err, last: m, told: told})
	}
	for i, event := range msgs {
		p := publication{event: event}
		if i == len(msgs)-1 {
			p.last, p.told = m, told
		}
		p.ack, p.err = l.pub.Publish(event)
		l.track(p)
	}
}

func (l *lane) track(p publication) {
	select {
	case l.sent <- p:
	case <-l.work.Done():
	}
}

// translate returns the result in a message of RESULTS, nil if it is none, and
// its events. What cannot be told it logs and makes a dead letter of; it fails if
// even that does not work.
func (l *lane) translate(m jetstream.Msg) (*ledger.Result, []*nats.Msg, error) {
	r, err := ledger.DecodeResult(m.Data())
	if _, newer := errors.AsType[*ledger.NewerError](err); newer {
		return nil, nil, err // for a collector that can read it, or for this one when it is updated
	}
	if err != nil {
		l.Log.Error("a record is no result, made it a dead letter", "subject", m.Subject(), "error", err)
		letter, err := unreadable(m, err)
		if err != nil {
			return nil, nil, err
		}
		return nil, []*nats.Msg{letter}, nil
	}
	var key accountKey
	if s, err := events.ParseSubject(r.Request.Subject); err == nil {
		key = accountKey{s.Provider, s.Account}
	}
	provider, account := l.providers[key.provider], (*l.accounts.Load())[key]
	msgs, err := l.events(r, History{}, provider, account)
	if r.Prev != 0 && slices.ContainsFunc(msgs, isDeadLetter) {
		past, err := l.history(r)
		if err != nil {
			return r, nil, err
		}
		msgs, _ = l.events(r, past, provider, account) // its error is the one above
	}
	if err != nil {
		log := l.Log.With("subject", m.Subject(), "seq", r.Seq, "call", r.Call, "error", err)
		if u, ok := errors.AsType[*unreadError](err); ok && u.stack != "" {
			log = log.With("stack", u.stack)
		}
		log.ErrorContext(traceOf(r), "a result could not be told in full, made a dead letter")
	}
	return r, msgs, nil
}

// events is Events, under the lock by which [Collector.Touch] knows that a lane
// moves.
func (l *lane) events(r *ledger.Result, past History, p channels.Provider, a *channels.Account) ([]*nats.Msg, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	return Events(r, past, p, a)
}

func isDeadLetter(m *nats.Msg) bool { return strings.HasPrefix(m.Subject, broker.DeadPrefix) }

// history returns what came before r. It does not stop asking while the broker
// is away, until the work is given up.
func (l *lane) history(r *ledger.Result) (History, error) {
	for {
		past, err := readHistory(l.work, l.read, r)
		if err == nil {
			return past, nil
		}
		l.Log.Warn("the calls before a dead letter cannot be read, trying again", "seq", r.Seq, "error", err)
		if !sleep(l.work, retryWait) {
			return History{}, err
		}
	}
}

// settle waits for the events under way, in order, until there are no more.
func (l *lane) settle() {
	stored := true // every event so far of the result at hand
	for p := range l.sent {
		switch {
		case p.event != nil:
			stored = l.store(p) && stored
			failpoint.Hit(failpoint.EventPublished)
		case p.err != nil:
			l.Log.Error("a result cannot be told now, it comes again", "in", refusedDelay, "error", p.err)
			stored = false
		}
		if p.last == nil {
			continue
		}
		switch {
		case l.work.Err() != nil:
			// Given up: events may be missing among those that came here.
		case stored:
			p.told.end(l.Observer)
			failpoint.Hit(failpoint.BeforeAck)
			// If this is lost the result comes again, and the broker knows its
			// events by their ids.
			if err := p.last.Ack(); err != nil {
				l.Log.Warn("result not acknowledged, it will come again", "error", err)
			}
		default:
			_ = p.last.NakWithDelay(refusedDelay) // if this is lost, it comes again sooner
		}
		stored = true
	}
}

const (
	publishTimeout = 3 * time.Second
	maxRetryWait   = time.Second

	// refusedDelay is how soon a result comes again of which the broker refuses
	// an event, or that a newer version wrote. It takes a change of the broker's
	// settings, or of the version, to help it.
	refusedDelay = time.Minute
)

// store returns true once the broker has the event, and false if it will not
// take it or the work is given up. An event that may or may not have been
// stored is published again: the broker knows it by its id.
func (l *lane) store(p publication) bool {
	err := p.err
	if err == nil {
		select {
		case <-p.ack.Done():
			err = p.ack.Err()
		case <-l.work.Done():
			return false
		}
	}
	for wait := 50 * time.Millisecond; err != nil; wait = min(2*wait, maxRetryWait) {
		if refused(err) {
			l.storing.Worked() // it is there, and answers
			l.Log.Error("the broker refuses an event", "subject", p.event.Subject, "bytes", len(p.event.Data), "error", err)
			return false
		}
		l.storing.Failed(err)
		l.Observer.StoreFailed()
		if !sleep(l.work, wait) {
			return false
		}
		ctx, cancel := context.WithTimeout(l.work, publishTimeout)
		_, err = l.JS.PublishMsg(ctx, p.event)
		cancel()
	}
	l.stored(p.event)
	return true
}

func (l *lane) stored(event *nats.Msg) {
	l.storing.Worked()
	l.Observer.Stored(event.Subject)
}

// refused reports whether publishing the same message again cannot help.
func refused(err error) bool {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.Code == 400
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject)
}

// sleep returns false if ctx was done first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
