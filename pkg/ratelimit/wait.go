package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Wait returns when a call of the given cost may start. Callers pass in the
// order in which they called; members of a group whose own limits let them pass
// take turns at the group in the same way. It returns an error, and has taken
// nothing, when ctx is done first or when the cost can never pass ([ErrCost]).
func (l *Limiter) Wait(ctx context.Context, cost int) error {
	if err := l.turn.enter(ctx); err != nil {
		return err
	}
	defer l.turn.leave()
	for {
		group, err := l.waitOwn(ctx, cost)
		if err != nil {
			return err
		}
		if group == nil {
			if l.Take(time.Now(), cost) {
				return nil
			}
			continue
		}
		if passed, err := l.waitGroup(ctx, group, cost); passed || err != nil {
			return err
		}
	}
}

// waitOwn waits for the limiter's own windows, so that a member that cannot
// pass anyway does not hold up its group. It returns the group.
func (l *Limiter) waitOwn(ctx context.Context, cost int) (*Group, error) {
	for {
		wait, changed, err := l.look(cost)
		if err != nil {
			return nil, err
		}
		if wait <= 0 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.group, ctxError(ctx)
		}
		if err := pause(ctx, wait, changed, nil); err != nil {
			return nil, err
		}
	}
}

// waitGroup waits for the group and takes from both. It gives up, false, when
// the limiter's own windows have closed meanwhile.
func (l *Limiter) waitGroup(ctx context.Context, group *Group, cost int) (bool, error) {
	if err := group.turn.enter(ctx); err != nil {
		return false, err
	}
	defer group.turn.leave()
	for {
		own, changed, err := l.look(cost)
		if own > 0 || err != nil {
			return false, err
		}
		wait, groupChanged, err := group.look(cost)
		if err != nil {
			return false, err
		}
		if wait <= 0 {
			return l.Take(time.Now(), cost), nil
		}
		if err := pause(ctx, wait, changed, groupChanged); err != nil {
			return false, err
		}
	}
}

// look returns how long cost has to wait at this gate, and what is closed when
// that may have changed.
func (g *gate) look(cost int) (time.Duration, <-chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.fits(cost); err != nil {
		return 0, nil, err
	}
	return time.Until(g.due(cost)), g.changed, nil
}

// pause returns after d, or at once when either channel is closed.
func pause(ctx context.Context, d time.Duration, a, b <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a:
	case <-b:
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
