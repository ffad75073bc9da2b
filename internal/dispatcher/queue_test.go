package dispatcher

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tramhq/tram/internal/broker"
)

// Whatever the order in which the feed offers and jumps, sweeps bring, the lane takes
// and the lane reads from the stream: every request is taken once, in order.
func TestQueueTakesEveryRequestOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			q        queue
			stream   []*broker.Stored // what the broker has
			fed      int              // how much of it the feed has offered, or jumped over
			swept    int              // how much of it sweeps have brought
			sweeping bool
			got      []uint64
			size     = rapid.SampledFrom([]int{10, 100_000}).Draw(t, "size")
			follows  = rapid.Bool().Draw(t, "follows") // a sweep, where a queue falls behind
		)
		read := func() {
			for _, m := range stream {
				if m.Seq > q.head && !q.full() {
					q.push(m)
				}
			}
		}
		feed := func(n int) {
			for ; n > 0 && fed < len(stream); n-- {
				if !sweeping && follows && q.falls(stream[fed]) {
					sweeping, swept = true, fed
				}
				q.offer(stream[fed], sweeping)
				fed++
			}
		}
		sweep := func(n int) {
			for ; sweeping && n > 0; n-- {
				if swept == fed {
					sweeping = false
					break
				}
				q.sweep(stream[swept])
				swept++
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "n") {
					seq := uint64(3*len(stream) + 1) // other accounts' requests lie between
					stream = append(stream, &broker.Stored{Seq: seq, Data: make([]byte, size)})
				}
			},
			"feed": func(t *rapid.T) { feed(rapid.IntRange(1, 100).Draw(t, "n")) },
			"jump": func(t *rapid.T) {
				if fed == len(stream) {
					return
				}
				q.skip(stream[len(stream)-1])
				if !sweeping {
					sweeping, swept = true, fed
				}
				fed = len(stream)
			},
			"sweep": func(t *rapid.T) { sweep(rapid.IntRange(1, 100).Draw(t, "n")) },
			"waste": func(*rapid.T) {
				if sweeping {
					sweeping = false
					q.forsake()
				}
			},
			"take": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "n") {
					if q.peek() == nil && q.behind() && rapid.Bool().Draw(t, "reads") {
						read()
					}
					if q.peek() != nil {
						got = append(got, q.take().Seq)
					}
				}
			},
			"": func(t *rapid.T) {
				if q.bytes > int64(queueBytes+size+unpackedSize) {
					t.Fatalf("queue holds %d bytes", q.bytes)
				}
				if n := len(q.items); n > queueItems {
					t.Fatalf("queue holds %d requests", n)
				}
				if !sweeping && q.behind() && !q.alone() {
					t.Fatalf("nobody brings what is between %d and %d", q.head, q.skipped)
				}
			},
		})
		feed(len(stream))
		sweep(len(stream) + 1)
		for !q.idle() {
			if q.peek() == nil {
				read()
			}
			got = append(got, q.take().Seq)
		}
		var want []uint64
		for _, m := range stream {
			want = append(want, m.Seq)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("took %v, want %v", got, want)
		}
		if q.taken != q.known() {
			t.Fatalf("taken up to %d, known up to %d", q.taken, q.known())
		}
	})
}

// Thousands of accounts hold a few requests each, and those whose requests are
// taken get back to more.
func TestQueuesShareTheirRoom(t *testing.T) {
	const accounts, size = 1000, 500
	r := space{most: maxHeld}
	queues := make([]*queue, accounts)
	seq := uint64(0)
	for i := range queues {
		queues[i] = &queue{space: &r}
		for range queueItems {
			seq++
			queues[i].offer(&broker.Stored{Seq: seq, Data: make([]byte, size)}, false)
		}
	}
	if most := int64(maxHeld + (accounts*fewItems+queueItems)*(size+unpackedSize)); r.held.Load() > most {
		t.Errorf("%d queues hold %d bytes, want %d at most", accounts, r.held.Load(), most)
	}
	now := time.Now()
	if got := queues[0].nextChunk(now); got != fewItems {
		t.Errorf("reads %d without room, want %d", got, fewItems)
	}
	for i, q := range queues {
		if len(q.items) < fewItems {
			t.Fatalf("a queue holds %d requests, want %d at least", len(q.items), fewItems)
		}
		if i%2 == 0 { // its partition goes
			q.starve(now)
			q.leaveSpace()
		}
		for q.peek() != nil {
			q.take()
		}
	}
	if hungry := r.hungry.Load(); hungry != 0 {
		t.Errorf("%d queues hunger that are gone", hungry)
	}
	if held := r.held.Load(); held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 128}, {chunkSoon / 2, 256}, {2 * chunkSoon, 256}, {10 * chunkSoon, 128}, {time.Hour, 64}} {
		now = now.Add(c.after)
		if got := queues[0].nextChunk(now); got != c.want {
			t.Errorf("reads %d after %s, want %d", got, c.after, c.want)
		}
	}
}
