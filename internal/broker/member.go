package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrLeaseLost says that a member can no longer be sure of its lease.
var ErrLeaseLost = errors.New("lease lost")

// ErrClaimed says that a partition is not as it was seen: another member has
// claimed it.
var ErrClaimed = errors.New("partition was claimed by another member")

// A Member holds partitions as long as its lease lasts.
type Member struct {
	l  *Leases
	id string

	mu       sync.Mutex
	revision uint64
	deadline time.Time
}

// Join makes a member. The id must never have been one.
func (l *Leases) Join(ctx context.Context, id string) (*Member, error) {
	m := &Member{l: l, id: id}
	if err := m.renew(ctx, joined); err != nil {
		return nil, fmt.Errorf("join as %s: %w", id, err)
	}
	return m, nil
}

// ID returns the member's id.
func (m *Member) ID() string { return m.id }

// Deadline returns until when the member is sure of its lease. After it,
// nothing may begin that the holder of a partition alone may do. It is ahead of
// the moment at which others can take over, by a fifth of the lease, and read
// on the monotonic clock.
func (m *Member) Deadline() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deadline
}

// renew extends the lease. It counts from before the message was sent, because
// the server's count begins when it arrives.
func (m *Member) renew(ctx context.Context, value string) error {
	m.mu.Lock()
	revision := m.revision
	m.mu.Unlock()
	sent := time.Now()
	revision, err := m.l.put(ctx, "m."+m.id, value, revision, jetstream.MsgTTLHeader, m.l.lease.String())
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision, m.deadline = revision, sent.Add(m.l.lease-m.l.lease/5)
	return nil
}

// Keep renews the lease until ctx is done, and returns nil then. It returns
// [ErrLeaseLost] as soon as the lease is known to be lost, at the deadline at
// the latest. A renewal that fails otherwise is tried again until then.
func (m *Member) Keep(ctx context.Context) error {
	every := m.l.lease / 3
	for wait := every; ; {
		left := time.Until(m.Deadline())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(wait, left)):
		}
		if left = time.Until(m.Deadline()); left <= 0 {
			return ErrLeaseLost
		}
		try, cancel := context.WithTimeout(ctx, min(every, left))
		err := m.renew(try, "")
		if IsWrongSequence(err) {
			err = m.settle(try)
		}
		cancel()
		switch {
		case errors.Is(err, ErrLeaseLost):
			return err
		case err != nil:
			wait = every / 10
		default:
			wait = every
		}
	}
}

// settle decides what a refused renewal means: that an earlier one was stored
// although its answer was lost, or that the key has expired.
func (m *Member) settle(ctx context.Context) error {
	last, err := m.l.read.Last(ctx, ownersStream, ownersPrefix+"m."+m.id)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && marker(last):
		return ErrLeaseLost
	case err != nil:
		return err
	}
	m.mu.Lock()
	m.revision = last.Seq // nobody else writes this key
	m.mu.Unlock()
	return m.renew(ctx, "") // when the earlier one was sent is not known
}

// Leave ends the membership at once: what the member still holds is free.
func (m *Member) Leave(ctx context.Context) error {
	if err := m.l.purge(ctx, m.id); err != nil {
		return fmt.Errorf("leave as %s: %w", m.id, err)
	}
	return nil
}

// Evict ends the membership of another member, whose last renewal is at the
// given revision. It reports false if the member has renewed since, or is gone.
//
// The server does it by itself when the lease ends. But one that was killed can
// come back with keys that it had let expire, and never lets them expire again.
func (m *Member) Evict(ctx context.Context, id string, renewed uint64) (bool, error) {
	err := m.l.purge(ctx, id, jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(renewed, 10))
	switch {
	case IsWrongSequence(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("evict %s: %w", id, err)
	}
	return true, nil
}

// purge puts a marker in the place of a member's key.
func (l *Leases) purge(ctx context.Context, id string, header ...string) error {
	msg := nats.NewMsg(ownersPrefix + "m." + id)
	msg.Header.Set("KV-Operation", "PURGE")
	msg.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	msg.Header.Set(jetstream.MsgTTLHeader, l.lease.String())
	for i := 0; i < len(header); i += 2 {
		msg.Header.Set(header[i], header[i+1])
	}
	_, err := l.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	return err
}

// Claim takes partition n if its state is still seen, and returns the claim's
// revision: greater than that of any claim before. The error wraps
// [ErrClaimed] if its state is another.
func (m *Member) Claim(ctx context.Context, n int, seen Claim) (epoch uint64, err error) {
	epoch, err = m.l.put(ctx, partitionKey(n), m.id, seen.Revision)
	if IsWrongSequence(err) {
		err = ErrClaimed
	}
	if err != nil {
		return 0, fmt.Errorf("claim partition %d: %w", n, err)
	}
	return epoch, nil
}

// Release frees partition n, claimed with epoch. The error wraps [ErrClaimed]
// if another member has claimed it since.
func (m *Member) Release(ctx context.Context, n int, epoch uint64) error {
	_, err := m.l.put(ctx, partitionKey(n), "", epoch, "KV-Operation", "DEL")
	if IsWrongSequence(err) {
		err = ErrClaimed
	}
	if err != nil {
		return fmt.Errorf("release partition %d: %w", n, err)
	}
	return nil
}

func partitionKey(n int) string { return "p." + strconv.Itoa(n) }
