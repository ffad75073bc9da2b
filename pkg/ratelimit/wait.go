package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Wait returns when a call of the given cost may start. Callers pass in the
// order in which they called. It returns an error, and has taken nothing, when
// ctx is done first or when the cost can never pass ([ErrCost]).
func (l *Limiter) Wait(ctx context.Context, cost int) error {
	turn := l.line()
	defer l.leave()
	if err := turn.enter(ctx); err != nil {
		return err
	}
	defer turn.leave()
	for !l.Take(time.Now(), cost) {
		wait, changed, err := l.look(cost)
		if err != nil {
			return err
		}
		if err := pause(ctx, wait, changed); err != nil {
			return err
		}
	}
	return nil
}

// TryWait lets a call of the given cost pass if that takes no waiting, neither
// for the limit nor for callers before this one.
func (l *Limiter) TryWait(cost int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting == 0 && l.take(time.Now(), cost)
}

// line has the caller wait in line until it leaves.
func (l *Limiter) line() turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting++
	if l.turn == nil {
		l.turn = make(turn, 1)
	}
	return l.turn
}

func (l *Limiter) leave() {
	l.mu.Lock()
	l.waiting--
	l.mu.Unlock()
}

// look returns how long cost has to wait, and what is closed when that may have
// changed.
func (l *Limiter) look(cost int) (time.Duration, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fits(cost); err != nil {
		return 0, nil, err
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return time.Until(l.due(cost)), l.changed, nil
}

// pause returns after d, or at once when changed is closed.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
	return ctxError(ctx)
}

// A turn is a lock that is handed on in the order of asking, which the runtime
// does for senders on a channel.
type turn chan struct{}

func (t turn) enter(ctx context.Context) error {
	if err := ctxError(ctx); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctxError(ctx)
	}
}

func (t turn) leave() { <-t }

func ctxError(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("wait for the limit: %w", context.Cause(ctx))
}
