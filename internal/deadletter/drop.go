package deadletter

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Drop removes letters for good. It keeps those that are being dealt with by
// somebody else at this moment, and returns why.
func (b *Box) Drop(ctx context.Context, letters ...*Letter) (kept []*DecidedError, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(removals)
	for _, l := range letters {
		g.Go(func() error {
			d, err := b.decided(ctx, l)
			if err != nil {
				return err
			}
			if d != nil && time.Since(d.At()) < b.abandoned {
				mu.Lock()
				defer mu.Unlock()
				kept = append(kept, &DecidedError{l.ID, *d})
				return nil
			}
			return b.remove(ctx, l.ID)
		})
	}
	err = g.Wait()
	return kept, err
}
