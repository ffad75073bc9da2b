package collector_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// history draws the results of one request as a dispatcher stores them: calls
// that are put off or are one step of several, then one that ends it.
func history(t *rapid.T, tb testing.TB) []*ledger.Result {
	req := rapid.SampledFrom([]*events.Request{sendRequest("x-1"), reportRequest("x-1"), commandRequest("x-1")}).Draw(t, "request")
	o := original(tb, req)
	success := events.StateDone
	if req.Kind == events.KindSend {
		success = events.StateAccepted
	}
	var all []*ledger.Result
	r := ledger.Result{Seq: 5, Step: 1, Request: o, AtMS: start}
	for range rapid.IntRange(0, 6).Draw(t, "calls before the last") {
		r.Call++
		r.AtMS++
		if rapid.Bool().Draw(t, "put off") {
			put := r
			put.State, put.RetryAtMS, put.Answer = events.StateDeferred, start+5000, &channels.Answer{Status: 429}
			all = append(all, &put)
			continue
		}
		r.Attempt++
		page := r
		page.Answer, page.Parse, page.Next = drawAnswer(t), true, "next"
		all = append(all, &page)
		r.Step++
	}
	last := r
	last.State = rapid.SampledFrom([]events.State{
		success, events.StateFailed, events.StateRejected, events.StateUnknown, events.StateExpired, events.StateCancelled,
	}).Draw(t, "end")
	last.Dead = rapid.SampledFrom([]ledger.DeadGroup{"", ledger.DeadEvent, ledger.DeadRefused, ledger.DeadUnknown, ledger.DeadAnswer}).Draw(t, "dead")
	if last.State == success {
		last.Call++
		last.Answer, last.Parse = drawAnswer(t), true
	}
	return append(all, &last)
}

func drawAnswer(t *rapid.T) *channels.Answer {
	return rapid.SampledFrom([]script{
		{}, {Stats: 3, Records: []int{1, 2}}, {Fail: "no"}, {Panic: "no"}, {Records: []int{tooLarge}}, {Result: "{}"},
	}).Draw(t, "answer").answer()
}

func TestEvents_EachRequestEndsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []*nats.Msg
		for _, r := range history(rt, t) {
			msgs, _ := collector.Events(r, collector.History{}, fake{}, account())
			again, _ := collector.Events(r, collector.History{}, fake{}, account())
			if !sameBytes(t, msgs, again) {
				rt.Fatalf("a second run over %+v gives other bytes", r)
			}
			all = append(all, msgs...)
		}
		ids := make(map[string]bool)
		for _, m := range all {
			id := m.Header.Get(events.HeaderMsgID)
			if ids[id] {
				rt.Fatalf("two events have the id %s: one of them would be lost", id)
			}
			ids[id] = true
		}
		s := sortOut(t, all)
		ends := 0
		for _, d := range s.deliveries {
			if d.Final != d.State.Final() {
				rt.Fatalf("delivery %s says final %v", d.State, d.Final)
			}
			if d.Final {
				ends++
			}
		}
		for _, o := range s.outcomes {
			if o.Final != o.State.Final() {
				rt.Fatalf("outcome %s says final %v", o.State, o.Final)
			}
			if o.Final {
				ends++
			}
		}
		if ends != 1 {
			rt.Fatalf("the request ended %d times", ends)
		}
	})
}

// Two ends of one request that reach EVENTS all the same are one to the broker
// and to every reader.
func TestEvents_AllEndsShareOneID(t *testing.T) {
	ids := make(map[string]bool)
	for _, state := range []events.State{events.StateAccepted, events.StateFailed, events.StateUnknown, events.StateExpired} {
		r := &ledger.Result{Seq: 7, Call: 1, Step: 1, Request: original(t, sendRequest("s-1")), State: state, AtMS: start}
		msgs, err := collector.Events(r, collector.History{}, fake{}, account())
		if err != nil {
			t.Fatal(err)
		}
		ids[msgs[0].Header.Get(events.HeaderMsgID)] = true
	}
	if len(ids) != 1 {
		t.Errorf("%d ids, want 1", len(ids))
	}
}

// A name that is published again, after the broker has forgotten it or without
// Nats-Msg-Id, is another request: it may have been called, and is told about. One
// that has waited in LATER is the same, wherever it stands now. What dispatchers
// have stored that did not say where keeps its ids.
func TestEvents_ANamePublishedAgainHasItsOwnIDs(t *testing.T) {
	id := func(seq, first uint64) string {
		r := &ledger.Result{Seq: seq, Call: 1, Step: 1, Request: original(t, sendRequest("s-1")), State: events.StateAccepted, AtMS: start}
		r.Request.Seq = first
		msgs, err := collector.Events(r, collector.History{}, fake{}, account())
		if err != nil {
			t.Fatal(err)
		}
		return msgs[0].Header.Get(events.HeaderMsgID)
	}
	if id(7, 7) == id(8, 8) {
		t.Error("two requests of one name have one id")
	}
	if id(7, 7) != id(8, 7) {
		t.Error("a request that has waited in LATER has another id")
	}
	if id(7, 0) != id(8, 0) || id(7, 0) == id(7, 7) {
		t.Error("a result of an older dispatcher has another id than it had")
	}
}

// Garbage under the id of a good request must not have that request's ids.
func TestEvents_GarbageTakesNoIDs(t *testing.T) {
	good := &ledger.Result{Seq: 7, Call: 1, Step: 1, Request: original(t, sendRequest("s-1")), State: events.StateAccepted, AtMS: start}
	ids := make(map[string]bool)
	for seq := range uint64(3) {
		bad := rejected(original(t, sendRequest("s-1")), events.ReasonMalformed)
		bad.Seq, bad.Request.Data = 100+seq, []byte{0xc1}
		for _, r := range []*ledger.Result{bad, good} {
			msgs, err := collector.Events(r, collector.History{}, fake{}, account())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range msgs {
				ids[m.Header.Get(events.HeaderMsgID)] = true
			}
		}
	}
	if want := 1 + 3*2; len(ids) != want { // one delivery; a delivery and a dead letter for each
		t.Errorf("%d ids, want %d", len(ids), want)
	}
}

func FuzzEvents(f *testing.F) {
	o := original(f, sendRequest("s-1"))
	f.Add(o.Subject, "s-1", "/billing", o.Data, []byte(`{"stats":1}`), "rejected", "event", true)
	o = original(f, reportRequest("r-1"))
	f.Add(o.Subject, "r-1", "/billing", o.Data, []byte(`{"stats":1,"records":[5]}`), "done", "", true)
	f.Add("tram.command...", "", "%", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, []byte("null"), "", "answer", false)
	f.Fuzz(func(t *testing.T, subject, id, source string, data, body []byte, state, dead string, parse bool) {
		r := &ledger.Result{
			Seq: 1, Call: 1, Step: 1, AtMS: start, State: events.State(state), Dead: ledger.DeadGroup(dead), Parse: parse,
			Request: ledger.Original{Subject: subject, Data: data, Header: map[string][]string{
				events.HeaderSpecVersion: {"1.0"}, events.HeaderID: {id}, events.HeaderSource: {source}, events.HeaderType: {"io.github.tramhq.send.v1"},
			}},
			Answer: &channels.Answer{Status: 200, Body: body, StartedMS: start},
		}
		msgs, err := collector.Events(r, collector.History{}, fake{}, account())
		s := sortOut(t, msgs) // every message must be readable
		if err != nil && len(s.letters) == 0 {
			t.Fatalf("error without a dead letter: %v", err)
		}
	})
}
