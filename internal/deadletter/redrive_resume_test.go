package deadletter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A process may die after any of the three steps, and the next one come when
// the broker has forgotten all ids.
func TestRedriveGoesOnAfterADeath(t *testing.T) {
	r := newRig(t)
	j := r.job(func(j *Job) { j.UpTo = 1 << 40 })
	decide := func(l *Letter) decided {
		after, err := r.box.lastSeq(t.Context(), broker.Requests)
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.box.decide(t.Context(), l, Decision{Action: Redriven, AtMS: time.Now().UnixMilli(), Run: "dead", After: after, NewID: newID(l), Class: events.Normal})
		if err != nil {
			t.Fatal(err)
		}
		return decided{l, d}
	}
	publish := func(d decided) {
		m, err := again(d.Letter, &d.Decision)
		if err != nil {
			t.Fatal(err)
		}
		r.Publish(m)
	}
	untouched, begun, published := r.bury(send(1), nil), r.bury(send(2), nil), r.bury(send(3), nil)
	j.UpTo = 3
	decide(begun)
	publish(decide(published))
	r.forget()

	told := r.redrive(j)
	for l, want := range map[*Letter]string{untouched: AsRedriven, begun: AsRedriven, published: AsGone} {
		if got := told[l.ID]; got.As != want {
			t.Errorf("letter %d: %+v, want %s", l.ID, got, want)
		}
	}
	all := r.requests() // fails when one is there twice
	if len(all) != 3 {
		t.Errorf("%d requests, want 3", len(all))
	}
	if got := all[newID(begun)]; got == nil || got.Class != events.Normal {
		t.Errorf("what was decided in another class is published as %+v", got)
	}
	if left := r.letters(); left != nil {
		t.Errorf("letters left: %v", left)
	}
	// A replay of results may make a letter again. It is known.
	if _, err := r.JS.Publish(t.Context(), broker.DeadSubject("refused", "fake", "shop"), r.encoded(untouched)); err != nil {
		t.Fatal(err)
	}
	r.redrive(r.job(nil))
	if n := len(r.requests()); n != 3 || r.letters() != nil {
		t.Errorf("after the letter was made again: %d requests, letters %v", n, r.letters())
	}
}

// A process may die after any number of steps, or halfway through one: with what
// it has published not removed yet.
func TestRedriveGoesOnAfterAnyStep(t *testing.T) {
	for _, c := range []struct {
		steps   int
		halfway bool
	}{{0, false}, {1, false}, {1, true}, {2, false}, {2, true}, {3, false}} {
		t.Run(fmt.Sprintf("%d steps, halfway %v", c.steps, c.halfway), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var groups [5][]*Letter
			for i := range 10 {
				groups[i/2] = append(groups[i/2], r.bury(send(i), nil))
			}
			j := r.job(nil)
			dead := r.begin(j)
			for _, group := range groups[:c.steps] {
				if err := dead.step(t.Context(), t.Context(), group); err != nil {
					t.Fatal(err)
				}
			}
			if c.halfway {
				dead.job = &Job{Rate: 1, Class: j.Class} // half a step is a second
				killed, kill := context.WithCancel(t.Context())
				kill()
				if err := dead.step(killed, t.Context(), groups[c.steps]); !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v", err)
				}
			}
			r.flush()
			dead.pub.Close()
			r.forget()
			r.redrive(j)
			if got := len(r.requests()); got != 10 { // fails when one is there twice
				t.Errorf("%d requests, want 10", got)
			}
			if left := r.letters(); left != nil {
				t.Errorf("letters left: %v", left)
			}
		})
	}
}

func TestRedriveStopsAndGoesOn(t *testing.T) {
	r := newRig(t)
	const n = 300
	for i := range n {
		r.bury(send(i), nil)
	}
	j := r.job(nil)
	ctx, stop := context.WithCancel(t.Context())
	done := 0
	err := r.box.Redrive(ctx, j, func(Told) {
		if done++; done == n/3 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	jobs, err := r.box.Jobs(t.Context())
	if err != nil || len(jobs) != 1 || jobs[0].ID != j.ID || jobs[0].UpTo != n {
		t.Fatalf("unfinished: %+v, %v", jobs, err)
	}
	if published, left := len(r.requests()), len(r.letters()); published+left != n {
		t.Errorf("stopped with %d requests and %d letters: what has begun is not ended", published, left)
	}
	if left, err := r.box.Left(t.Context(), j); err != nil || left != len(r.letters()) {
		t.Errorf("%d left, %v, want %d", left, err, len(r.letters()))
	}
	r.redrive(jobs[0])
	if got := len(r.requests()); got != n {
		t.Errorf("%d requests, want %d", got, n)
	}
	if left := r.letters(); left != nil {
		t.Errorf("letters left: %v", left)
	}
}

// What a dead run has left is not kept for the end: the longer ago its decisions
// are, the more of REQUESTS has to be read.
func TestRedriveTakesOverOnItsWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 60 // at 200/s they outlast what is abandoned by far
	for i := range n {
		r.bury(send(i), nil)
	}
	first, err := r.box.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.box.decide(t.Context(), first, Decision{Action: Redriven, AtMS: time.Now().UnixMilli(), Run: "dead", NewID: newID(first), Class: events.Bulk}); err != nil {
		t.Fatal(err)
	}
	var order []uint64
	err = r.box.Redrive(t.Context(), r.job(func(j *Job) { j.Rate = 200 }), func(told Told) {
		if order = append(order, told.Letter.ID); told.As != AsRedriven {
			t.Errorf("told %+v", told)
		}
	})
	if err != nil || len(order) != n || len(r.requests()) != n {
		t.Fatalf("%d told, %d published, want %d: %v", len(order), len(r.requests()), n, err)
	}
	if order[n-1] == first.ID {
		t.Error("the letter that was left came last")
	}
}

// A run that is to stop does not wait for a broker that is away.
func TestRedriveStopsWithoutTheBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 100 {
		r.bury(send(i), nil)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- r.box.Redrive(ctx, r.job(nil), func(Told) { once.Do(func() { r.Stop(); stop() }) })
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(r.box.patience): // far longer than it may take
		t.Error("it goes on")
	}
}

// Whatever was on its way when the broker died is stored once.
func TestRedriveOutlastsTheBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(*broker.Streams) {})
	const n = 300
	for i := range n {
		r.bury(send(i), nil)
	}
	done := 0
	err := r.box.Redrive(t.Context(), r.job(nil), func(told Told) {
		if done++; done == n/3 {
			r.Stop()
			r.Restart()
		}
		if told.As != AsRedriven && told.As != AsGone { // gone if the broker was away for long
			t.Errorf("told %+v", told)
		}
	})
	if err != nil || done != n {
		t.Fatalf("%d done, want %d: %v", done, n, err)
	}
	if got := len(r.requests()); got != n {
		t.Errorf("%d requests, want %d", got, n)
	}
	if left := r.letters(); left != nil {
		t.Errorf("letters left: %v", left)
	}
}

func TestTwoPeopleRedriveTheSame(t *testing.T) {
	r := newRig(t)
	const n = 200
	for i := range n {
		r.bury(send(i), nil)
	}
	var running sync.WaitGroup
	for range 3 {
		j, box := r.job(nil), r.open()
		box.abandoned = time.Second
		running.Go(func() {
			if err := box.Redrive(t.Context(), j, func(told Told) {
				if told.As != AsRedriven && told.As != AsGone {
					t.Errorf("told %+v", told)
				}
			}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if got := len(r.requests()); got != n {
		t.Errorf("%d requests, want %d", got, n)
	}
	if left := r.letters(); left != nil {
		t.Errorf("letters left: %v", left)
	}
}
