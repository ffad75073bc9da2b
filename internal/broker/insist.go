package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	insistTimeout = 5 * time.Second
	insistWait    = 2 * time.Second
)

// Insist calls fn until it succeeds, is refused for good, or patience is at its
// end. What stores something under an id can be repeated so, as long as patience
// is well under the time for which the broker remembers ids.
func Insist(ctx context.Context, patience time.Duration, what string, fn func(context.Context) error) error {
	started := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, insistWait) {
		try, cancel := context.WithTimeout(ctx, insistTimeout)
		err := fn(try)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case hopeless(err) || time.Since(started) > patience:
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// hopeless reports whether doing the same again a moment later cannot help.
func hopeless(err error) bool {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.Code == 400 || IsWrongSequence(err) || e.ErrorCode == codeFull
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// codeFull is the error of a stream that has no room.
const codeFull = 10077
