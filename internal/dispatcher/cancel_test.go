package dispatcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// cancel publishes a cancel of the request with an id.
func (r *rig) cancel(account, id string) uint64 {
	r.t.Helper()
	m := r.cancelMsg(account, id)
	ack, err := r.b.JS.PublishMsg(r.t.Context(), m)
	if err != nil {
		r.t.Fatal(err)
	}
	return ack.Sequence
}

func (r *rig) cancelMsg(account, id string) *nats.Msg {
	r.t.Helper()
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: events.NewID(), Source: "/desk"}, Kind: events.KindCancel,
		Provider: "fake", Account: account, Class: events.Bulk,
		Cancel: &events.Cancel{ID: id, Source: "/test"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// pause holds the account, which the dispatcher that runs must know by now.
func (r *rig) pause(account string) {
	r.t.Helper()
	r.control(account, true, "An", "a test")
	r.told(account, events.LanePaused)
}

// one waits for the end of a request and checks it.
func (r *rig) one(seq uint64, state events.State, reason string) *ledger.Result {
	r.t.Helper()
	end := r.ends(seq)[0]
	if end.State != state || end.Why.Reason != reason {
		r.t.Errorf("request %d ended as %s (%s, %s), want %s (%s)", seq, end.State, end.Why.Reason, end.Why.Detail, state, reason)
	}
	if end.State == events.StateCancelled && (end.Attempt != 0 || end.Dead != "") {
		r.t.Errorf("a cancelled request has %d attempts, and a dead letter %q", end.Attempt, end.Dead)
	}
	return end
}

// byID waits for the end of the request with an id that has come back from LATER.
func (r *rig) byID(id string) (end *ledger.Result) {
	r.t.Helper()
	r.eventually(func() string {
		for _, rs := range r.results() {
			for _, e := range final(rs) {
				if e.Request.Header["ce-id"][0] == id {
					end = e
					return ""
				}
			}
		}
		return id + " has not ended"
	})
	return end
}

// calm keeps a busy machine from taking calls away.
func calm(c *Config) { c.CallTimeout = time.Minute }

func (r *rig) called(id string) bool {
	return slices.ContainsFunc(r.desk.made(), func(c call) bool { return strings.HasPrefix(c.body, "09"+id+" ") })
}

// A cancel is answered while the account is paused, whatever it is about; what it
// is about ends when the account goes on.
func TestCancelOfWhatWaits(t *testing.T) {
	r := newRig(t)
	r.start(calm)
	r.pause("shop")
	var seqs []uint64
	for i := range 6 {
		seqs = append(seqs, r.send("shop", events.Classes[i%3], fmt.Sprint("w", i), nil))
	}
	for i := range 3 {
		r.one(r.cancel("shop", fmt.Sprint("w", i)), events.StateDone, ReasonTakenBack)
	}
	r.control("shop", false, "An", "")
	for i, seq := range seqs {
		if i < 3 {
			r.one(seq, events.StateCancelled, ReasonTakenBack)
		} else {
			r.one(seq, events.StateAccepted, "")
		}
		if called := r.called(fmt.Sprint("w", i)); called != (i >= 3) {
			t.Errorf("w%d: called is %v", i, called)
		}
	}
}

func TestCancelTooLate(t *testing.T) {
	r := newRig(t)
	r.start(calm)
	r.one(r.send("shop", events.Normal, "ended", nil), events.StateAccepted, "")
	r.one(r.cancel("shop", "ended"), events.StateFailed, ReasonTooLate)
	r.one(r.cancel("shop", "unheard-of"), events.StateFailed, ReasonTooLate)
	r.one(r.cancel("nowhere", "ended"), events.StateRejected, ReasonUnknownAccount)

	r.one(r.cancel("shop", "early"), events.StateFailed, ReasonTooLate)
	r.one(r.send("shop", events.Normal, "early", nil), events.StateAccepted, "") // published after its cancel

	// Nobody knows whether a call was carried out that got no answer.
	r.desk.mu.Lock()
	r.desk.answer = func(n int, _ call) (int, channels.Verdict) {
		if n == 1 {
			return 200, channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"}
		}
		return 200, channels.Verdict{Class: channels.Throttled, Reason: "slow down", Cooldown: 3000}
	}
	r.desk.mu.Unlock()
	seq := r.report("doubtful", nil)
	r.eventually(func() string {
		if n := len(r.results()[seq]); n < 2 {
			return fmt.Sprintf("%d results", n)
		}
		return ""
	})
	r.one(r.cancel("shop", "doubtful"), events.StateFailed, ReasonTooLate)
}

// What was throttled was not carried out. It ends at once, though the account is
// silent for an hour, and so does what waits behind it for its order.
func TestCancelOfWhatWaitsForAnotherTry(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 200, channels.Verdict{Class: channels.Throttled, Reason: "slow down", Cooldown: time.Hour.Milliseconds()}
	}
	d := r.dispatcher(r.b.Conn, calm)
	r.run(d)
	order := func(s *events.Send) { s.OrderKey = "k" }
	first, second := r.send("shop", events.Normal, "t1", order), r.send("shop", events.Normal, "t2", order)
	r.eventually(func() string {
		d.mu.Lock()
		p := d.opened[broker.Partition("fake", "shop", r.partitions)]
		d.mu.Unlock()
		if p == nil {
			return "the partition is not open"
		}
		l := p.lane(laneKey{provider: "fake", account: "shop"})
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.open) < 2 || len(r.desk.made()) < 1 {
			return fmt.Sprintf("%d requests begun", len(l.open))
		}
		return ""
	})
	close(hold)
	r.eventually(func() string {
		if len(r.results()[first]) == 0 {
			return "not answered"
		}
		return ""
	})
	for _, both := range []struct {
		id  string
		seq uint64
	}{{"t2", second}, {"t1", first}} {
		r.one(r.cancel("shop", both.id), events.StateDone, ReasonTakenBack)
		r.one(both.seq, events.StateCancelled, ReasonTakenBack)
	}
	if n := len(r.desk.made()); n != 1 {
		t.Errorf("%d calls, want the one that was throttled", n)
	}
}

// A request that is planned ends now, not at its time.
func TestCancelOfWhatIsPlanned(t *testing.T) {
	r := newRig(t)
	r.start(calm)
	seq := r.sendAt("far", time.Now().Add(100*24*time.Hour))
	other := r.sendAt("near", time.Now().Add(4*time.Second))
	for _, seq := range []uint64{seq, other} {
		r.eventually(func() string {
			if len(r.results()[seq]) == 0 {
				return "not planned"
			}
			return ""
		})
	}
	r.one(r.cancel("shop", "far"), events.StateDone, ReasonTakenBack)
	if end := r.byID("far"); end.State != events.StateCancelled {
		t.Errorf("ended as %s (%s)", end.State, end.Why.Reason)
	}
	if end := r.byID("near"); end.State != events.StateAccepted {
		t.Errorf("the other ended as %s (%s)", end.State, end.Why.Reason)
	}
	r.one(r.cancel("shop", "near"), events.StateFailed, ReasonTooLate)
}

// A request that has come back from LATER and is held stands behind its cancel in
// the stream, but was published before it.
func TestCancelOfWhatHasComeBack(t *testing.T) {
	r := newRig(t)
	stop := r.start(calm)
	far := time.Now().Add(time.Hour)
	seqs := []uint64{r.sendAt("b1", far), r.sendAt("b2", far)}
	for _, seq := range seqs {
		r.eventually(func() string {
			if len(r.results()[seq]) == 0 {
				return "not planned"
			}
			return ""
		})
	}
	stop()
	for _, seq := range seqs { // the server's clock moves on by an hour
		m := r.planned(seq, time.Now())
		last, err := r.read.Last(t.Context(), broker.Later, m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last.Seq, 10))
		if _, err := r.b.JS.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	r.control("shop", true, "An", "a test")
	stop = r.takenOver("shop", calm)
	r.eventually(func() string {
		n := 0
		err := r.read.Replay(t.Context(), broker.Requests, "req.>", 1, func(*broker.Stored) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if n < 4 {
			return fmt.Sprintf("%d requests in the stream", n)
		}
		return ""
	})
	r.one(r.cancel("shop", "b1"), events.StateDone, ReasonTakenBack)
	stop()
	r.start(calm) // which finds the void where the last one left it
	r.one(r.cancel("shop", "b2"), events.StateDone, ReasonTakenBack)
	r.control("shop", false, "An", "")
	for _, id := range []string{"b1", "b2"} {
		if end := r.byID(id); end.State != events.StateCancelled {
			t.Errorf("%s ended as %s (%s)", id, end.State, end.Why.Reason)
		}
	}
	if n := len(r.desk.made()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// However close a cancel comes to the call: either the request is called and the
// cancel too late, or it is not and both say so.
func TestCancelRacesTheCall(t *testing.T) {
	r := newRig(t)
	r.start(calm)
	r.one(r.send("slow", events.Normal, "warm", nil), events.StateAccepted, "")
	const n = 150
	sends, cancels := make([]uint64, n), make([]uint64, n)
	for i := range n {
		sends[i] = r.send("slow", events.Urgent, fmt.Sprint("r", i), nil)
	}
	for _, i := range rand.Perm(n) { // while they are called one after the other
		cancels[i] = r.cancel("slow", fmt.Sprint("r", i))
	}
	late := 0
	for i := range n {
		ends := r.ends(sends[i], cancels[i])
		send, cancel := ends[0].State, ends[1].State
		called := r.called(fmt.Sprint("r", i))
		switch {
		case send == events.StateAccepted && cancel == events.StateFailed && called:
			late++
		case send == events.StateCancelled && cancel == events.StateDone && !called:
		default:
			t.Errorf("round %d: the send is %s, the cancel %s, called is %v", i, send, cancel, called)
		}
	}
	t.Logf("%d of %d came too late", late, n)
}

// What is being called cannot be taken back, but its answer may say that it was
// not carried out.
func TestCancelDuringTheCall(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	r.desk.answer = func(_ int, c call) (int, channels.Verdict) {
		if strings.HasPrefix(c.body, "09refused ") {
			return 200, channels.Verdict{Class: channels.Retry, Reason: "busy"}
		}
		return 200, channels.Verdict{Class: channels.OK, Evidence: events.Strong}
	}
	r.start(calm)
	refused, taken := r.send("shop", events.Normal, "refused", nil), r.send("shop", events.Normal, "taken", nil)
	r.eventually(func() string {
		if n := len(r.desk.made()); n < 2 {
			return fmt.Sprintf("%d calls", n)
		}
		return ""
	})
	first, second := r.cancel("shop", "refused"), r.cancel("shop", "taken")
	r.one(r.cancel("shop", "other"), events.StateFailed, ReasonTooLate) // so those before it have been looked at, or soon are
	if n := len(final(r.results()[second])); n != 0 {
		t.Error("a cancel is answered before the call is")
	}
	close(hold)
	r.one(first, events.StateDone, ReasonTakenBack)
	r.one(second, events.StateFailed, ReasonTooLate)
	r.one(taken, events.StateAccepted, "")
	if end := r.ends(refused)[0]; end.State != events.StateCancelled || end.Attempt != 1 {
		t.Errorf("ended as %s after %d attempts", end.State, end.Attempt)
	}
}

// The dispatcher that answered dies before anything else is stored. The next one
// must not call what was taken back, and answers no cancel twice.
func TestWhatWasTakenBackStaysSo(t *testing.T) {
	r := newRig(t)
	stop := r.start(calm)
	r.pause("shop")
	stop()
	var seqs, cancels []uint64
	defer r.cutOff(nil, func() bool {
		all := r.results()
		return len(cancels) == 10 && !slices.ContainsFunc(cancels, func(seq uint64) bool { return len(final(all[seq])) == 0 })
	}, func() {
		for i := range 20 {
			seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("s", i), nil))
		}
		for i := range 10 {
			cancels = append(cancels, r.cancel("shop", fmt.Sprint("s", i)))
		}
	})()
	r.control("shop", false, "An", "")
	r.start(calm)
	for _, seq := range cancels {
		r.one(seq, events.StateDone, ReasonTakenBack)
	}
	for i, seq := range seqs {
		if i < 10 {
			r.one(seq, events.StateCancelled, ReasonTakenBack)
		} else {
			r.one(seq, events.StateAccepted, "")
		}
	}
}

// An owner died when it had stored the void and not the answer. The request must
// not end before the cancel is answered, or the answer would be wrong.
func TestACancelIsWorkedAgain(t *testing.T) {
	r := newRig(t)
	n := broker.Partition("fake", "shop", r.partitions)
	send := r.send("shop", events.Normal, "v1", nil)
	after := r.send("shop", events.Normal, "v2", nil)
	cancel := r.cancel("shop", "v1")
	m := nats.NewMsg(broker.VoidSubject(n, "fake", "shop", broker.RequestName("/test", "v1")))
	for _, name := range []string{voidHeader, voidUpToHeader} {
		m.Header.Set(name, strconv.FormatUint(cancel, 10))
	}
	if _, err := r.b.JS.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r.start(calm)
	r.one(cancel, events.StateDone, ReasonTakenBack)
	r.one(send, events.StateCancelled, ReasonTakenBack)
	r.one(after, events.StateAccepted, "")
}

// Many cancels of a backlog cost neither calls nor a large checkpoint.
func TestManyCancels(t *testing.T) {
	const n = 1000
	r := newRig(t)
	d := r.dispatcher(r.b.Conn, calm)
	d.jumpLag = n / 4
	stop := r.run(d)
	r.pause("shop")
	js, err := jetstream.New(r.b.Conn, jetstream.WithPublishAsyncMaxPending(2*n))
	if err != nil {
		t.Fatal(err)
	}
	body := r.sendBody()
	async := func(m *nats.Msg) {
		if _, err := js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	first := r.send("shop", events.Normal, "first", nil)
	for i := range n {
		m := nats.NewMsg("tram.send.fake.shop.bulk")
		for k, v := range map[string]string{"ce-specversion": "1.0", "ce-id": fmt.Sprint("m", i), "ce-source": "/test", "ce-type": events.KindSend.Type()} {
			m.Header.Set(k, v)
		}
		m.Data = body
		async(m)
	}
	<-js.PublishAsyncComplete()
	for i := range n {
		async(r.cancelMsg("shop", fmt.Sprint("m", i)))
	}
	<-js.PublishAsyncComplete()
	ends, from := map[events.State]int{}, uint64(1)
	ended := func(state events.State) func() string {
		return func() string {
			err := r.read.Replay(t.Context(), broker.Results, "tram.result.>", from, func(m *broker.Stored) error {
				res, err := ledger.DecodeResult(m.Data)
				if err == nil {
					ends[res.State]++
				}
				from = m.Seq + 1
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if ends[state] < n {
				return fmt.Sprintf("%d of %d are %s", ends[state], n, state)
			}
			return ""
		}
	}
	r.eventually(ended(events.StateDone))
	stop()
	marks := &checkpoints{js: r.b.JS, reader: r.read, n: broker.Partition("fake", "shop", r.partitions)}
	if ck, err := marks.read(t.Context()); err != nil || len(ck.Past)+len(ck.Lanes) > 1 {
		t.Errorf("checkpoint has %d requests of the past and %d lanes, %v", len(ck.Past), len(ck.Lanes), err)
	}
	r.control("shop", false, "An", "")
	r.start(calm)
	r.eventually(ended(events.StateCancelled))
	r.one(first, events.StateAccepted, "")
	if calls := len(r.desk.made()); calls != 1 {
		t.Errorf("%d calls, want one", calls)
	}
	if ends[events.StateDone] != n || ends[events.StateCancelled] != n {
		t.Errorf("ended: %v, want %d done and as many cancelled", ends, n)
	}
}

func (r *rig) sendBody() []byte {
	r.t.Helper()
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "x", Source: "/test"}, Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Bulk,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
			Content:   events.Content{Kind: events.ContentText, Text: "xin chào"},
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Data
}

// An owner dies in the middle of calls. Its successor answers the cancels of what
// it had begun before it meets those requests itself: what may have been called
// is not taken back.
func TestCancelOfWhatAnOwnerBeforeHasCalled(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	var seqs []uint64
	defer r.cutOff(nil, func() bool { return len(r.desk.made()) >= startConcurrency }, func() {
		for i := range 20 {
			seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("k", i), nil))
		}
	})()
	defer close(hold)
	called := len(r.desk.made())
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()
	r.control("shop", true, "An", "a test") // so that the cancels come before the rest is called
	var cancels []uint64
	for i := range seqs {
		cancels = append(cancels, r.cancel("shop", fmt.Sprint("k", i)))
	}
	r.start(nil)
	r.eventually(func() string {
		all, answered := r.results(), 0
		for _, seq := range cancels {
			answered += len(final(all[seq]))
		}
		if want := len(cancels) - called; answered < want {
			return fmt.Sprintf("%d cancels are answered, want %d", answered, want)
		}
		return ""
	})
	r.control("shop", false, "An", "")
	late := 0
	for i, seq := range cancels {
		switch said := r.ends(seq)[0]; said.State {
		case events.StateFailed:
			late++
			r.one(seqs[i], events.StateUnknown, ReasonWorkerDied)
		case events.StateDone:
			r.one(seqs[i], events.StateCancelled, ReasonTakenBack)
		default:
			t.Errorf("cancel %d is answered with %s", i, said.State)
		}
	}
	if late != called {
		t.Errorf("%d cancels came too late, want one for each of the %d calls", late, called)
	}
}

// An owner dies when it has stored that a request is about to end as taken back.
// That was no call, so there is no doubt.
func TestWhatWasAboutToEndAsTakenBackDoes(t *testing.T) {
	r := newRig(t)
	taken, called := r.send("shop", events.Normal, "taken", nil), r.send("shop", events.Normal, "called", nil)
	data, err := ledger.EncodeIntents(&ledger.IntentGroup{Owner: "dead", Calls: []ledger.Intent{{Seq: taken, Call: 1, Void: true}, {Seq: called, Call: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.b.JS.Publish(t.Context(), broker.IntentSubject(broker.Partition("fake", "shop", r.partitions)), data); err != nil {
		t.Fatal(err)
	}
	r.control("shop", true, "An", "a test") // so that the cancels come first, as they did
	first, second := r.cancel("shop", "taken"), r.cancel("shop", "called")
	r.start(nil)
	r.one(first, events.StateDone, ReasonTakenBack)
	r.control("shop", false, "An", "")
	r.one(second, events.StateFailed, ReasonTooLate)
	if end := r.one(taken, events.StateCancelled, ReasonTakenBack); end.Call != 1 {
		t.Errorf("it ended with call %d, want the one that its intent has", end.Call)
	}
	r.one(called, events.StateUnknown, ReasonWorkerDied)
}
