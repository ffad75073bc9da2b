package dispatcher

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// sendAt publishes a send with a time before which it must not be called.
func (r *rig) sendAt(id string, at time.Time) uint64 {
	return r.send("shop", events.Normal, id, func(s *events.Send) { s.NotBeforeMS = at.UnixMilli() })
}

// calledOnce waits for the calls of so many requests, and makes sure that there
// are no others and that none was early or, the broker being there, late.
func (r *rig) calledOnce(due map[string]time.Time, late time.Duration) {
	r.t.Helper()
	r.eventually(func() string {
		if n := len(r.desk.made()); n < len(due) {
			return fmt.Sprintf("%d of %d calls", n, len(due))
		}
		return ""
	})
	if twice := r.desk.twice(); twice != nil {
		r.t.Errorf("called twice: %q", twice)
	}
	for _, c := range r.desk.made() {
		id := strings.Fields(c.body)[0][2:]
		switch off := c.at.Sub(due[id].Truncate(time.Millisecond)); {
		case off < 0:
			r.t.Errorf("%s was called %s early", id, -off)
		case off > late:
			r.t.Errorf("%s was called %s late", id, off)
		}
	}
}

func TestARequestWaitsForItsTime(t *testing.T) {
	r := newRig(t)
	r.start(nil)
	now := time.Now()
	due := map[string]time.Time{
		"1": now.Add(-time.Hour), "2": now.Add(300 * time.Millisecond), "3": now.Add(1500 * time.Millisecond),
		"4": now.Add(4 * time.Second), "5": now.Add(4*time.Second + 7*time.Millisecond), "6": now.Add(5 * time.Second),
	}
	seqs := map[string]uint64{}
	for id, at := range due {
		seqs[id] = r.sendAt(id, at)
	}
	due["1"] = now // it was due long ago
	r.calledOnce(due, 10*time.Second)
	for _, id := range []string{"4", "5", "6"} { // far off
		rs := r.results()[seqs[id]]
		if len(rs) != 1 || !rs[0].Planned || rs[0].State != events.StateDeferred || rs[0].Why.Reason != ReasonScheduled || rs[0].RetryAtMS != due[id].UnixMilli() {
			t.Errorf("%s: got results %+v, want one that says when it is planned for", id, rs)
		}
	}
	r.eventually(func() string { return r.endedByID(6) })
}

// endedByID says what is missing for n requests, known by their ids, to have
// ended as accepted once each.
func (r *rig) endedByID(n int) string {
	r.t.Helper()
	ends := map[string]int{}
	for _, rs := range r.results() {
		for _, end := range final(rs) {
			ends[end.Request.Header["ce-id"][0]]++
			if end.State != events.StateAccepted {
				r.t.Errorf("ended as %s, %+v", end.State, end.Why)
			}
		}
	}
	for id, n := range ends {
		if n > 1 {
			r.t.Errorf("%s ended %d times", id, n)
		}
	}
	if len(ends) < n {
		return fmt.Sprintf("%d of %d have ended", len(ends), n)
	}
	return ""
}

func TestPlannedRequestsOutliveBrokerAndDispatcher(t *testing.T) {
	r := newRig(t)
	stop := r.start(nil)
	due := map[string]time.Time{}
	for i := range 40 {
		id := fmt.Sprint(i)
		due[id] = time.Now().Add(4*time.Second + time.Duration(i)*50*time.Millisecond)
		r.sendAt(id, due[id])
	}
	r.eventually(func() string {
		planned := 0
		for _, rs := range r.results() {
			if slices.ContainsFunc(rs, func(r *ledger.Result) bool { return r.Planned }) {
				planned++
			}
		}
		if planned < len(due) {
			return fmt.Sprintf("%d are planned", planned)
		}
		return ""
	})
	stop()
	r.b.Stop()
	r.b.Restart()
	r.start(nil)
	r.calledOnce(due, 20*time.Second)
	r.eventually(func() string { return r.endedByID(len(due)) })
}

// What could not come back would hold up all that is due after it.
func TestARequestThatIsTooLargeToComeBackIsRefused(t *testing.T) {
	r := newRig(t)
	r.start(nil)
	large := func(id string, headers, all int) uint64 {
		m, err := events.EncodeRequest(&events.Request{
			Meta: events.Meta{ID: id, Source: "/test"}, Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Normal,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "09" + id},
				Content:   events.Content{Kind: events.ContentText, Text: "xin chào"},
				Timing:    events.Timing{NotBeforeMS: time.Now().Add(4 * time.Second).UnixMilli()},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Header.Del("Nats-Msg-Id")
		m.Header["x"] = []string{strings.Repeat("y", headers)}
		if pad := all - m.Size() + len(m.Subject) - 9; pad > 0 { // a field that nobody knows: its head, "pad", and so many bytes
			m.Data[0]++
			m.Data = append(append(m.Data, "\xa3pad\xc6"...), binary.BigEndian.AppendUint32(nil, uint32(pad))...)
			m.Data = append(m.Data, make([]byte, pad)...)
		}
		return r.b.Publish(m)
	}
	tooLarge := []uint64{large("1", 60<<10, 300<<10), large("2", 62<<10, 0)}
	large("3", 58<<10, 290<<10)
	large("4", 0, 0)
	for _, seq := range tooLarge {
		r.one(seq, events.StateRejected, ReasonInvalidRequest)
	}
	for _, id := range []string{"3", "4"} {
		if end := r.byID(id); end.State != events.StateAccepted {
			t.Errorf("%s ended as %s, %+v", id, end.State, end.Why)
		}
	}
}

// With any other header the client would refuse to publish the plan, each second
// until the request is due.
func TestPlannedHeader(t *testing.T) {
	e := &entry{msg: &broker.Stored{Header: nats.Header{
		"ce-id": {"1"}, "X_y.z": {"a", "b"}, "Nats-Msg-Id": {"1"}, "nats-ttl": {"1s"}, "": {"1"}, "x y": {"1"}, "\xff": {"1"}, "é": {"1"}, "a/b": {"1"},
	}}}
	h := e.plannedHeader()
	if want := (nats.Header{"ce-id": {"1"}, "X_y.z": {"a", "b"}}); !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("got %v, want %v", h, want)
	}
	if all := (&nats.Msg{Header: h}).Size(); all < 30 { // as the client sees it when one is wrong
		t.Errorf("the client does not take it: %d bytes", all)
	}
}

// What an owner that died has planned, and has not told, is planned.
func TestARequestIsPlannedOnce(t *testing.T) {
	r := newRig(t)
	due := time.Now().Add(4 * time.Second)
	seq := r.sendAt("1", due)
	r.plan(seq, due.Add(-dueEarly))
	r.start(nil)
	r.eventually(func() string {
		if rs := r.results()[seq]; len(rs) != 1 || !rs[0].Planned {
			return fmt.Sprintf("got results %+v", rs)
		}
		return ""
	})
	r.calledOnce(map[string]time.Time{"1": due}, 10*time.Second)
	r.eventually(func() string { return r.endedByID(1) })
}

// The same, found out only after it has come back.
func TestARequestThatHasComeBackIsCalledOnce(t *testing.T) {
	r := newRig(t)
	due := time.Now().Add(1500 * time.Millisecond)
	seq := r.sendAt("1", due)
	r.plan(seq, due.Add(-dueEarly))
	r.eventually(func() string {
		s, err := r.b.JS.Stream(t.Context(), broker.Requests)
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.Msgs < 2 {
			return "it has not come back"
		}
		return ""
	})
	r.start(nil)
	r.calledOnce(map[string]time.Time{"1": due}, 10*time.Second)
	r.eventually(func() string { return r.endedByID(1) })
	if rs := r.results()[seq]; len(rs) != 1 || !rs[0].Planned {
		t.Errorf("got results %+v, want one that says planned", rs)
	}
}

// Once a request is to be called, an owner that is late cannot plan it.
func TestARequestThatIsCalledIsNotPlanned(t *testing.T) {
	r := newRig(t)
	due := time.Now().Add(1200 * time.Millisecond)
	seq := r.sendAt("1", due)
	r.start(nil)
	r.calledOnce(map[string]time.Time{"1": due}, 10*time.Second)
	if _, err := r.b.JS.PublishMsg(t.Context(), r.planned(seq, time.Now())); !broker.IsWrongSequence(err) {
		t.Errorf("planned after it was called: %v", err)
	}
	r.ends(seq)
}

func (r *rig) plan(seq uint64, at time.Time) {
	r.t.Helper()
	r.b.Publish(r.planned(seq, at))
}

// planned is the message by which a dispatcher plans a request.
func (r *rig) planned(seq uint64, at time.Time) *nats.Msg {
	r.t.Helper()
	stored, err := r.read.Get(r.t.Context(), broker.Requests, seq)
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := broker.ParseStored(stored.Subject)
	if err != nil {
		r.t.Fatal(err)
	}
	name := broker.RequestName("/test", stored.Header.Get("ce-id"))
	m := nats.NewMsg(s.Plan(name, seq))
	m.Data = stored.Data
	for k, v := range stored.Header {
		if !strings.HasPrefix(k, "Nats-") {
			m.Header[k] = v
		}
	}
	m.Header.Set(jetstream.ScheduleHeader, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(jetstream.ScheduleTargetHeader, s.Due(name, seq))
	m.Header.Set(jetstream.MsgTTLHeader, "never")
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, s.PlanOrDue(name, seq))
	return m
}

// A server that was killed may publish what was planned a second time.
func TestARequestThatComesBackTwiceIsCalledOnce(t *testing.T) {
	r := newRig(t)
	due := time.Now().Add(3500 * time.Millisecond)
	seq := r.sendAt("1", due)
	stop := r.start(nil)
	stored, err := r.read.Get(t.Context(), broker.Requests, seq)
	if err != nil {
		t.Fatal(err)
	}
	s, err := broker.ParseStored(stored.Subject)
	if err != nil {
		t.Fatal(err)
	}
	r.calledOnce(map[string]time.Time{"1": due}, 10*time.Second)
	stop()

	name := broker.RequestName("/test", "1")
	first, err := r.read.First(t.Context(), broker.Later, s.Due(name, seq))
	if err != nil {
		t.Fatal(err)
	}
	again := nats.NewMsg(s.Due(name, seq))
	again.Data, again.Header = first.Data, first.Header
	r.b.Publish(again)
	r.start(nil)
	r.eventually(func() string {
		for at, rs := range r.results() {
			if at != seq && slices.ContainsFunc(rs, func(r *ledger.Result) bool { return r.Planned }) {
				return ""
			}
		}
		return "the second coming is not known as one"
	})
	if calls := r.desk.made(); len(calls) != 1 {
		t.Errorf("called %d times", len(calls))
	}
}
