package history

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// later tells what LATER keeps of the request, which it finds by its name.
func (t *telling) later(ctx context.Context) error {
	name := broker.RequestName(t.source, t.id)
	kept, _, err := t.read.NextBySubject(ctx, broker.Later, broker.PlansFilter(t.partition, t.provider, t.account, name), 1, 100)
	if err != nil {
		return err
	}
	for _, m := range kept {
		at, due, seq, err := broker.ParseLater(m.Subject)
		scheduled, planned := strings.CutPrefix(m.Header.Get(jetstream.ScheduleHeader), "@at ")
		if err != nil || due || !planned { // brought back, or kept from being planned
			continue
		}
		t.original(seq, time.Time{}, at.Public().String(), m.Header, m.Data)
		e := Entry{What: Planned, Stream: broker.Later, Seq: m.Seq, Subject: m.Subject}
		if back, err := time.Parse(time.RFC3339Nano, scheduled); err == nil {
			e.RetryAtMS = back.UnixMilli()
		}
		t.add(m.Time, e)
	}
	void, err := t.read.Last(ctx, broker.Later, broker.VoidSubject(t.partition, t.provider, t.account, name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	t.add(void.Time, Entry{What: TakenBack, Stream: broker.Later, Seq: void.Seq, Subject: void.Subject})
	return nil
}

// ancestor tells which request this one was made of.
func (t *telling) ancestor(ctx context.Context) error {
	if t.h.AncestorID == "" {
		return nil
	}
	found, err := t.findRequest(ctx, Query{ID: t.h.AncestorID, Source: t.source, Provider: t.provider, Account: t.account})
	if err != nil {
		return err
	}
	for _, s := range found {
		for _, m := range s.messages {
			if m.stored != nil && m.from == 0 {
				t.add(m.stored.Time, Entry{What: Ancestor, Stream: broker.Requests, Seq: m.seq, RequestID: s.id})
			}
		}
	}
	return nil
}

// cancels tells who has asked for the request to be taken back, before it ended.
func (t *telling) cancels(ctx context.Context) error {
	if t.h.Kind == events.KindCancel || len(t.messages) == 0 {
		return nil
	}
	w := broker.Window{
		Subjects: []string{broker.StoredSubject{Partition: t.partition, Provider: t.provider, Account: t.account, Class: "*", Kind: events.KindCancel}.String()},
		From:     t.messages[0].seq + 1,
	}
	var err error
	if t.ended {
		if w.To, err = t.until(ctx, broker.Requests); err != nil {
			return err
		}
	}
	return t.scan(ctx, broker.Requests, w, func(m *broker.Stored) error {
		at, err := broker.ParseStored(m.Subject)
		if err != nil {
			return nil
		}
		cancel, fault := events.DecodeRequest(at.Public().String(), m.Header, m.Data)
		if fault != nil {
			return nil
		}
		if source, id := cancel.Target(); source == t.source && id == t.id {
			t.add(m.Time, Entry{What: Cancel, Stream: broker.Requests, Seq: m.Seq, Subject: m.Subject, RequestID: cancel.ID})
		}
		return nil
	})
}

// until returns the sequence of a stream up to which it may have something that
// came before the last result.
func (t *telling) until(ctx context.Context, stream string) (uint64, error) {
	next, err := t.read.SeqAt(ctx, stream, t.results[len(t.results)-1].at.Add(skew))
	return max(next, 2) - 1, err // 0 would be the end
}
