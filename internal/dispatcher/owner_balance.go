package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// A balancer brings what is held to this member's share.
type balancer struct {
	*Owner
	leases *broker.Leases
	member *broker.Member
	lease  context.Context
	gone   map[string]bool     // members that will not come back
	seen   map[string]sighting // of the others
}

// A sighting is the last renewal of a member that was seen, and when it was
// new, by our clock.
type sighting struct {
	renewed uint64
	at      time.Time
}

func (b *balancer) balance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Lease)
	defer cancel()
	defer context.AfterFunc(b.lease, cancel)()
	v, err := b.leases.View(ctx)
	if err != nil {
		return err
	}
	if err := b.evict(ctx, v, time.Now()); err != nil {
		return err
	}
	free, counts, err := b.sift(ctx, v)
	if err != nil {
		return err
	}
	want := share(counts, b.member.ID(), b.cfg.Partitions)
	b.dropStolen(v)
	want -= b.shed(want)
	for _, n := range free {
		if want <= 0 {
			break
		}
		took, err := b.claim(ctx, n, v.Claims[n])
		if err != nil {
			return err
		}
		if took {
			want--
		}
	}
	return nil
}

// evict ends the membership of those that have not renewed it for longer than a
// lease. A member stops working before its lease ends by its own clock, and what
// it renews after this is refused, so it is gone whatever the server believes.
func (b *balancer) evict(ctx context.Context, v broker.View, now time.Time) error {
	maps.DeleteFunc(b.seen, func(id string, _ sighting) bool { return v.Renewed[id] == 0 })
	for id, renewed := range v.Renewed {
		s, known := b.seen[id]
		if id == b.member.ID() || known && s.renewed == renewed && now.Sub(s.at) < b.cfg.Lease+b.cfg.Lease/3 {
			continue
		}
		b.seen[id] = sighting{renewed: renewed, at: now}
		if !known || s.renewed != renewed {
			continue
		}
		evicted, err := b.member.Evict(ctx, id, renewed)
		if err != nil {
			return err
		}
		if evicted {
			b.log.Warn("member evicted: it was dead, and the broker kept it", "member", id)
		}
	}
	return nil
}

// sift returns the partitions that nobody holds, in random order so that
// members do not run after the same one, and how many each live member holds.
func (b *balancer) sift(ctx context.Context, v broker.View) (free []int, counts map[string]int, err error) {
	counts = map[string]int{b.member.ID(): 0}
	for _, id := range v.Members {
		counts[id] = 0
	}
	b.mu.Lock()
	busy := maps.Clone(b.held)
	b.mu.Unlock()
	for _, n := range rand.Perm(b.cfg.Partitions) {
		c := v.Claims[n]
		if c.Member != "" && c.Member != b.member.ID() {
			if _, live := counts[c.Member]; !live && !b.gone[c.Member] {
				if b.gone[c.Member], err = b.leases.Gone(ctx, c.Member); err != nil {
					return nil, nil, err
				}
			}
			if !b.gone[c.Member] {
				counts[c.Member]++
				continue
			}
		}
		if h := busy[n]; h == nil {
			free = append(free, n)
		} else if h.member == b.member {
			counts[b.member.ID()]++
		}
	}
	return free, counts, nil
}

// share returns how many of n partitions member id is to hold. All get the same
// number or one more; those that hold the most already get the one more, so an
// even spread stays as it is.
func share(counts map[string]int, id string, n int) int {
	ids := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	each, more := n/len(ids), n%len(ids)
	if slices.Index(ids, id) < more {
		each++
	}
	return each
}

// dropStolen drops what another member has claimed since: it saw this one as
// gone.
func (b *balancer) dropStolen(v broker.View) {
	b.mu.Lock()
	var stolen []int
	for n, h := range b.held {
		if h.member == b.member && h.state == open && v.Claims[n].Revision > h.epoch {
			h.state = ending
			stolen = append(stolen, n)
		}
	}
	held := maps.Clone(b.held)
	b.mu.Unlock()
	for _, n := range stolen {
		b.log.Warn("partition claimed by another member", "partition", n)
		b.parts.Drop(n)
		b.finish(n, held[n])
	}
}

// shed begins to end what is beyond the share, what is still being opened
// first, and returns how many partitions are held and stay.
func (b *balancer) shed(want int) (stay int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var mine []int
	for n, h := range b.held {
		if h.member == b.member && h.state != ending && h.want.Err() == nil {
			mine = append(mine, n)
		}
	}
	slices.SortFunc(mine, func(x, y int) int {
		return cmp.Or(-cmp.Compare(b.held[x].state, b.held[y].state), cmp.Compare(x, y))
	})
	stay = min(len(mine), want)
	for _, n := range mine[stay:] {
		b.end(n)
	}
	return stay
}

// claim tries to take a partition and begins to open it. It reports false if
// another member was faster or if it is too early to try again.
func (b *balancer) claim(ctx context.Context, n int, seen broker.Claim) (bool, error) {
	b.mu.Lock()
	early := time.Now().Before(b.failed[n].until)
	b.mu.Unlock()
	if early {
		return false, nil
	}
	epoch, err := b.member.Claim(ctx, n, seen)
	if errors.Is(err, broker.ErrClaimed) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h := &holding{member: b.member, epoch: epoch, lease: b.lease}
	h.want, h.unwant = context.WithCancel(b.lease)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(n, h)
	return true, nil
}
