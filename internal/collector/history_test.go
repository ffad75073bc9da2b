package collector_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// attempt returns the result of one call of the request at seq, which follows
// the one stored at prev. The request ends with it if the state is final.
func attempt(t *testing.T, seq, prev uint64, call int, state events.State) *ledger.Result {
	r := &ledger.Result{
		Seq: seq, Call: call, Attempt: call, Step: 1, Request: original(t, sendRequest(fmt.Sprintf("s-%d", seq))), Prev: prev,
		Answer: &channels.Answer{Status: 503, StartedMS: start + int64(call)}, State: state, AtMS: start + int64(call) + 1,
		Why: events.Why{Class: "retry", Reason: "unavailable", ProviderText: fmt.Sprintf("busy %d", call)},
	}
	if state.Final() {
		r.Dead = ledger.DeadRefused
	}
	return r
}

func TestRun_DeadLettersTellEveryAttempt(t *testing.T) {
	g := newRig(t)
	last := uint64(0) // in RESULTS
	store := func(r *ledger.Result) {
		t.Helper()
		g.store(r)
		last++
	}
	for call := range 40 {
		prev := last
		if call == 0 {
			prev = 0
		}
		store(attempt(t, 1, prev, call+1, events.StateDeferred))
	}
	store(attempt(t, 1, last, 41, events.StateFailed))

	store(attempt(t, 2, 7, 3, events.StateFailed))         // its results have a place of another request's
	store(attempt(t, 3, last+1000, 9, events.StateFailed)) // its own has aged out
	store(attempt(t, 4, 0, 1, events.StateFailed))

	g.run(g.config())
	g.collected()
	letters := map[uint64]*ledger.DeadLetter{}
	for _, m := range g.All(broker.Dead) {
		d, err := ledger.DecodeDeadLetter(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		letters[d.Seq] = d
	}
	for seq, want := range map[uint64]struct {
		calls   []int
		missing string
	}{
		1: {append([]int{1, 2, 3, 4, 5}, calls(20, 41)...), ""},
		2: {[]int{3}, "the record before is not one of this request"},
		3: {[]int{9}, "they have left the stream"},
		4: {[]int{1}, ""},
	} {
		d := letters[seq]
		if d == nil {
			t.Fatalf("request %d has no dead letter", seq)
		}
		var got []int
		for _, a := range d.Attempts {
			got = append(got, a.Call)
			if a.AtMS != start+int64(a.Call) || a.Why.HTTPStatus != 503 || a.Why.ProviderText != fmt.Sprintf("busy %d", a.Call) {
				t.Errorf("request %d: attempt %+v", seq, a)
			}
		}
		if !slices.Equal(got, want.calls) || d.Missing != want.missing {
			t.Errorf("request %d: calls %v, missing %q; want %v, %q", seq, got, d.Missing, want.calls, want.missing)
		}
	}
}

func calls(from, to int) (all []int) {
	for n := from + 1; n <= to; n++ {
		all = append(all, n)
	}
	return all
}
