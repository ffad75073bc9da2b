package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

func TestARestartGoesOnWhereItWas(t *testing.T) {
	r := newRig(t)
	var seqs []uint64
	stop := r.start(nil)
	for i := range 100 {
		seqs = append(seqs, r.send("slow", events.Normal, fmt.Sprint("n", i), nil))
		if i%25 == 24 {
			r.ends(seqs[:i/2]...)
			stop()
			stop = r.start(nil)
		}
	}
	for _, got := range r.ends(seqs...) {
		if got.State != events.StateAccepted {
			t.Errorf("request %d: %s (%s)", got.Seq, got.State, got.Why.Reason)
		}
	}
	if again := r.desk.twice(); again != nil {
		t.Errorf("called twice: %v", again)
	}
}

// The broker goes away with calls under way, for longer than the lease. Their
// answers are known here, so nothing is in doubt when it is back.
func TestABrokerOutageLosesNoAnswer(t *testing.T) {
	r := newRig(t)
	r.desk.hold = make(chan struct{})
	r.start(func(c *Config) {
		c.Lease, c.CallTimeout, c.Grace = shortLease, 5*time.Second, 6*time.Second
	})
	var seqs []uint64
	for i := range 20 {
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("o", i), nil))
		seqs = append(seqs, r.send("bank", events.Normal, fmt.Sprint("p", i), nil))
	}
	const underWay = 2 * startConcurrency // none of which ends, so there will not be more
	r.eventually(func() string {
		if n := len(r.desk.made()); n < underWay {
			return fmt.Sprintf("%d calls under way, want %d", n, underWay)
		}
		return ""
	})
	r.b.Stop()
	close(r.desk.hold)
	<-time.After(shortLease + shortLease/2)
	before := len(r.desk.made())
	r.b.Restart()
	for _, got := range r.ends(seqs...) {
		if got.State != events.StateAccepted {
			t.Errorf("request %d: %s (%s)", got.Seq, got.State, got.Why.Reason)
		}
	}
	if before != underWay {
		t.Errorf("%d calls by the end of the outage, want those %d that had begun", before, underWay)
	}
	if again := r.desk.twice(); again != nil {
		t.Errorf("called twice: %v", again)
	}
}

// A dispatcher whose connection is cut cannot renew its lease and cannot store
// what its calls came to. The one that takes over says unknown about those, and
// calls the rest.
func TestTakeOverFromADispatcherThatIsCutOff(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	var seqs []uint64
	defer r.cutOff(nil, func() bool { return len(r.desk.made()) >= 2*startConcurrency }, func() {
		for i := range 25 {
			seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("c", i), nil))
			seqs = append(seqs, r.send("bank", events.Normal, fmt.Sprint("d", i), nil))
		}
		for i := range 3 {
			seqs = append(seqs, r.report(fmt.Sprint("rep", i), nil))
		}
	})()
	defer close(hold)
	underWay := len(r.desk.made())
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()
	r.start(nil)
	unknown := 0
	for _, got := range r.ends(seqs...) {
		switch got.State {
		case events.StateUnknown:
			unknown++
			if got.Why.Reason != ReasonWorkerDied {
				t.Errorf("unknown because of %q", got.Why.Reason)
			}
		case events.StateAccepted, events.StateDone:
		default:
			t.Errorf("request %d: %s (%s)", got.Seq, got.State, got.Why.Reason)
		}
	}
	if unknown == 0 || unknown > underWay {
		t.Errorf("%d ended as unknown, %d were under way", unknown, underWay)
	}
	for _, body := range r.desk.twice() {
		if !strings.HasPrefix(body, "page ") { // reads may be repeated
			t.Errorf("called twice: %s", body)
		}
	}
}

// A crash is often followed by a second change of owner within seconds: the
// process starts again and gets its share back. What the first successor has
// learned from the logs, and not acted on yet, the second must know, too.

func TestADoubtOutlivesASecondTakeOver(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.desk.hold = hold
	stopDead := r.cutOff(nil, func() bool { return len(r.desk.made()) > 0 }, func() { r.send("shop", events.Normal, "1", nil) })
	defer stopDead()
	defer close(hold)
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()

	stop := r.takenOver("shop", nil)
	stop()
	r.start(nil)
	if got := r.ends(1)[0]; got.State != events.StateUnknown || got.Why.Reason != ReasonWorkerDied {
		t.Errorf("ended as %s (%s), want unknown", got.State, got.Why.Reason)
	}
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %s", twice)
	}
}

// The owner before was not dead but frozen or cut off for a while, and stores the
// answer when others have taken over. What may be repeated is not, then.
func TestALateAnswerOfTheOwnerBeforeHolds(t *testing.T) {
	r := newRig(t)
	patient := func(c *Config) { c.CallTimeout, c.Grace = 4*time.Second, 5*time.Second }
	hold := make(chan struct{})
	r.desk.hold = hold
	var seq, next uint64 // the next waits until the first is done with
	defer r.cutOff(nil, func() bool { return len(r.desk.made()) > 0 }, func() {
		seq = r.send("shop", events.Normal, "late", func(s *events.Send) { s.OnAmbiguous, s.OrderKey = events.Resend, "k" })
		next = r.send("shop", events.Normal, "next", func(s *events.Send) { s.OrderKey = "k" })
	})()
	defer close(hold)
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()

	r.takenOver("shop", patient)
	request, err := r.read.Get(t.Context(), broker.Requests, seq)
	if err != nil {
		t.Fatal(err)
	}
	e := newEntry(request, 1)
	e.calls = 1
	late := e.result(time.Now())
	late.State = events.StateAccepted
	results := newResultStore(&Config{JS: r.b.JS, Log: slog.New(slog.DiscardHandler), DedupWindow: time.Minute}, r.read, newCrew(0, nil))
	if results.pub, err = broker.NewPublisher(r.b.JS.Conn(), broker.AckWait); err != nil {
		t.Fatal(err)
	}
	defer results.pub.Close()
	at, err := results.put(t.Context(), broker.ResultSubject(broker.Partition("fake", "shop", r.partitions), "fake", "shop"), late, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	r.ends(seq, next)
	want := 2
	if at.duplicate { // on a machine so slow that the answer came after all patience
		want = 3
	}
	if got := len(r.desk.made()); got != want {
		t.Errorf("called %d times, want %d", got, want)
	}
}

func TestWhatHasEndedOutlivesASecondTakeOver(t *testing.T) {
	r := newRig(t)
	slowly := func(c *Config) {
		c.Accounts[2].Limits = ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(1)}}
	}
	ended := func() bool { return len(final(r.results()[1])) > 0 }
	defer r.cutOff(slowly, ended, func() {
		for i := range 2 {
			r.send("slow", events.Normal, fmt.Sprint(i), nil)
		}
	})()

	stop := r.takenOver("slow", slowly) // and before its limiter lets anything pass
	stop()
	r.start(slowly)
	r.ends(1, 2)
	if twice := r.desk.twice(); twice != nil {
		t.Errorf("called twice: %s", twice)
	}
}

func TestASilenceOutlivesATakeOver(t *testing.T) {
	const told = 3 * time.Second
	refuse := func(r *rig) {
		var answers atomic.Int32
		r.desk.answer = func(int, call) (int, channels.Verdict) {
			if answers.Add(1) > 1 {
				return 200, channels.Verdict{Class: channels.OK}
			}
			return 429, channels.Verdict{Class: channels.Throttled, Reason: "rate_limited", Cooldown: told.Milliseconds()}
		}
	}
	refused := func(r *rig) func() bool { return func() bool { return len(r.results()[1]) > 0 } }
	judge := func(t *testing.T, r *rig) {
		t.Helper()
		r.send("shop", events.Normal, "2", nil) // a request that was never refused must wait, too
		r.start(nil)
		r.ends(1, 2)
		calls := r.desk.made()
		if waited := calls[1].at.Sub(calls[0].at); waited < told {
			t.Errorf("called again after %s, was told to wait %s", waited, told)
		}
		if twice := r.desk.twice(); len(calls) != 3 || len(twice) != 1 {
			t.Errorf("%d calls, %q of them twice, want the refused one alone to be repeated", len(calls), twice)
		}
	}
	t.Run("stopped", func(t *testing.T) {
		r := newRig(t)
		refuse(r)
		stop := r.start(nil)
		r.send("shop", events.Normal, "1", nil)
		r.eventually(func() string {
			if refused(r)() {
				return ""
			}
			return "not refused yet"
		})
		stop()
		judge(t, r)
	})
	t.Run("cut off", func(t *testing.T) {
		r := newRig(t)
		refuse(r)
		defer r.cutOff(nil, refused(r), func() { r.send("shop", events.Normal, "1", nil) })()
		judge(t, r)
	})
}

func TestTimesAreLeftInTheBrokersTime(t *testing.T) {
	now := time.Now()
	now = now.Add(-time.Duration(now.Nanosecond() % 1e6)) // whole milliseconds, with the monotonic reading
	const slow = 100 * time.Millisecond                   // is how long the broker's answer takes, the one that tells the time
	clockAhead := func(by time.Duration) clock { return readClock(now.Add(by), now, now.Add(slow)) }

	left := clockAhead(2 * time.Second).ms(now.Add(time.Minute)) // by an owner who is two seconds late
	got := clockAhead(-2 * time.Second).local(left)
	if late := got.Sub(now.Add(time.Minute + 4*time.Second)); late < 0 || late > slow {
		t.Errorf("an owner who is two seconds early reads %s from now, want 1m4s and not before", got.Sub(now))
	}
	if got := clockAhead(0).local(clockAhead(0).ms(now.Add(time.Nanosecond))); got.Before(now.Add(time.Nanosecond)) {
		t.Error("a time has become earlier by being rounded")
	}
	if c := clockAhead(time.Second); c.ms(time.Time{}) != 0 || !c.local(0).IsZero() {
		t.Error("no time has become one")
	}
	if c := clockAhead(time.Second); !strings.Contains(c.local(left).String(), "m=") {
		t.Error("a time that is left to us changes when somebody sets our clock")
	}
	data, err := ledger.EncodeResult(&ledger.Result{AtMS: 5000, RetryAtMS: 7000})
	if err != nil {
		t.Fatal(err)
	}
	r, err := storedResult(&broker.Stored{Data: data, Time: now.Add(-time.Microsecond)})
	if err != nil || r.RetryAtMS != now.Add(2*time.Second).UnixMilli() {
		t.Errorf("got %d, %v, want two seconds after it was stored", r.RetryAtMS, err)
	}
}

// cutOff starts a dispatcher, has work published and cuts it off from the
// broker once it has come so far. It goes on by itself until stop is called.
func (r *rig) cutOff(change func(*Config), far func() bool, publish func()) (stop func()) {
	r.t.Helper()
	lost := r.b.Connect()
	d := r.dispatcher(lost, func(c *Config) {
		if change != nil {
			change(c)
		}
		c.Grace = time.Millisecond // nothing that it still stores arrives
		c.Lease = shortLease
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	publish()
	r.eventually(func() string {
		if far() {
			return ""
		}
		return "the dispatcher has not come so far"
	})
	lost.Close()
	return func() {
		cancel()
		<-done // with whatever error: its connection is gone
	}
}

// takenOver starts a dispatcher and returns when it has opened the partition of
// the account.
func (r *rig) takenOver(account string, change func(*Config)) (stop func()) {
	r.t.Helper()
	d := r.dispatcher(r.b.Conn, change)
	stop = r.run(d)
	n := broker.Partition("fake", account, r.partitions)
	r.eventually(func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.opened[n] != nil {
			return ""
		}
		return "the partition is not taken over"
	})
	return stop
}
