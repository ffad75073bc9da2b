package deadletter

import (
	"context"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

const maxPatience = 2 * time.Minute

// insist calls fn until it succeeds, is refused, or the box's patience is at its
// end.
func (b *Box) insist(ctx context.Context, what string, fn func(context.Context) error) error {
	return broker.Insist(ctx, b.patience, what, fn)
}
