package dispatcher

import "testing"

// A replica that is far behind the leader tells what the newest requests were some
// time ago. What the owner before has worked since is not handed out again.
func TestAPartitionJoinsWhereItsCheckpointIsThoughAReplicaIsBehind(t *testing.T) {
	r := newRig(t)
	d := r.dispatcher(r.b.Conn, nil)
	join := func(n int, fed, upTo uint64) *partition {
		p := newPartition(d, n, 1)
		p.cancels = newCancels(p, &checkpoint{Feed: fed})
		p.fed.Store(fed)
		d.intake.join(p, newest{upTo: upTo})
		return p
	}
	at := func(what string, p *partition, fed, next uint64) {
		t.Helper()
		if got := p.fed.Load(); got != fed || d.intake.feed.Next() != next {
			t.Errorf("%s: it has been handed all up to %d, and the feed goes on at %d, want %d and %d", what, got, d.intake.feed.Next(), fed, next)
		}
	}
	at("behind the checkpoint", join(0, 100, 50), 100, 101)
	at("the feed is further on", join(1, 20, 70), 70, 71)
	at("the feed is not there yet", join(2, 20, 90), 90, 71)
}

// A lane that has been told of nothing says so in its next checkpoint, wherever it
// begins.
func TestALaneThatLacksNothingIsNotBehindInItsCheckpoint(t *testing.T) {
	l := bareLane()
	l.queues[1].skipped = 5 // it was
	l.nothingUpTo(9)
	for i, want := range []struct {
		head, taken uint64
		behind      bool
	}{{9, 9, false}, {0, 0, true}, {9, 9, false}} {
		if q := &l.queues[i]; q.head != want.head || q.taken != want.taken || q.behind() != want.behind {
			t.Errorf("queue %d: head %d, taken %d, behind %t, want %+v", i, q.head, q.taken, q.behind(), want)
		}
	}
}
