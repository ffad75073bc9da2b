package dispatcher

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// quick is a breaker that opens after four failures.
var quick = Breaker{MinCalls: 4, Ratio: 0.5, Window: 10 * time.Second, Open: 15 * time.Second}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestBreaker(t *testing.T) {
	opened := func(t *testing.T) *breaker {
		b := newBreaker(quick, discard)
		for i := range quick.MinCalls {
			done, err := b.allow(time.Now())
			if err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
			done(errProviderFault)
		}
		if state, next, why := b.stands(); state != breakerOpen || !next.Equal(time.Now().Add(quick.Open)) || why != "4 of 4 calls failed within 10s" {
			t.Fatalf("after four failures: state %d, probe at %s because %s", state, next, why)
		}
		return b
	}
	// granted waits for the next probe as checkpoints do.
	granted := func(t *testing.T, b *breaker) {
		t.Helper()
		for range 100 {
			b.claim(time.Now(), true)
			if b.grant(time.Now()) {
				return
			}
			<-time.After(checkpointEvery)
		}
		t.Fatal("no probe in 100 seconds")
	}
	tests := map[string]func(t *testing.T){
		"failures long ago do not count": func(t *testing.T) {
			b := newBreaker(quick, discard)
			for range 20 {
				done, err := b.allow(time.Now())
				if err != nil {
					t.Fatal(err)
				}
				done(errProviderFault)
				<-time.After(4 * time.Second)
			}
		},
		"only failures of the provider count": func(t *testing.T) {
			b := newBreaker(quick, discard)
			for i := range 30 {
				done, err := b.allow(time.Now())
				if err != nil {
					t.Fatal(err)
				}
				done([]error{nil, errNoCall, errNoVerdict}[i%3])
			}
		},
		"an open one lets nothing begin": func(t *testing.T) {
			b := opened(t)
			<-time.After(time.Hour) // without a claim that is stored there is no probe
			if _, err := b.allow(time.Now()); err == nil || b.lets(time.Now(), 0) {
				t.Error("a call was let through")
			}
		},
		"one probe, alone": func(t *testing.T) {
			b := opened(t)
			begun := time.Now()
			granted(t, b)
			if waited := time.Since(begun); waited < quick.Open || waited > quick.Open+checkpointEvery {
				t.Errorf("the probe may begin after %s, want about %s", waited, quick.Open)
			}
			if b.lets(time.Now(), 1) {
				t.Error("the probe may begin beside another call")
			}
			if _, err := b.allow(time.Now()); err != nil || b.lets(time.Now(), 0) {
				t.Errorf("probe: %v; or a second one may begin", err)
			}
			if _, err := b.allow(time.Now()); err == nil {
				t.Error("a second probe was let through")
			}
		},
		"a good probe closes": func(t *testing.T) {
			b := opened(t)
			granted(t, b)
			done, _ := b.allow(time.Now())
			done(nil)
			if !b.closed() || !b.claim(time.Now(), true).IsZero() {
				t.Error("still open")
			}
		},
		"a bad probe waits as long again": func(t *testing.T) {
			for _, verdict := range []error{errProviderFault, errNoVerdict} {
				b := opened(t)
				granted(t, b)
				done, _ := b.allow(time.Now())
				done(verdict)
				if state, next, _ := b.stands(); state != breakerOpen || !next.Equal(time.Now().Add(quick.Open)) {
					t.Errorf("after %v: state %d, next probe in %s", verdict, state, time.Until(next))
				}
			}
		},
		"a probe that was not a call leaves its place to the next": func(t *testing.T) {
			b := opened(t)
			granted(t, b)
			done, _ := b.allow(time.Now())
			done(errNoCall)
			if done, err := b.allow(time.Now()); err != nil {
				t.Error(err)
			} else if done(nil); !b.closed() {
				t.Error("still open")
			}
		},
		"a probe that does not begin in time is claimed again": func(t *testing.T) {
			b := opened(t)
			granted(t, b)
			<-time.After(grantFor)
			if _, err := b.allow(time.Now()); err == nil {
				t.Error("the probe may begin too late for what the checkpoint says")
			}
			granted(t, b)
		},
		"nothing to call, nothing to claim": func(t *testing.T) {
			b := opened(t)
			<-time.After(time.Minute)
			if b.claim(time.Now(), false); b.grant(time.Now()) {
				t.Error("a probe is granted that nobody wants")
			}
		},
		"who comes next waits longer than a claimed probe": func(t *testing.T) {
			b := opened(t)
			<-time.After(quick.Open)
			until := b.claim(time.Now(), true)
			heir := newBreaker(quick, discard)
			heir.restore(until, "as before")
			begun := time.Now()
			granted(t, heir)
			if waited := time.Since(begun); waited < grantFor+quick.Open {
				t.Errorf("probed after %s, the probe before may have begun until %s", waited, grantFor)
			}
		},
		"an operator closes it, whatever is under way": func(t *testing.T) {
			b := opened(t)
			granted(t, b)
			done, _ := b.allow(time.Now())
			b.reset()
			done(errProviderFault)
			if !b.closed() {
				t.Error("a probe of before has opened it")
			}
		},
		"other settings leave it open": func(t *testing.T) {
			b := opened(t)
			shorter := quick
			shorter.Open = time.Second
			b.update(shorter, time.Now())
			if state, next, _ := b.stands(); state != breakerOpen || !next.Equal(time.Now().Add(time.Second)) {
				t.Errorf("state %d, next probe in %s", state, time.Until(next))
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

// down makes the provider fail every call of an account.
func (r *rig) down(account string) {
	r.answers(func(_ int, c call) (int, channels.Verdict) {
		if c.account == account {
			return 503, channels.Verdict{Class: channels.Retry, Reason: "down", ProviderFault: true}
		}
		return 200, channels.Verdict{Class: channels.OK}
	})
}

func (r *rig) answers(answer func(n int, c call) (int, channels.Verdict)) {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	r.desk.answer = answer
}

// calls returns those of one account.
func (r *rig) calls(account string) (of []call) {
	for _, c := range r.desk.made() {
		if c.account == account {
			of = append(of, c)
		}
	}
	return of
}

// A provider is down while its account changes hands again and again: all its
// owners together probe it once per interval.
func TestABreakerOutlivesItsOwner(t *testing.T) {
	r := newRig(t)
	r.down("shop")
	const interval = 700 * time.Millisecond
	change := func(c *Config) {
		c.Accounts[0].Concurrency = 1
		c.Accounts[0].Breaker = Breaker{MinCalls: 4, Ratio: 0.5, Window: time.Minute, Open: interval}
		c.Retry = RetryPolicy{Base: 10 * time.Millisecond, MaxAttempts: 100}
	}
	var seqs []uint64
	for i := range 10 {
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("d", i), nil))
	}
	stop := r.start(change)
	if why := r.told("shop", events.LaneBreakerOpen)[0].Why; why.Detail != "4 of 4 calls failed within 1m0s" {
		t.Errorf("told that the breaker is open because of %+v", why)
	}
	for range 2 {
		stop()
		probes := len(r.calls("shop"))
		stop = r.start(change)
		r.eventually(func() string {
			if len(r.calls("shop")) > probes {
				return ""
			}
			return "no probe"
		})
	}
	all := r.calls("shop")
	for i := 4; i < len(all); i++ {
		if gap := all[i].at.Sub(all[i-1].at); gap < interval {
			t.Errorf("probe %d came %s after the call before, want at least %s", i-3, gap, interval)
		}
	}
	r.answers(nil)
	r.ends(seqs...)
}

func TestAnOpenBreakerStopsReading(t *testing.T) {
	r := newRig(t)
	r.down("shop")
	change := func(c *Config) {
		c.Accounts[0].Breaker = Breaker{MinCalls: 4, Ratio: 0.5, Window: time.Minute, Open: time.Hour}
		c.Retry = RetryPolicy{Base: time.Minute, MaxAttempts: 100}
	}
	stop := r.start(change)
	var seqs []uint64
	for i := range 200 {
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("o", i), nil))
	}
	r.told("shop", events.LaneBreakerOpen)
	stop()

	reads := make(chan *nats.Msg, 1000)
	sub, err := r.b.Conn.ChanSubscribe("$JS.API.DIRECT.GET."+broker.Requests, reads)
	if err != nil {
		t.Fatal(err)
	}
	d := r.dispatcher(r.b.Conn, change)
	r.run(d)
	r.ends(r.send("bank", events.Normal, "b1", nil))
	r.eventually(func() string {
		for _, l := range d.Lanes() {
			if l.Account == "shop" && l.State == events.LaneBreakerOpen && l.Behind[1] && time.UnixMilli(l.UntilMS).After(time.Now()) {
				return ""
			}
		}
		return fmt.Sprintf("lanes are %+v, want the breaker of shop open and its backlog unread", d.Lanes())
	})
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	for range len(reads) {
		if m := <-reads; strings.Contains(string(m.Data), "fake.shop") {
			t.Errorf("read while the breaker is open: %s", m.Data)
		}
	}
	before := len(r.calls("shop"))
	r.answers(nil)
	r.control("shop", false, "an", "")
	r.ends(seqs[100:]...)
	if before > 30 {
		t.Errorf("%d calls with the provider down, want those that were under way when the breaker opened", before)
	}
}
