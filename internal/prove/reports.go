package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A reportLoad is reports that are published at a steady rate.
type reportLoad struct {
	steady
	published int
	ends      map[string][]events.State // by their ids
}

func (s *stage) loadReports(ctx context.Context, rate float64) *reportLoad {
	l := new(reportLoad)
	l.begin(ctx, 1, rate, func() error {
		m, err := encode(reportOf(l.published))
		if err == nil {
			err = s.publishSomewhere(ctx, m)
		}
		if err != nil {
			return fmt.Errorf("publish report %d: %w", l.published, err)
		}
		l.published++
		return nil
	})
	return l
}

// publishSomewhere publishes m until it is stored. It moves on to another node
// when one does not store it for a while, as a publisher of events has to: with
// it go the sends, which take the same connection.
func (s *stage) publishSomewhere(ctx context.Context, m *nats.Msg) error {
	for served := time.Now(); ; {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := s.js.PublishMsg(try, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			return nil
		}
		if time.Since(served) > 5*time.Second {
			broker.MoveOn(s.nc, err)
			served = time.Now()
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// reportOf asks number i what a provider knows of somebody.
func reportOf(i int) *events.Request {
	a := crashAccounts[i%len(crashAccounts)]
	return &events.Request{
		Meta: events.Meta{ID: reportID(i), Source: "/prove"}, Kind: events.KindReport,
		Provider: a.provider(), Account: a.Name, Class: events.Normal,
		Report: &events.Report{
			Report:    "caresoft.zalo_user_status",
			Recipient: events.Recipient{Kind: events.ByPhone, Value: fmt.Sprintf("08%08d", i)}, // nobody's who is sent anything
		},
	}
}

func reportID(i int) string { return fmt.Sprintf("report-%d", i) }

// read notes the ends of all reports.
func (l *reportLoad) read(ctx context.Context, s *stage) error {
	l.ends = map[string][]events.State{}
	return broker.NewReader(s.js).Replay(ctx, broker.Events, "tram.outcome.>", 1, func(m *broker.Stored) error {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err != nil || !e.Outcome.Final {
			return err
		}
		l.ends[e.Outcome.RequestID] = append(l.ends[e.Outcome.RequestID], e.Outcome.State)
		return nil
	})
}

// ended reports whether each has an end, as they were read last.
func (l *reportLoad) ended() bool { return len(l.ends) >= l.published }

// wrong counts those that were not done exactly once.
func (l *reportLoad) wrong(log *slog.Logger) (n int) {
	for i := range l.published {
		if ends := l.ends[reportID(i)]; !slices.Equal(ends, []events.State{events.StateDone}) {
			n++
			log.Error("a promise is broken", "report", i, "ends", ends)
		}
	}
	return n
}
