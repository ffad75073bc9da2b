package main

import (
	"context"
	"fmt"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// cancels takes back what a load has just published, as long as that goes on: a
// cancel for every tenth send. While a dispatcher is dead they come in time.
type cancels struct {
	steady
	of []int // the sends that they are about
}

func (s *stage) cancels(ctx context.Context, l *load, rate float64) *cancels {
	c := new(cancels)
	last := -1
	c.begin(ctx, 1, rate/10, func() error {
		i := l.next(s) - 1
		if i <= last || i < l.from {
			return nil
		}
		m, err := encode(cancelTo(crashAccounts[i%len(crashAccounts)], i))
		if err == nil {
			err = s.publishUntilStored(ctx, m)
		}
		if err != nil {
			return fmt.Errorf("cancel %d: %w", i, err)
		}
		last = i
		c.of = append(c.of, i)
		return nil
	})
	return c
}

func (b *book) noteOutcome(m *broker.Stored) error {
	e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
	if err != nil || e.Outcome.Kind != events.KindCancel {
		return err
	}
	i, err := numberOf(e.Outcome.Name)
	b.cancelled[i] = append(b.cancelled[i], e.Outcome.State)
	return err
}

// unanswered counts the cancels that have no outcome.
func (b *book) unanswered(c *cancels) (n int) {
	for _, i := range c.of {
		if len(b.cancelled[i]) == 0 {
			n++
		}
	}
	return n
}

// judgeCancel looks at whether the cancel of one send and the send say the same,
// and whether that is what the provider has seen.
func (b *book) judgeCancel(v *verdict, i, called int) {
	answers := b.cancelled[i]
	if len(answers) == 0 {
		return
	}
	end := b.ends[i][0].State
	switch {
	case len(answers) > 1:
		v.several++
	case answers[0] == events.StateDone && end == events.StateCancelled && called == 0:
		v.taken++
	case answers[0] != events.StateFailed || end == events.StateCancelled:
		v.mistaken++
	}
}
