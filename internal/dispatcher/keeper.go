package dispatcher

import (
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// A keeper keeps the groups whose home is its partition. Like the limiters of
// accounts they start empty with each owner, and only when the places are over
// that the owner before may have given: two owners after each other together
// give no more than one.
type keeper struct {
	p    *partition
	nc   *nats.Conn
	name string
	zero time.Time // of its clock

	mu    sync.Mutex
	gone  bool
	rooms map[string]*room // by group
}

type room struct {
	*ratelimit.Group
	sub *nats.Subscription
}

func newKeeper(p *partition, nc *nats.Conn) *keeper {
	return &keeper{p: p, nc: nc, name: nuid.Next(), zero: time.Now(), rooms: make(map[string]*room)}
}

// keep makes the groups be those that are configured now.
func (k *keeper) keep(groups map[string]ratelimit.Limits) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return nil
	}
	maps.DeleteFunc(k.rooms, func(name string, r *room) bool {
		_, stays := groups[name]
		if !stays {
			_ = r.sub.Unsubscribe() // fails only on a closed connection
		}
		return !stays
	})
	for name, limits := range groups {
		if broker.GroupPartition(name, k.p.d.cfg.Partitions) != k.p.n {
			continue
		}
		if r := k.rooms[name]; r != nil {
			if err := r.Update(limits); err != nil {
				return err
			}
			continue
		}
		r := &room{Group: ratelimit.NewGroup(limits)}
		r.Cooldown(time.Now().Add(placesAhead + ratelimit.GroupPlay))
		sub, err := k.nc.Subscribe(broker.GroupSubject(name), func(m *nats.Msg) { k.answer(r, m) })
		if err != nil {
			return err
		}
		r.sub = sub
		k.rooms[name] = r
	}
	return nil
}

// answer gives places, unless the lease does not last for them: the next owner
// may give the same ones. Who gets no answer asks again.
func (k *keeper) answer(r *room, m *nats.Msg) {
	now := time.Now()
	if !k.p.mayCall() || k.p.d.owner.Deadline().Sub(now) < placesAhead {
		return
	}
	var q placesQuestion
	if err := json.Unmarshal(m.Data, &q); err != nil {
		return // no dispatcher has asked this
	}
	a := placesAnswer{Keeper: k.name, Now: int64(now.Sub(k.zero))}
	last := now.Add(placesAhead)
	for range max(1, min(q.Places, maxPlaces)) {
		at, ok := r.Reserve(now, last)
		if !ok {
			a.AgainIn = int64(at.Sub(last))
			break
		}
		a.Places = append(a.Places, int64(at.Sub(k.zero)))
	}
	data, err := json.Marshal(a)
	if err != nil {
		return
	}
	_ = m.Respond(data) // fails only on a closed connection
}

// close gives no more places.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	for _, r := range k.rooms {
		_ = r.sub.Unsubscribe()
	}
	clear(k.rooms)
}
