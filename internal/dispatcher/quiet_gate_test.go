package dispatcher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// quietFor is quiet hours of bulk sends and of promotions from an hour ago until
// a moment so far ahead.
func quietFor(d time.Duration) []Quiet {
	now := time.Now().UTC()
	since := func(t time.Time) time.Duration { return t.Sub(t.Truncate(24 * time.Hour)) }
	return []Quiet{{
		From: since(now.Add(-time.Hour)), To: since(now.Add(d)), Zone: time.UTC,
		Classes: []events.Class{events.Bulk}, Promotions: true,
	}}
}

func promotional(s *events.Send) { s.Policy.ExpectKind = promotion }

// quietShop makes a dispatcher whose account shop has quiet hours.
func (r *rig) quietShop(hours []Quiet) *Dispatcher {
	r.t.Helper()
	return r.dispatcher(r.b.Conn, func(c *Config) {
		calm(c)
		c.Accounts[0].Quiet = hours
	})
}

// reload gives the account shop other quiet hours.
func (r *rig) reload(d *Dispatcher, hours []Quiet) {
	r.t.Helper()
	var all []*Account
	for _, k := range *d.accounts.Load() {
		a := *k.Account
		if a.Name == "shop" {
			a.Quiet = hours
		}
		all = append(all, &a)
	}
	if err := d.Update(r.t.Context(), all, nil); err != nil {
		r.t.Fatal(err)
	}
}

// bulkReport publishes a report of class bulk, as r.report does of class normal.
func (r *rig) bulkReport(id string) uint64 {
	r.t.Helper()
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: id, Source: "/test"}, Kind: events.KindReport,
		Provider: "fake", Account: "shop", Class: events.Bulk, Report: &events.Report{Report: "fake.pages"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publish(m.Subject, id, m.Data)
}

// callsFor returns how many calls were made for recipients whose number begins so.
func (r *rig) callsFor(prefix string) (n int) {
	for _, c := range r.desk.made() {
		if strings.HasPrefix(c.body, "09"+prefix) {
			n++
		}
	}
	return n
}

func TestQuietHoursHoldBulkSends(t *testing.T) {
	r := newRig(t)
	d := r.quietShop(quietFor(2 * time.Hour))
	stop := r.run(d)
	const backlog = 2 * queueItems
	var bulk []uint64
	for i := range backlog {
		bulk = append(bulk, r.send("shop", events.Bulk, fmt.Sprint("b", i), nil))
	}
	goes := []uint64{
		r.bulkReport("report"), // behind more sends than are read ahead
		r.send("shop", events.Urgent, "urgent", nil), r.send("shop", events.Normal, "normal", nil),
		r.send("shop", events.Urgent, "urgent-promotion", promotional), r.send("bank", events.Bulk, "bank", promotional),
	}
	for _, got := range r.ends(goes...) {
		if !got.State.Final() || got.State == events.StateFailed {
			t.Errorf("request %d: %s (%s)", got.Seq, got.State, got.Why.Reason)
		}
	}
	more := r.send("shop", events.Bulk, "b-more", nil)
	r.eventually(func() string {
		for _, l := range d.Lanes() {
			if until := time.UnixMilli(l.Quiet[events.Bulk]); l.Account == "shop" && l.Remarkable() && len(l.Quiet) == 1 &&
				time.Until(until) > time.Hour && time.Until(until) < 3*time.Hour && l.Queued[2] > 0 {
				return ""
			}
		}
		return fmt.Sprintf("lanes are %+v, want one that says that bulk is quiet", d.Lanes())
	})
	stop() // and somebody takes over meanwhile
	d = r.quietShop(quietFor(2 * time.Hour))
	r.run(d)
	r.ends(r.bulkReport("report-2"), r.send("shop", events.Normal, "normal-2", nil))
	if n := r.callsFor("b"); n != 1 { // the bank's
		t.Errorf("%d calls in quiet hours", n-1)
	}
	r.reload(d, nil)
	for _, got := range r.ends(append(bulk, more)...) {
		if got.State != events.StateAccepted || got.Call != 1 {
			t.Errorf("request %d: %s (%s), call %d", got.Seq, got.State, got.Why.Reason, got.Call)
		}
	}
	if twice := r.desk.twice(); len(twice) != 1 || twice[0] != "page 1" { // of two reports
		t.Errorf("called twice: %v", twice)
	}
}

// What a lane has gone through to come to a report waits in memory, so there
// must not be much of it; the rest is left alone, and the report behind it.
func TestAQuietLaneBeginsFewSends(t *testing.T) {
	l := bareLane()
	l.acct = &account{known: &known{Account: &Account{}}}
	l.acct.known.quiet, _ = newQuietHours(quietFor(2 * time.Hour))
	l.heedQuietLocked(time.Now())
	stored := func(seq uint64, kind events.Kind) *broker.Stored {
		m, err := events.EncodeRequest(&events.Request{
			Meta: events.Meta{ID: "1", Source: "/test"}, Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Bulk,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
				Content:   events.Content{Kind: events.ContentText, Text: "hi"},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		s := broker.StoredSubject{Provider: "fake", Account: "shop", Class: events.Bulk, Kind: kind}
		return &broker.Stored{Seq: seq, Time: time.Now(), Subject: s.String(), Header: m.Header, Data: m.Data}
	}
	seq := uint64(0)
	offer := func(n int, kind events.Kind) {
		for range n {
			seq++
			l.queues[2].push(stored(seq, kind))
		}
	}
	pick := func() *entry { return l.pickLocked(2, time.Now()) }
	offer(10, events.KindSend)
	if e := pick(); e != nil || len(l.open) != 0 {
		t.Fatalf("got %v and %d begun, want the queue left alone", e, len(l.open))
	}
	offer(1, events.KindReport)
	if e := pick(); e == nil || e.msg.Seq != 11 || len(l.waiting) != 10 {
		t.Fatalf("got %v and %d that wait, want the report", e, len(l.waiting))
	}
	offer(2*maxPassed, events.KindSend)
	offer(1, events.KindReport)
	if e := pick(); e != nil || len(l.open) != maxPassed {
		t.Errorf("got %v and %d begun, want %d", e, len(l.open), maxPassed)
	}
	if wait := l.stillWaitLocked(time.Now()); wait > time.Minute || wait < time.Second {
		t.Errorf("waits %s", wait)
	}
	l.p.maxAge = -time.Second // all of them are about to leave the stream
	if e := pick(); e == nil || e.msg.Seq != maxPassed+1 {
		t.Errorf("got %v, want the oldest in the queue", e)
	}
}

// A promotion of a class that is not quiet comes back when the hours are over.
func TestAPromotionIsPutOff(t *testing.T) {
	r := newRig(t)
	hours := quietFor(4 * time.Second)
	end := time.Now().UTC().Truncate(24 * time.Hour).Add(hours[0].To)
	if time.Until(end) < 0 { // tomorrow
		end = end.Add(24 * time.Hour)
	}
	r.run(r.quietShop(hours))
	far := end.Add(time.Hour)
	seq := r.send("shop", events.Normal, "promotion", promotional)
	never := r.send("shop", events.Normal, "expires", func(s *events.Send) {
		promotional(s)
		s.ExpiresAtMS = end.Add(-time.Millisecond).UnixMilli()
	})
	r.ends(r.send("shop", events.Normal, "normal", nil))
	if e := r.ends(never)[0]; e.State != events.StateExpired || e.Why.Reason != ReasonExpired {
		t.Errorf("expires before the end: %s (%s)", e.State, e.Why.Reason)
	}
	r.eventually(func() string {
		rs := r.results()[seq]
		if len(rs) == 0 {
			return "no result"
		}
		if got := rs[0]; !got.Planned || got.Why.Reason != ReasonQuietHours || got.RetryAtMS < end.UnixMilli() || got.RetryAtMS > far.UnixMilli() {
			t.Fatalf("got result %+v, want that it was put off", got)
		}
		return ""
	})
	r.eventually(func() string {
		if r.callsFor("promotion") == 0 {
			return "the promotion is not called"
		}
		return ""
	})
	for _, c := range r.desk.made() {
		if strings.HasPrefix(c.body, "09promotion") && c.at.Before(end) {
			t.Errorf("called %s before the end of quiet hours", end.Sub(c.at))
		}
	}
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %v", twice)
	}
	r.eventually(func() string {
		for _, rs := range r.results() {
			for _, e := range final(rs) {
				if e.Request.Header["ce-id"][0] == "promotion" && e.State == events.StateAccepted {
					return ""
				}
			}
		}
		return "it has not ended as accepted"
	})
}

// What waits in a quiet lane ends by itself when it has to.
func TestASendExpiresInQuietHours(t *testing.T) {
	r := newRig(t)
	r.run(r.quietShop(quietFor(2 * time.Hour)))
	// Before a report, so that it is begun.
	expires := r.send("shop", events.Bulk, "expires", func(s *events.Send) { s.ExpiresAtMS = time.Now().Add(1500 * time.Millisecond).UnixMilli() })
	r.ends(r.bulkReport("report"))
	if e := r.ends(expires)[0]; e.State != events.StateExpired || e.Why.Reason != ReasonExpired {
		t.Errorf("got %s (%s)", e.State, e.Why.Reason)
	}
	if n := r.callsFor("expires"); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestSendsGetTooOldInQuietHours(t *testing.T) {
	r := newRig(t)
	d := r.dispatcher(r.b.Conn, func(c *Config) { c.Accounts[0].Quiet, c.MaxAge = quietFor(2*time.Hour), 2*time.Second })
	r.run(d)
	var seqs []uint64
	for i := range queueItems + 10 {
		seqs = append(seqs, r.send("shop", events.Bulk, fmt.Sprint("old", i), nil))
	}
	for _, e := range r.ends(seqs...) {
		if e.State != events.StateExpired || e.Why.Reason != ReasonTooOld {
			t.Errorf("request %d: %s (%s)", e.Seq, e.State, e.Why.Reason)
		}
	}
	if n := len(r.desk.made()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// An owner died while it put a send off. The one after it knows of no quiet hours,
// and must still not call what comes back by itself.
func TestAPromotionThatMayHaveBeenPutOffIsCalledOnce(t *testing.T) {
	r := newRig(t)
	due := time.Now().Add(4 * time.Second)
	put := r.send("shop", events.Normal, "put", promotional)
	not := r.send("shop", events.Normal, "not", promotional)
	r.plan(put, due.Add(-dueEarly))
	data, err := ledger.EncodeIntents(&ledger.IntentGroup{Owner: "dead", Calls: []ledger.Intent{{Seq: put, Call: 1, Plan: true}, {Seq: not, Call: 1, Plan: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.b.JS.Publish(t.Context(), broker.IntentSubject(broker.Partition("fake", "shop", r.partitions)), data); err != nil {
		t.Fatal(err)
	}
	r.start(nil)
	if e := r.ends(not)[0]; e.State != events.StateAccepted || e.Call != 2 {
		t.Errorf("what was not planned: %s (%s), call %d", e.State, e.Why.Reason, e.Call)
	}
	r.eventually(func() string { return r.endedByID(2) })
	if rs := r.results()[put]; len(rs) != 1 || !rs[0].Planned || rs[0].Why.Reason != ReasonQuietHours {
		t.Errorf("what was planned has the results %+v", rs)
	}
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %v", twice)
	}
}

// The last look before a call.
func TestWhoIsQuiet(t *testing.T) {
	q, err := newQuietHours(quietFor(2 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		class  int
		report bool
		kind   string
		quiet  bool
	}{
		{class: 0}, {class: 0, kind: promotion}, {class: 1}, {class: 1, kind: "transaction"},
		{class: 1, kind: promotion, quiet: true}, {class: 2, quiet: true}, {class: 2, report: true},
	} {
		e := &entry{class: test.class, req: &events.Request{Class: events.Classes[test.class], Send: &events.Send{}}}
		e.req.Send.Policy.ExpectKind = test.kind
		if test.report {
			e.req.Send, e.req.Report = nil, &events.Report{}
		}
		x := &execution{p: &partition{}, e: e, known: &known{quiet: q}}
		until, _ := x.quietUntil(time.Now())
		if quiet := until.After(time.Now()); quiet != test.quiet {
			t.Errorf("%+v: quiet is %v (%s)", test, quiet, until)
		}
		x.known.quiet = nil
		if until, _ := x.quietUntil(time.Now()); !until.IsZero() {
			t.Errorf("without quiet hours: %v", until)
		}
	}
}
