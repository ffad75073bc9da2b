package history

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// A rig is a broker on which a test writes what the relay's processes would.
type rig struct {
	*brokertest.Broker
	t *testing.T
	r *Reader
}

func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	g := &rig{Broker: brokertest.Start(t), t: t}
	var err error
	if g.r, err = Open(t.Context(), g.JS); err != nil {
		t.Fatal(err)
	}
	return g
}

const (
	source = "/acme/shop"
	phone  = "0900000001"
)

func send(id string) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: id, Source: source}, Kind: events.KindSend, Provider: "caresoft", Account: "hotline", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: phone},
			Content:   events.Content{Kind: events.ContentText, Text: "hi"},
		},
	}
}

// request returns the place of r in REQUESTS, where it is published.
func (g *rig) request(r *events.Request) uint64 {
	g.t.Helper()
	m, err := events.EncodeRequest(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.Publish(m)
}

func partition(r *events.Request) int {
	return broker.Partition(r.Provider, r.Account, broker.DefaultPartitions)
}

func (g *rig) intend(r *events.Request, calls ...ledger.Intent) {
	g.t.Helper()
	data, err := ledger.EncodeIntents(&ledger.IntentGroup{Owner: "d1", Epoch: 7, AtMS: 1, Calls: calls})
	if err != nil {
		g.t.Fatal(err)
	}
	g.Publish(&nats.Msg{Subject: broker.IntentSubject(partition(r)), Data: data})
}

// result stores a result of r as a dispatcher does, and unless it is not to be told
// its events as a collector does.
func (g *rig) result(r *events.Request, res *ledger.Result, told bool) uint64 {
	g.t.Helper()
	m, err := events.EncodeRequest(r)
	if err != nil {
		g.t.Fatal(err)
	}
	res.Request = ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: time.Now().UnixMilli()}
	if stored, err := g.r.read.Get(g.t.Context(), broker.Requests, res.Seq); err == nil {
		res.Request.TimeMS = stored.Time.UnixMilli()
	}
	data, err := ledger.EncodeResult(res)
	if err != nil {
		g.t.Fatal(err)
	}
	id := strconv.FormatUint(res.Seq, 10) + "/" + strconv.Itoa(res.Call)
	if res.Resolved {
		id = strconv.FormatUint(res.Seq, 10) + "/resolved"
	}
	seq := g.Publish(&nats.Msg{
		Subject: broker.ResultSubject(partition(r), r.Provider, r.Account), Data: data, Header: nats.Header{jetstream.MsgIDHeader: {id}},
	})
	if !told {
		return seq
	}
	all, err := collector.Events(res, collector.History{}, nil, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, m := range all {
		g.Publish(m)
	}
	return seq
}

// plan stores that r, of that place in REQUESTS, is to come back.
func (g *rig) plan(r *events.Request, seq uint64, in time.Duration) {
	g.t.Helper()
	m, err := events.EncodeRequest(r)
	if err != nil {
		g.t.Fatal(err)
	}
	name, stored := broker.RequestName(r.Source, r.ID), broker.StoredSubject{
		Partition: partition(r), Provider: r.Provider, Account: r.Account, Class: r.Class, Kind: r.Kind,
	}
	m.Subject = stored.Plan(name, seq)
	m.Header.Del(jetstream.MsgIDHeader)
	m.Header.Set(jetstream.ScheduleHeader, "@at "+time.Now().Add(in).UTC().Format(time.RFC3339Nano))
	m.Header.Set(jetstream.ScheduleTargetHeader, stored.Due(name, seq))
	m.Header.Set(jetstream.MsgTTLHeader, "never")
	g.Publish(m)
}

func called(status int) *channels.Answer {
	return &channels.Answer{Status: status, StartedMS: time.Now().UnixMilli(), TookUS: 1500}
}

// find returns the only history that q names.
func (g *rig) find(q Query) *History {
	g.t.Helper()
	all, err := g.r.Find(g.t.Context(), q)
	if err != nil || len(all) != 1 {
		g.t.Fatalf("%+v: got %d histories and %v", q, len(all), err)
	}
	return all[0]
}

// whats is what happened, in order.
func whats(h *History) string {
	var all []string
	for _, e := range h.Entries {
		all = append(all, string(e.What))
	}
	return strings.Join(all, " ")
}
