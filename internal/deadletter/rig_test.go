package deadletter

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// A rig is a broker with an account that takes sends and reports, and a box.
// The broker remembers ids for a tenth of a second only, if nothing else is said.
type rig struct {
	*brokertest.Broker
	*testing.T
	box  *Box
	seqs uint64 // given to requests
}

func newRig(t *testing.T, streams ...func(*broker.Streams)) *rig {
	t.Helper()
	if streams == nil {
		streams = append(streams, func(s *broker.Streams) { s.Duplicates = 100 * time.Millisecond })
	}
	r := &rig{T: t, Broker: brokertest.Start(t, streams...)}
	err := events.PutContract(t.Context(), r.JS, events.Contract{
		Provider: "fake", Account: "shop",
		Sends:   []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
		Reports: []events.ReportForm{{Name: "fake.pages"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.box = r.open()
	return r
}

func (r *rig) open() *Box {
	r.Helper()
	b, err := Open(r.Context(), r.JetStream(r.Conn))
	if err != nil {
		r.Fatal(err)
	}
	b.abandoned, b.patience = 50*time.Millisecond, time.Minute
	return b
}

// send is request number i.
func send(i int) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: fmt.Sprintf("order-%d", i), Source: "/shop", Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Urgent,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: fmt.Sprintf("09%08d", i)},
			Content:   events.Content{Kind: events.ContentText, Text: "xin chào"},
			Context:   events.Context{CorrelationID: fmt.Sprintf("c-%d", i)},
		},
	}
}

func report(i int) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: fmt.Sprintf("report-%d", i), Source: "/bi"}, Kind: events.KindReport,
		Provider: "fake", Account: "shop", Class: events.Bulk, Report: &events.Report{Report: "fake.pages"},
	}
}

// bury makes a dead letter of req; change adjusts it. It returns the letter as
// it is read.
func (r *rig) bury(req *events.Request, change func(*ledger.DeadLetter)) *Letter {
	r.Helper()
	m, err := events.EncodeRequest(req)
	if err != nil {
		r.Fatal(err)
	}
	r.seqs++
	d := &ledger.DeadLetter{
		Group: ledger.DeadRefused, Seq: r.seqs, State: events.StateFailed, Attempt: 1, Call: 1, AtMS: time.Now().UnixMilli(),
		Request: ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: time.Now().UnixMilli()},
		Why:     events.Why{Class: "permanent", Reason: "quota", HTTPStatus: 400},
	}
	if change != nil {
		change(d)
	}
	data, err := ledger.EncodeDeadLetter(d)
	if err != nil {
		r.Fatal(err)
	}
	ack, err := r.JS.Publish(r.Context(), broker.DeadSubject(string(d.Group), req.Provider, req.Account), data)
	if err != nil {
		r.Fatal(err)
	}
	l, err := r.box.Get(r.Context(), ack.Sequence)
	if err != nil {
		r.Fatal(err)
	}
	return l
}

// job is a new one, of which most settings do not matter.
func (r *rig) job(change func(*Job)) *Job {
	r.Helper()
	j := &Job{Class: events.Bulk, Rate: 10_000}
	if change != nil {
		change(j)
	}
	if err := r.box.NewJob(r.Context(), j); err != nil {
		r.Fatal(err)
	}
	return j
}

// redrive carries j out and returns what it told, by letter.
func (r *rig) redrive(j *Job) map[uint64]Told {
	r.Helper()
	all := map[uint64]Told{}
	err := r.box.Redrive(r.Context(), j, func(told Told) {
		if before, twice := all[told.Letter.ID]; twice {
			r.Errorf("letter %d is told twice: %+v, %+v", told.Letter.ID, before, told)
		}
		all[told.Letter.ID] = told
	})
	if err != nil {
		r.Fatal(err)
	}
	return all
}

// begin returns a run of j that takes its steps when it is told to.
func (r *rig) begin(j *Job) *redrive {
	r.Helper()
	run, err := r.box.newRedrive(r.Context(), j, func(Told) {})
	if err != nil {
		r.Fatal(err)
	}
	return run
}

// flush returns when the broker has read all that was sent to it.
func (r *rig) flush() {
	r.Helper()
	if err := r.Conn.FlushTimeout(10 * time.Second); err != nil {
		r.Fatal(err)
	}
}

// requests returns what REQUESTS holds, by id; it fails the test if an id is
// there twice.
func (r *rig) requests() map[string]*events.Request {
	r.Helper()
	all := map[string]*events.Request{}
	err := broker.NewReader(r.JS).Replay(r.Context(), broker.Requests, ">", 1, func(m *broker.Stored) error {
		s, err := broker.ParseStored(m.Subject)
		if err != nil || s.Account == "probe" {
			return err
		}
		req, err := events.DecodeRequest(s.Public().String(), m.Header, m.Data)
		if err != nil {
			return err
		}
		if all[req.ID] != nil {
			r.Errorf("%s is published twice", req.ID)
		}
		all[req.ID] = req
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return all
}

// letters returns the numbers of the letters that are left.
func (r *rig) letters() (ids []uint64) {
	r.Helper()
	err := r.box.Each(r.Context(), &Filter{}, 1<<60, func(l *Letter) error { ids = append(ids, l.ID); return nil })
	if err != nil {
		r.Fatal(err)
	}
	return ids
}

// forget waits until REQUESTS and RESULTS know no id of what they hold any more.
func (r *rig) forget() {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	for _, subject := range []string{"tram.send.fake.probe.bulk", "tram.result.0.fake.probe"} {
		probe := nats.NewMsg(subject)
		probe.Header.Set(events.HeaderMsgID, "probe")
		for known := false; ; { // the probe's own id is the last that is forgotten
			ack, err := r.JS.PublishMsg(ctx, probe)
			if err != nil {
				r.Fatal(err)
			}
			if known && !ack.Duplicate {
				break
			}
			known = true
			time.Sleep(10 * time.Millisecond)
		}
	}
}
