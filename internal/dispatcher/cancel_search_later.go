package dispatcher

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// searchAtOnce is how many requests of a lane are looked for in LATER at the same
// time.
const searchAtOnce = 32

// later decides the rest: it is in LATER, on its way back from there, or has
// ended, or never was. What must be looked for again stays left.
func (s *search) later() {
	var g errgroup.Group
	g.SetLimit(searchAtOnce)
	var mu sync.Mutex
	for _, c := range s.left {
		g.Go(func() error {
			late, err := s.l.planned(s.ctx, c)
			switch {
			case err == nil:
				s.decide(c, late)
				return nil
			case !errors.Is(err, errMoving):
				s.l.cancelFailed(err)
			}
			mu.Lock()
			s.again = append(s.again, c)
			mu.Unlock()
			return nil
		})
	}
	_ = g.Wait()
	s.left = s.again
}

// errMoving says that a request is just going from one place to the next.
var errMoving = errors.New("the request is on its way")

// planned looks for what c is about in LATER, and brings it back now if it is
// planned: it then ends now, and not at its time. It says why c is too late.
func (l *lane) planned(ctx context.Context, c *cancel) (late string, err error) {
	m, err := l.p.reader.Last(ctx, broker.Later, broker.PlansFilter(l.p.n, l.key.provider, l.key.account, c.name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return lateUnknown, nil
	}
	if err != nil {
		return "", err
	}
	stored, due, seq, err := broker.ParseLater(m.Subject)
	switch {
	case err != nil:
		return "", err
	case seq >= c.msg.Seq || m.Header.Get(keepHeader) != "":
		return lateUnknown, nil
	case due:
		return l.cameBack(ctx, stored, m)
	}
	back := nats.NewMsg(m.Subject)
	back.Data = m.Data
	for k, v := range m.Header {
		if !strings.HasPrefix(strings.ToLower(k), "nats-") {
			back.Header[k] = v
		}
	}
	publishAt(back, time.Now(), m.Header.Get(jetstream.ScheduleTargetHeader))
	err = l.p.storeLater(ctx, back, m.Seq, stored.PlanOrDue(c.name, seq))
	if broker.IsWrongSequence(err) { // it has just become due
		return "", errMoving
	}
	return "", err
}

// cameBack finds out whether a request that has come back from LATER waits for
// its turn.
func (l *lane) cameBack(ctx context.Context, stored broker.StoredSubject, due *broker.Stored) (late string, err error) {
	from, err := l.p.reader.SeqAt(ctx, broker.Requests, due.Time.Add(-clockSkew))
	if err != nil {
		return "", err
	}
	at := uint64(0)
	err = l.p.reader.Replay(ctx, broker.Requests, stored.String(), from, func(m *broker.Stored) error {
		if from := sourceOf(m); from != nil && from[1] == strconv.FormatUint(due.Seq, 10) {
			at = m.Seq
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return "", err
	case at == 0 && time.Since(due.Time) > l.p.maxAge:
		return lateUnknown, nil
	case at == 0:
		return "", errMoving
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open[at] != nil:
		return "", errMoving
	case at <= l.queues[slices.Index(events.Classes, stored.Class)].taken:
		return lateUnknown, nil
	}
	return "", nil
}

// clockSkew is how much the clocks of two servers may differ.
const clockSkew = 10 * time.Second
