package dispatcher

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// A queueing is a provider that works on so many calls at once, each for as long
// as latency says, while others wait. Its clock is its own.
type queueing struct {
	slots   int
	latency func(operation string) time.Duration
	timeout time.Duration // 0: none

	at      time.Time
	working busy
	waiting []visit
	turn    int
}

type visit struct {
	operation   string
	from, until time.Time
}

type busy []visit

func (b busy) Len() int           { return len(b) }
func (b busy) Less(i, j int) bool { return b[i].until.Before(b[j].until) }
func (b busy) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busy) Push(x any)        { *b = append(*b, x.(visit)) }
func (b *busy) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}

// unbounded is more slots than any test has calls at once.
const unbounded = 1 << 20

func newQueueing(slots int, least, most time.Duration) *queueing {
	r := rand.New(rand.NewPCG(uint64(slots), 1))
	return &queueing{slots: slots, latency: func(string) time.Duration {
		return least + time.Duration(r.Int64N(int64(most-least)))
	}}
}

// run keeps the provider as busy as c allows for a time, with the operations in
// turns, and returns how many calls ended.
func (q *queueing) run(c *concurrency, lasts time.Duration, operations ...string) (ended int) {
	operations = append(operations, "send")
	for end := q.at.Add(lasts); ; ended++ {
		for c.allows(len(q.working) + len(q.waiting)) {
			q.turn++
			q.waiting = append(q.waiting, visit{operation: operations[q.turn%len(operations)], from: q.at})
		}
		for len(q.waiting) > 0 && len(q.working) < q.slots {
			next := q.waiting[0]
			q.waiting = q.waiting[1:]
			next.until = q.at.Add(q.latency(next.operation))
			heap.Push(&q.working, next)
		}
		if q.working[0].until.After(end) {
			q.at = end
			return ended
		}
		v := heap.Pop(&q.working).(visit)
		q.at = v.until
		end := endedCall{c, v.operation, q.at}
		if took := q.at.Sub(v.from); q.timeout > 0 && took > q.timeout {
			end.timedOut(took)
		} else {
			end.after(took)
		}
	}
}

type endedCall struct {
	c         *concurrency
	operation string
	at        time.Time
}

func (e endedCall) after(took time.Duration) {
	e.c.ended(e.operation, &channels.Answer{TookUS: took.Microseconds()}, channels.Verdict{Class: channels.OK}, e.at)
}

func (e endedCall) timedOut(took time.Duration) {
	e.c.ended(e.operation, &channels.Answer{TookUS: took.Microseconds(), Failure: channels.FailTimeout},
		channels.Verdict{Class: channels.Ambiguous, ProviderFault: true}, e.at)
}

func TestConcurrencySettlesAtWhatTheProviderWorksOn(t *testing.T) {
	for _, slots := range []int{1, 2, 5, 20, 100} {
		for jitter, least := range map[string]time.Duration{"steady": 39 * time.Millisecond, "jitter": 20 * time.Millisecond} {
			t.Run(fmt.Sprint(slots, " ", jitter), func(t *testing.T) {
				most := 80*time.Millisecond - least
				q, c := newQueueing(slots, least, most), newConcurrency(10_000)
				q.run(c, 15*time.Second)
				highest, ended := 0.0, 0
				const looks = 250
				for range looks {
					ended += q.run(c, 40*time.Millisecond)
					highest = max(highest, c.now)
				}
				if use := float64(ended) / looks / float64(slots); use < 0.95 {
					t.Errorf("the provider was busy for %.1f %% of the time, want 95 at least", 100*use)
				}
				// How long calls take when few are under way, it cannot know of a
				// provider that works on fewer than it begins with.
				if bound := max(2*float64(slots), 12); highest > bound {
					t.Errorf("up to %.1f calls at once, want %.0f at most", highest, bound)
				}
			})
		}
	}
}

func TestConcurrencyReachesItsMaximumWithinASecond(t *testing.T) {
	for _, most := range []int{1, 2, 16, 1024} {
		q, c := newQueueing(unbounded, 48*time.Millisecond, 52*time.Millisecond), newConcurrency(most)
		q.run(c, time.Second)
		if c.limit() != most {
			t.Errorf("limit %d after a second, want %d", c.limit(), most)
		}
	}
}

func TestConcurrencyIsNotPutOffByJitter(t *testing.T) {
	for _, most := range []int{1, 2, 4, 16, 64, 1024} {
		q, c := newQueueing(unbounded, 20*time.Millisecond, 60*time.Millisecond), newConcurrency(most)
		q.run(c, time.Second)
		lasts := time.Minute
		if most > 100 {
			lasts = 5 * time.Second // there are as many calls in it
		}
		n := q.run(c, lasts)
		if use := float64(n) * 0.040 / lasts.Seconds() / float64(most); use < 0.95 {
			t.Errorf("%.1f %% of what %d at once can do, want 95 at least", 100*use, most)
		}
	}
}

func TestConcurrencyFollowsAProviderThatChanges(t *testing.T) {
	q, c := newQueueing(unbounded, 30*time.Millisecond, 50*time.Millisecond), newConcurrency(64)
	q.run(c, 10*time.Second)
	q.slots = 5
	q.run(c, 20*time.Second)
	if c.limit() > 20 {
		t.Errorf("limit %d for a provider that works on 5 at once", c.limit())
	}
	q.slots = unbounded
	q.run(c, 5*time.Second)
	if c.limit() < 55 {
		t.Errorf("limit %d after the provider has recovered, want about 64", c.limit())
	}
}

// Fewer calls at once would not make this provider faster.
func TestConcurrencyStaysWhenTheProviderIsSlowByItself(t *testing.T) {
	q, c := newQueueing(unbounded, 30*time.Millisecond, 50*time.Millisecond), newConcurrency(64)
	q.run(c, 10*time.Second)
	q.latency = newQueueing(unbounded, 700*time.Millisecond, 900*time.Millisecond).latency
	q.run(c, 15*time.Second)
	if n := q.run(c, time.Minute); float64(n)*0.8/60 < 0.95*64 {
		t.Errorf("%.1f calls under way on average, want 64", float64(n)*0.8/60)
	}
}

func TestConcurrencyMeasuresEachOperationByItself(t *testing.T) {
	q, c := newQueueing(unbounded, time.Millisecond, 2*time.Millisecond), newConcurrency(32)
	q.latency = func(operation string) time.Duration {
		if operation == "report" {
			return 2 * time.Second
		}
		return 40 * time.Millisecond
	}
	q.run(c, 30*time.Second, "report")
	least := c.limit()
	for range 100 {
		q.run(c, 100*time.Millisecond, "report")
		least = min(least, c.limit())
	}
	if least < 32 {
		t.Errorf("limit fell to %d because some calls take longer than others", least)
	}
}

func TestConcurrencyFallsWhileCallsTimeOut(t *testing.T) {
	q, c := newQueueing(20, 30*time.Millisecond, 50*time.Millisecond), newConcurrency(1000)
	q.run(c, 5*time.Second)
	q.timeout = 10 * time.Millisecond // as if nothing came back any more
	q.run(c, 5*time.Second)
	if c.limit() != 1 {
		t.Errorf("limit %d while all calls time out, want 1", c.limit())
	}
	q.timeout = 0
	q.run(c, 5*time.Second)
	if c.limit() < 20 {
		t.Errorf("limit %d after all is well again, want 20 at least", c.limit())
	}
}

func TestConcurrencyIgnoresWhatSaysNothing(t *testing.T) {
	c := newConcurrency(64)
	end := endedCall{c, "send", time.Unix(0, 0)}
	for range 1000 { // it is never full
		end.at = end.at.Add(time.Second)
		end.after(40 * time.Millisecond)
	}
	if c.limit() != startConcurrency {
		t.Errorf("limit %d though it was never reached", c.limit())
	}
	for range 1000 {
		end.at = end.at.Add(time.Second)
		c.allows(64)
		c.ended("send", &channels.Answer{TookUS: 10}, channels.Verdict{Class: channels.Throttled}, end.at)
		c.ended("send", &channels.Answer{TookUS: 10}, channels.Verdict{Class: channels.Retry, ProviderFault: true}, end.at)
	}
	if c.limit() != startConcurrency {
		t.Errorf("limit %d after refusals alone", c.limit())
	}
	for i := range 1000 {
		end.at = end.at.Add(time.Second)
		c.allows(64)
		if i%64 == 63 {
			end.timedOut(3 * time.Second)
		} else {
			end.after(40 * time.Millisecond)
		}
	}
	if c.limit() != 64 {
		t.Errorf("limit %d with a call now and then that hangs, want 64", c.limit())
	}
	if c.setMost(8); c.limit() != 8 {
		t.Errorf("limit %d after the configuration lowered it to 8", c.limit())
	}
}
