package dispatcher

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// resize changes how many bytes a stream may have; -1 is no limit.
func (r *rig) resize(stream string, bytes int64) {
	r.t.Helper()
	st, err := r.b.JS.Stream(r.t.Context(), stream)
	if err != nil {
		r.t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.MaxBytes = bytes
	if _, err := r.b.JS.UpdateStream(r.t.Context(), c); err != nil {
		r.t.Fatal(err)
	}
}

// noisy counts what is tried in vain, and keeps the log.
type noisy struct {
	unobserved
	failed atomic.Int64

	mu  sync.Mutex
	log bytes.Buffer
}

func (n *noisy) StoreFailed() { n.failed.Add(1) }

func (n *noisy) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *noisy) said(what string) int {
	return strings.Count(n.text(), what)
}

func (n *noisy) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

func (n *noisy) configure(c *Config) {
	c.Observer, c.Log = n, slog.New(slog.NewTextHandler(n, nil))
	c.DedupWindow = 100 * time.Millisecond // less than the stream is full: nothing is given up all the same
}

// waiting returns how many results wait to be stored.
func waiting(d *Dispatcher) int {
	d.crew.mu.Lock()
	defer d.crew.mu.Unlock()
	return d.crew.held
}

func TestResultsThatCannotBeStoredStopTheCalls(t *testing.T) {
	r := newRig(t)
	n := &noisy{}
	d := r.dispatcher(r.b.Conn, n.configure)
	d.results.maxWait = 100 * time.Millisecond
	r.run(d)
	first := r.send("shop", events.Normal, "first", nil)
	r.ends(first)
	r.resize(broker.Results, 1)

	seqs := []uint64{first}
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			for _, account := range []string{"shop", "bank"} {
				seqs = append(seqs, r.send(account, events.Normal, fmt.Sprint(account, i), nil))
			}
		}
	}
	publish(0, 100)
	inVain := func(times int64) {
		t.Helper()
		goal := n.failed.Load() + times
		r.eventually(func() string {
			if n.failed.Load() < goal {
				return fmt.Sprintf("%d of %d failures:\n%s", n.failed.Load(), goal, n.text())
			}
			return ""
		})
	}
	inVain(6)
	// Those that were picked before the first failure have been called by now.
	r.eventually(func() string {
		if waiting, calls := waiting(d), len(r.desk.made()); calls != waiting+1 {
			return fmt.Sprintf("%d calls, and %d results wait", calls, waiting)
		}
		return ""
	})
	calls, goroutines := len(r.desk.made()), runtime.NumGoroutine()
	publish(100, 400)
	inVain(6)
	if got := len(r.desk.made()); got != calls || calls > 2*16+1 {
		t.Errorf("%d calls at first and %d later, want no more than each account may have at once, and no new ones", calls, got)
	}
	if got := runtime.NumGoroutine(); got > goroutines+200 { // other tests run beside this one
		t.Errorf("%d goroutines, before 600 more requests %d", got, goroutines)
	}
	if n.said("results cannot be stored") != 1 {
		t.Errorf("said %d times that it cannot store results, want once a minute:\n%s", n.said("results cannot be stored"), n.text())
	}

	r.resize(broker.Results, -1)
	for _, end := range r.ends(seqs...) {
		if end.State != events.StateAccepted {
			t.Errorf("request %d ended as %s, want accepted: its answer had come", end.Seq, end.State)
		}
	}
	if twice := r.desk.twice(); len(twice) > 0 {
		t.Errorf("called twice: %v", twice)
	}
}

func TestIntentsThatCannotBeStoredStopTheCalls(t *testing.T) {
	r := newRig(t)
	n := &noisy{}
	d := r.dispatcher(r.b.Conn, n.configure)
	stop := r.run(d)
	seqs := []uint64{r.send("shop", events.Normal, "first", nil)}
	r.ends(seqs...)
	r.resize(broker.Intents, 1)
	for i := range 100 {
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint(i), nil))
	}
	r.eventually(func() string {
		if !d.intending.Lasts() {
			return "intents are stored"
		}
		return ""
	})
	stop() // a new owner cannot take over, either
	second := &noisy{}
	r.start(second.configure)
	r.eventually(func() string {
		if second.said("intents cannot be stored") == 0 {
			return "the new owner has not tried"
		}
		return ""
	})
	if got := len(r.desk.made()); got != 1 {
		t.Errorf("%d calls, want no other than the first", got)
	}
	r.resize(broker.Intents, -1)
	for _, end := range r.ends(seqs...) {
		if end.State != events.StateAccepted {
			t.Errorf("request %d ended as %s, want accepted", end.Seq, end.State)
		}
	}
	if twice := r.desk.twice(); len(twice) > 0 {
		t.Errorf("called twice: %v", twice)
	}
	if n.said("intents cannot be stored") != 1 {
		t.Errorf("said %d times that it cannot store intents, want once a minute", n.said("intents cannot be stored"))
	}
}

// The answer of a call that was under way when the broker went is given up
// when the broker might have forgotten another owner's word about it. The
// request then ends as unknown: not lost, and not called again.
func TestAnAnswerThatTheBrokerNeverGotIsUnknown(t *testing.T) {
	r := newRig(t)
	n := &noisy{}
	d := r.dispatcher(r.b.Connect(), func(c *Config) {
		n.configure(c)
		c.DedupWindow, c.Lease = 100*time.Millisecond, shortLease
	})
	r.run(d)
	hold := make(chan struct{})
	r.desk.mu.Lock()
	r.desk.hold = hold
	r.desk.mu.Unlock()
	seqs := []uint64{r.send("shop", events.Normal, "under-way", nil)}
	r.eventually(func() string {
		if len(r.desk.made()) == 0 {
			return "not called"
		}
		return ""
	})
	r.b.Stop()
	r.desk.mu.Lock()
	r.desk.hold = nil
	r.desk.mu.Unlock()
	close(hold)
	r.eventually(func() string {
		if n.failed.Load() == 0 || waiting(d) > 0 {
			return "the answer is not given up:\n" + n.text()
		}
		return ""
	})
	r.b.Restart()
	r.eventually(func() string {
		if r.b.Conn.Status() != nats.CONNECTED {
			return "not connected"
		}
		return ""
	})
	seqs = append(seqs, r.send("shop", events.Normal, "after", nil))
	ends := r.ends(seqs...)
	if ends[0].State != events.StateUnknown || ends[1].State != events.StateAccepted {
		t.Errorf("ended as %s and %s, want unknown and accepted", ends[0].State, ends[1].State)
	}
	if got := len(r.desk.made()); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
}
