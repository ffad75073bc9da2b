package dispatcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// A backlog that only the stream holds, and urgent requests in the midst of it.
func TestUrgentPassesABacklog(t *testing.T) {
	r := newRig(t)
	const perSecond = 4
	r.start(func(c *Config) {
		c.Accounts[0].Limits = ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(perSecond)}}
	})
	for i := range 20 * queueItems {
		r.send("shop", events.Bulk, fmt.Sprint("b", i), nil)
	}
	for i := range 3 {
		id := fmt.Sprint("urgent", i)
		before := len(r.desk.made())
		seq := r.send("shop", events.Urgent, id, nil)
		r.ends(seq)
		at := slices.IndexFunc(r.desk.made(), func(c call) bool { return strings.HasPrefix(c.body, "09"+id) })
		// One may have been on its way; the others are a second's worth, for a
		// machine with other things to do.
		if passed := at - before; passed > 1+perSecond {
			t.Errorf("%d bulk sends went before an urgent one", passed)
		}
	}
}

func TestNormalAndBulkShareByWeight(t *testing.T) {
	r := newRig(t)
	for i := range 4 * queueItems {
		r.send("shop", events.Normal, fmt.Sprint("n", i), nil)
		r.send("shop", events.Bulk, fmt.Sprint("b", i), nil)
	}
	r.start(func(c *Config) {
		c.Accounts[0].Limits = ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(200)}}
	})
	const looked = 3 * queueItems
	var first []call
	r.eventually(func() string {
		if first = r.desk.made(); len(first) < looked {
			return fmt.Sprintf("%d calls, want %d", len(first), looked)
		}
		return ""
	})
	bulk := 0
	for _, c := range first[:looked] {
		if strings.HasPrefix(c.body, "09b") {
			bulk++
		}
	}
	if want := looked / bulkTurn; bulk < want-8 || bulk > want+8 {
		t.Errorf("%d of %d calls were bulk, want about %d", bulk, looked, want)
	}
}

// bareLane is a lane at which the test looks, and no crew.
func bareLane() *lane {
	d := &Dispatcher{crew: newCrew(0, nil), intake: &intake{space: space{most: maxHeld}}}
	p := &partition{d: d, intents: &intentLog{}, maxAge: time.Hour, past: newHistory()}
	return newLane(p, laneKey{provider: "fake", account: "shop"}, nil, 0)
}

func (l *lane) next(now time.Time) (*entry, int, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nextLocked(now)
}

func waitingAt(seq uint64) *broker.Stored {
	return &broker.Stored{Seq: seq, Time: time.Now(), Subject: "odd"}
}

func TestWhatWaitsOfOneClassTakesNoRoomFromTheOthers(t *testing.T) {
	for full := range 3 {
		l := bareLane()
		l.begun[full] = maxOpen // all of them wait for another try
		for class := range 3 {
			l.offer(class, waitingAt(uint64(class+1)), false)
		}
		var picked []int
		for {
			e, _, _ := l.next(time.Now())
			if e == nil {
				break
			}
			picked = append(picked, e.class)
		}
		want := slices.DeleteFunc([]int{0, 1, 2}, func(c int) bool { return c == full })
		if !slices.Equal(picked, want) {
			t.Errorf("with class %d full: picked classes %v, want %v", full, picked, want)
		}
	}
}

// The pages of a report are ready whenever the lane looks.
func TestPagesOfAReportAndNewRequestsTakeTurns(t *testing.T) {
	l := bareLane()
	report := newEntry(waitingAt(1), 1)
	l.openLocked(report)
	l.ready[1] = []*entry{report}
	for seq := range uint64(3) {
		l.offer(1, waitingAt(seq+2), false)
	}
	var order []uint64
	for range 7 {
		e, _, _ := l.next(time.Now())
		order = append(order, e.msg.Seq)
		if e == report {
			l.ready[1] = []*entry{report}
		}
	}
	if want := []uint64{1, 2, 1, 3, 1, 4, 1}; !slices.Equal(order, want) {
		t.Errorf("picked %v, want %v", order, want)
	}
}

// What is read from the stream first must not hold up what is ready.
func TestAReadThatFindsNothingHoldsNothingUp(t *testing.T) {
	l := bareLane()
	report := newEntry(waitingAt(1), 1)
	l.openLocked(report)
	l.ready[1], l.fresh[1] = []*entry{report}, true
	l.skipTo(1, 9, false)
	if e, fetch, _ := l.next(time.Now()); e != nil || fetch != 1 {
		t.Fatalf("got entry %v, class to read %d, want class 1", e, fetch)
	}
	if e, _, _ := l.next(time.Now()); e != report {
		t.Errorf("got %v, want the page that is ready", e)
	}
}
