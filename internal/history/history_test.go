package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/renew"
	"github.com/tramhq/tram/pkg/events"
)

func TestFind(t *testing.T) {
	g := newRig(t)
	one, two := send("one"), send("two")
	seq, other := g.request(one), g.request(two)
	g.intend(one, ledger.Intent{Seq: seq, Call: 1}, ledger.Intent{Seq: other, Call: 1})
	if h := g.find(Query{ID: "one"}); whats(h) != "published intent" || !strings.HasPrefix(h.Standing, "call 1 is under way") {
		t.Errorf("under way: got %q, %q", whats(h), h.Standing)
	}
	g.result(one, &ledger.Result{
		Seq: seq, Call: 1, Attempt: 1, Step: 1, Answer: called(429), State: events.StateDeferred, RetryAtMS: time.Now().Add(time.Hour).UnixMilli(), AtMS: 1,
		Why: events.Why{Class: "throttled", Reason: "rate_limited", ProviderText: "slow down, " + phone},
	}, true)
	g.result(two, &ledger.Result{Seq: other, Call: 1, Attempt: 1, Step: 1, Answer: called(200), State: events.StateAccepted, AtMS: 1}, true)
	if h := g.find(Query{ID: "one"}); whats(h) != "published intent call result event" || !strings.HasPrefix(h.Standing, "deferred until ") || h.State != "" {
		t.Errorf("deferred: got %q, %q, %q", whats(h), h.Standing, h.State)
	}
	g.intend(one, ledger.Intent{Seq: seq, Call: 2})
	g.result(one, &ledger.Result{Seq: seq, Call: 2, Attempt: 2, Step: 1, Answer: called(200), State: events.StateAccepted, Evidence: events.Strong, MessageID: "m-1", AtMS: 2}, true)

	for _, q := range []Query{
		{ID: "one"}, {ID: "one", Source: source, Provider: "caresoft", Account: "hotline"}, {ID: "one", Provider: "caresoft"},
		{ID: "one", Since: time.Now().Add(-time.Hour)}, {ID: fmt.Sprintf("seq:%d", seq)},
	} {
		h := g.find(q)
		if want := "published intent call result event intent call result event"; whats(h) != want || h.State != events.StateAccepted || h.Standing != "ended as accepted" {
			t.Errorf("%+v: got %q, %q, %q", q, whats(h), h.State, h.Standing)
		}
		text, err := json.Marshal(h.Entries)
		if err != nil || strings.Contains(string(text), phone) || !strings.Contains(string(text), "slow down, 09******01") {
			t.Errorf("%+v: it tells whom it is about, or nothing: %s, %v", q, text, err)
		}
		if last := h.Entries[len(h.Entries)-1]; last.Stream != broker.Events || last.Subject != "tram.delivery.caresoft.hotline.accepted" || last.Seq != 3 {
			t.Errorf("%+v: got %+v", q, last)
		}
		if e := h.Entries[6]; e.Call != 2 || e.HTTPStatus != 200 || e.TookUS != 1500 {
			t.Errorf("%+v: got the call %+v", q, e)
		}
	}
	g.r.Body = true
	if h := g.find(Query{ID: "one"}); !strings.Contains(string(h.Body), `"value":"09******01"`) {
		t.Errorf("masked: got %s", h.Body)
	}
	g.r.Reveal = true
	if h := g.find(Query{ID: "one"}); !strings.Contains(string(h.Body), phone) || !strings.Contains(fmt.Sprint(h.Entries), "slow down, "+phone) {
		t.Errorf("revealed: got %s", h.Body)
	}
}

func TestFind_nothing(t *testing.T) {
	g := newRig(t)
	seq := g.request(send("one"))
	for _, q := range []Query{
		{ID: "two"}, {ID: "one", Source: "/other"}, {ID: "one", Provider: "momo"}, {ID: "one", Since: time.Now().Add(time.Minute)},
		{ID: fmt.Sprintf("seq:%d", seq+1)},
	} {
		if all, err := g.r.Find(t.Context(), q); !errors.Is(err, ErrNotFound) {
			t.Errorf("%+v: got %v, %v", q, all, err)
		}
	}
	for _, stream := range []string{broker.Requests, broker.Dead} {
		if !slices.ContainsFunc(g.r.Looked(), func(l Looked) bool { return l.Stream == stream }) {
			t.Errorf("it does not say that it looked at %s: %+v", stream, g.r.Looked())
		}
	}
}

// TestFind_farBack looks through more requests than are looked at first, of which
// one has an id that was used again.
func TestFind_farBack(t *testing.T) {
	g := newRig(t)
	g.r.firstLook = 2
	var all []*events.Request
	for i := range 40 {
		all = append(all, send(fmt.Sprint("r-", i)))
	}
	again := send("r-1")
	again.Source = "/acme/other"
	for _, r := range append(all, again) {
		g.request(r)
	}
	for _, id := range []string{"r-0", "r-9", "r-39"} {
		if h := g.find(Query{ID: id}); len(h.Entries) != 1 || h.Standing != "waits for its turn" {
			t.Errorf("%s: got %+v", id, h.Entries)
		}
	}
	if h := g.find(Query{ID: "r-1"}); h.Source != again.Source {
		t.Errorf("got that of %s, want the newest", h.Source)
	}
	if found, err := g.r.Find(t.Context(), Query{ID: "r-1", Since: time.Now().Add(-time.Hour)}); err != nil || len(found) != 2 {
		t.Errorf("since: got %d and %v, want both", len(found), err)
	}
}

// TestFind_planned has the broker bring a request back.
func TestFind_planned(t *testing.T) {
	g := newRig(t)
	later, soon, gone := send("later"), send("soon"), send("gone")
	g.plan(later, g.request(later), time.Hour)
	if h := g.find(Query{ID: "later"}); whats(h) != "published planned" || !strings.HasPrefix(h.Standing, "waits for its time until ") {
		t.Errorf("later: got %q, %q", whats(h), h.Standing)
	}

	seq := g.request(soon)
	g.result(soon, &ledger.Result{Seq: seq, Step: 1, State: events.StateDeferred, Planned: true, AtMS: 1}, false)
	g.plan(soon, seq, 500*time.Millisecond)
	var back uint64
	brokertest.Eventually(t, "it comes back", func() bool {
		last, err := g.r.read.Last(t.Context(), broker.Requests, "req.>")
		if err == nil && last.Seq > seq {
			back = last.Seq
		}
		return back != 0
	})
	g.result(soon, &ledger.Result{Seq: back, Call: 1, Attempt: 1, Step: 1, Answer: called(200), State: events.StateAccepted, AtMS: 2}, true)
	g.r.firstLook = 1 // the first message is farther back than the one that came back
	if h := g.find(Query{ID: "soon"}); whats(h) != "published result came_back call result event" || h.State != events.StateAccepted {
		t.Errorf("soon: got %q, %q", whats(h), h.State)
	}

	// One that waits in LATER alone, since REQUESTS has let it go.
	g.plan(gone, 12345, time.Hour)
	if h := g.find(Query{ID: "gone"}); whats(h) != "incomplete planned" || h.Entries[0].AtMS < 1e12 || h.Kind != events.KindSend || h.Class != events.Normal {
		t.Errorf("gone: got %q, %+v", whats(h), h)
	}
}

// TestFind_unknown is a send of which a person has found out what became of it.
func TestFind_unknown(t *testing.T) {
	g := newRig(t)
	r := send("doubtful")
	seq := g.request(r)
	g.intend(r, ledger.Intent{Seq: seq, Call: 1})
	g.result(r, &ledger.Result{
		Seq: seq, Call: 1, Attempt: 1, Step: 1, State: events.StateUnknown, Dead: ledger.DeadUnknown, AtMS: 1,
		Why: events.Why{Class: "ambiguous", Reason: "lost"},
	}, true)
	h := g.find(Query{ID: "doubtful"})
	if want := "published intent result event dead_letter"; !sameWhats(h, want) || h.Standing != "ended as unknown: lost" {
		t.Errorf("got %q, %q, want %q", whats(h), h.Standing, want)
	}
	box, err := deadletter.Open(t.Context(), g.JS)
	if err != nil {
		t.Fatal(err)
	}
	l, err := box.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Resolve(t.Context(), l, true); err != nil {
		t.Fatal(err)
	}
	h = g.find(Query{ID: "doubtful"})
	if want := "published intent result event decided result"; !sameWhats(h, want) || h.State != events.StateAccepted {
		t.Errorf("resolved: got %q, %q, want %q", whats(h), h.State, want)
	}
}

// sameWhats compares what happened, whatever the order of what happened at once.
func sameWhats(h *History, want string) bool {
	return slices.Equal(slices.Sorted(strings.FieldsSeq(whats(h))), slices.Sorted(strings.FieldsSeq(want)))
}

// TestFind_again follows a request to what was made of it, and back.
func TestFind_again(t *testing.T) {
	g := newRig(t)
	r := send("first")
	seq := g.request(r)
	g.result(r, &ledger.Result{Seq: seq, Call: 1, Attempt: 1, Step: 1, Answer: called(400), State: events.StateFailed, AtMS: 1}, true)
	m, err := renew.Request(r, "second", events.Bulk, time.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	next := g.Publish(m)
	h := g.find(Query{ID: "first"})
	if e := h.Entries[len(h.Entries)-1]; e.What != Redriven || e.RequestID != "second" || e.Seq != next {
		t.Errorf("first: got %+v", e)
	}
	h = g.find(Query{ID: "second"})
	if e := h.Entries[0]; h.AncestorID != "first" || e.What != Ancestor || e.RequestID != "first" || e.Seq != seq {
		t.Errorf("second: got %q and %+v", h.AncestorID, e)
	}
}

// TestFind_cancelled is a request that was taken back.
func TestFind_cancelled(t *testing.T) {
	g := newRig(t)
	r := send("unwanted")
	seq := g.request(r)
	cancel := &events.Request{
		Meta: events.Meta{ID: "c-1", Source: source}, Kind: events.KindCancel, Provider: r.Provider, Account: r.Account, Class: events.Urgent,
		Cancel: &events.Cancel{ID: r.ID},
	}
	g.request(cancel)
	g.Publish(&nats.Msg{Subject: broker.VoidSubject(partition(r), r.Provider, r.Account, broker.RequestName(r.Source, r.ID)), Header: nats.Header{}})
	g.intend(r, ledger.Intent{Seq: seq, Void: true})
	g.result(r, &ledger.Result{Seq: seq, Step: 1, State: events.StateCancelled, AtMS: 1}, true)
	if h := g.find(Query{ID: "unwanted"}); whats(h) != "published cancel taken_back intent result event" || h.Entries[1].RequestID != "c-1" {
		t.Errorf("got %q, %+v", whats(h), h.Entries)
	}
	if h := g.find(Query{ID: "c-1"}); h.Kind != events.KindCancel || h.Name != "unwanted" {
		t.Errorf("the cancel: got %+v", h)
	}
}

// TestFind_report counts what a report has told, among that of others.
func TestFind_report(t *testing.T) {
	g := newRig(t)
	report := func(id string) *events.Request {
		return &events.Request{
			Meta: events.Meta{ID: id, Source: "/tram/schedule/daily"}, Kind: events.KindReport, Provider: "momo", Account: "shop", Class: events.Bulk,
			Report: &events.Report{Report: "momo.messages_report", Range: events.Range{Preset: "ALL"}},
		}
	}
	mine, others := report("mine"), report("others")
	seq := g.request(mine)
	g.request(others)
	g.result(mine, &ledger.Result{Seq: seq, Call: 1, Attempt: 1, Step: 1, Answer: called(200), Stats: 2, AtMS: 1}, false)
	for i, r := range []*events.Request{mine, others, mine} {
		value := "1"
		m, err := events.EncodeStat(events.Meta{ID: fmt.Sprint("s-", i), Source: events.Source}, &events.Stat{
			About: events.About{Provider: r.Provider, Account: r.Account, RequestID: r.ID, RequestSource: r.Source},
			Key:   fmt.Sprint("k-", i), Report: r.Report.Report, Metric: "sent", Value: &value, Unit: events.UnitCount, Agg: events.AggSum, Path: "/a", Page: 1, FetchedMS: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		g.Publish(m)
	}
	h := g.find(Query{ID: "mine"})
	i := slices.IndexFunc(h.Entries, func(e Entry) bool { return e.What == Told })
	if i < 0 || h.Entries[i].Count != 2 || h.Entries[i].Seq != 1 || h.Entries[i].To != 3 || h.Schedule != "daily" || h.Standing != "goes on with its next page" {
		t.Errorf("got %+v, %q, %q", h.Entries, h.Schedule, h.Standing)
	}
	g.result(mine, &ledger.Result{Seq: seq, Call: 2, Attempt: 1, Step: 2, Answer: called(200), State: events.StateDone, Stats: 2, AtMS: 1}, true)
	if h := g.find(Query{ID: "mine"}); whats(h) != "published call result event call result event" || h.Name != "momo.messages_report" {
		t.Errorf("got %q, %q", whats(h), h.Name)
	}
}

// TestFind_leftovers are requests that the stream of requests has let go.
func TestFind_leftovers(t *testing.T) {
	g := newRig(t)
	r := send("of-results")
	g.result(r, &ledger.Result{Seq: 5, Call: 1, Attempt: 1, Step: 1, Answer: called(200), State: events.StateAccepted, AtMS: 1}, true)
	if h := g.find(Query{ID: "of-results"}); whats(h) != "published call result event" || h.State != events.StateAccepted {
		t.Errorf("got %q, %q", whats(h), h.State)
	}
	m, err := events.EncodeRequest(send("of-letters"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	data, err := ledger.EncodeDeadLetter(&ledger.DeadLetter{
		Group: ledger.DeadRefused, Seq: 7, State: events.StateFailed, AtMS: now, Call: 1, Attempt: 1, Why: events.Why{Reason: "quota"},
		Request:  ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: now - 10},
		Attempts: []ledger.Attempt{{Call: 1, Step: 1, AtMS: now - 5, TookUS: 20, State: events.StateFailed}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Publish(&nats.Msg{Subject: broker.DeadSubject("refused", r.Provider, r.Account), Data: data})
	if h := g.find(Query{ID: "of-letters"}); whats(h) != "published call dead_letter" || h.Standing != "ended as failed" {
		t.Errorf("got %q, %q", whats(h), h.Standing)
	}
}
