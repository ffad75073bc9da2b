package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Leases is how the dispatchers share partitions, in the bucket TRAM_OWNERS:
//
//	m.<id>  a member; expires unless renewed
//	p.<n>   partition n, claimed by the member whose id it holds
//
// One key expires per member, not one per partition, so a member loses all it
// has in one moment that it can know beforehand, and renewing costs one message
// whatever it holds. A partition is free when its key is gone or when the
// member that it names is. Members never come back: who lost the lease joins
// under another id.
type Leases struct {
	js    jetstream.JetStream
	read  *Reader
	lease time.Duration
}

const (
	ownersStream = "KV_" + OwnersBucket
	ownersPrefix = "$KV." + OwnersBucket + "."
	joined       = "joined" // value of a member's key until it is renewed
)

// NewLeases returns the leases of a broker. The server counts in whole seconds,
// so lease is one or more of them.
func NewLeases(js jetstream.JetStream, lease time.Duration) (*Leases, error) {
	if lease < time.Second || lease%time.Second != 0 {
		return nil, fmt.Errorf("lease is %s, want whole seconds", lease)
	}
	return &Leases{js: js, read: NewReader(js), lease: lease}, nil
}

// A View is who holds what.
type View struct {
	Members []string          // sorted
	Renewed map[string]uint64 // revision of each member's key, which every renewal changes
	Claims  map[int]Claim
}

// A Claim is the state of one partition. The zero value was never claimed.
type Claim struct {
	Member   string // "" when released
	Revision uint64
}

// View reads the bucket. It may be a moment old.
func (l *Leases) View(ctx context.Context) (View, error) {
	v := View{Renewed: make(map[string]uint64), Claims: make(map[int]Claim)}
	for from, pending := uint64(1), uint64(1); pending > 0; {
		msgs, left, err := l.read.NextBySubject(ctx, ownersStream, ownersPrefix+">", from, maxBatch)
		if err != nil {
			return View{}, err
		}
		for _, m := range msgs {
			from = m.Seq + 1
			key := strings.TrimPrefix(m.Subject, ownersPrefix)
			if id, ok := strings.CutPrefix(key, "m."); ok {
				if v.Renewed[id] = m.Seq; marker(m) {
					delete(v.Renewed, id)
				}
			} else if p, ok := strings.CutPrefix(key, "p."); ok {
				n, err := strconv.Atoi(p)
				if err != nil {
					return View{}, fmt.Errorf("read %s: key %q names no partition", OwnersBucket, key)
				}
				c := Claim{Revision: m.Seq}
				if !marker(m) {
					c.Member = string(m.Data)
				}
				v.Claims[n] = c
			}
		}
		if pending = left; len(msgs) == 0 {
			break
		}
	}
	v.Members = slices.Sorted(maps.Keys(v.Renewed))
	return v, nil
}

// marker reports whether m says that its key is gone.
func marker(m *Stored) bool {
	return m.Header.Get("KV-Operation") != "" || m.Header.Get(jetstream.MarkerReasonHeader) != ""
}

// Gone reports whether member id has left or expired, as the leader knows it: a
// replica that is behind may not have seen its last renewals.
func (l *Leases) Gone(ctx context.Context, id string) (bool, error) {
	m, err := l.read.Last(ctx, ownersStream, ownersPrefix+"m."+id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return marker(m), nil
}

// Watch calls changed when a member has come or gone or a partition was
// released, until ctx is done. What happens while the broker is away may go
// untold.
func (l *Leases) Watch(ctx context.Context, changed func()) {
	// The messages that are there already are told as well: once is enough.
	NewFeed(l.js, ownersStream, ownersPrefix+">", 1, func(m *Stored, _ uint64) {
		if marker(m) || string(m.Data) == joined {
			changed()
		}
	}).Run(ctx) //nolint:errcheck // ends with ctx only
}

// put writes a key that must be at revision, or not exist if that is 0.
func (l *Leases) put(ctx context.Context, key, value string, revision uint64, header ...string) (uint64, error) {
	m := nats.NewMsg(ownersPrefix + key)
	m.Data = []byte(value)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	ack, err := l.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
