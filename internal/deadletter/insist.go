package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
)

const (
	maxPatience = 2 * time.Minute
	tryTimeout  = 5 * time.Second
	maxWait     = 2 * time.Second
)

// insist calls fn until it succeeds, is refused, or the box's patience is at its
// end.
func (b *Box) insist(ctx context.Context, what string, fn func(context.Context) error) error {
	started := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, maxWait) {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := fn(try)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case refused(err) || time.Since(started) > b.patience:
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// refused reports whether doing the same again a moment later cannot help.
func refused(err error) bool {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.Code == 400 || broker.IsWrongSequence(err) || e.ErrorCode == codeFull
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed)
}

// codeFull is the error of a stream that has no room.
const codeFull = 10077
