package dispatcher

import (
	"fmt"
	"math/rand/v2"
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

// Many cancels of a backlog cost neither calls nor a large checkpoint.
func TestManyCancels(t *testing.T) {
	const n = 1000
	r := newRig(t)
	d := r.dispatcher(r.b.Conn, calm)
	d.intake.jumpLag = n / 4
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

// Two requests of one id wait for another try.
func TestACancelReachesBothOfAnID(t *testing.T) {
	r := newRig(t)
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 503, channels.Verdict{Class: channels.Retry, Reason: "unavailable", Cooldown: 1}
	}
	r.start(func(c *Config) { calm(c); c.Retry = RetryPolicy{Base: 10 * time.Second, MaxAttempts: 3} })
	first, second := r.send("shop", events.Normal, "same", nil), r.send("shop", events.Normal, "same", nil)
	r.eventually(func() string {
		if all := r.results(); len(all[first]) == 0 || len(all[second]) == 0 {
			return "not tried yet"
		}
		return ""
	})
	r.one(r.cancel("shop", "same"), events.StateDone, ReasonTakenBack)
	for _, seq := range []uint64{first, second} {
		if end := r.ends(seq)[0]; end.State != events.StateCancelled {
			t.Errorf("request %d ended as %s (%s) after %d calls, though its cancel was answered with done", seq, end.State, end.Why.Reason, end.Call)
		}
	}
}
