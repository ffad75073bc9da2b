package deadletter

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/renew"
	"github.com/tramhq/tram/pkg/events"
)

// newID is the id of the request that l is redriven as. It is always the same.
func newID(l *Letter) string {
	return "redrive-" + events.DeterministicID(l.Event.Source, l.Event.ID, l.key())
}

// again returns the request of l to publish anew, as d says.
func again(l *Letter, d *Decision) (*nats.Msg, error) {
	m, err := renew.Request(l.Event, d.NewID, d.Class, d.At(), d.ExpiresMS)
	if err != nil {
		return nil, fmt.Errorf("redrive dead letter %d: %w", l.ID, err)
	}
	return m, nil
}

// A RefusedError says why a letter is not redriven.
type RefusedError struct {
	Letter uint64
	Why    string // a sentence, the same for all letters of which it is true
}

func (e *RefusedError) Error() string { return fmt.Sprintf("dead letter %d: %s", e.Letter, e.Why) }

// Reasons for which letters are not redriven.
const (
	whyMalformed = "its event is malformed and would be refused again: correct its producer, publish it anew, and drop the letter"
	whyUnknown   = "nobody knows whether it was carried out: find out, then tell `tram dead resolve --sent` or `--not-sent`, or `--resend` to risk a second one"
	whyCarried   = "it was carried out, only what came of it could not be told in full: redriving it would carry it out again"
)

// A checker knows which letters can be redriven.
type checker struct {
	unknown   bool // letters of unknown ends, too
	contracts *renew.Contracts
}

// check returns a [*RefusedError] if l is not to be redriven, or another error
// if that cannot be found out.
func (c *checker) check(ctx context.Context, l *Letter) error {
	refuse := func(why string) error { return &RefusedError{l.ID, why} }
	switch {
	case l.Fault != nil:
		return refuse(whyMalformed)
	case l.Group == ledger.DeadUnknown && !c.unknown:
		return refuse(whyUnknown)
	case l.Group == ledger.DeadAnswer && l.Event.Kind != events.KindReport:
		return refuse(whyCarried)
	}
	why, err := c.contracts.Refuses(ctx, l.Event)
	if err == nil && why != "" {
		err = refuse(why)
	}
	return err
}
