// Package renew makes of a request that has ended another one, to be published
// anew: by `tram dead redrive` and `tram replay requests`.
package renew

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// Request returns r as it is published anew: under an id of its own, with the
// first one's as its ancestor, and with no other timing than when it expires (0:
// never).
func Request(r *events.Request, id string, class events.Class, at time.Time, expiresMS int64) (*nats.Msg, error) {
	again := *r
	again.AncestorID = cmp.Or(r.AncestorID, r.ID)
	again.ID, again.Class, again.Time = id, class, at
	timing := events.Timing{ExpiresAtMS: expiresMS}
	switch {
	case r.Send != nil:
		s := *r.Send
		s.Timing, again.Send = timing, &s
	case r.Report != nil:
		s := *r.Report
		s.Timing, again.Report = timing, &s
	case r.Command != nil:
		s := *r.Command
		s.Timing, again.Command = timing, &s
	}
	m, err := events.EncodeRequest(&again)
	if err != nil {
		return nil, err
	}
	m.Header.Set(jetstream.ExpectedStreamHeader, broker.Requests)
	return m, nil
}

// Expiry is when r expires that is published now, in unix milliseconds: in as
// long as is said, or else when it would have, or never if that has passed.
func Expiry(r *events.Request, now time.Time, in time.Duration) int64 {
	switch {
	case in > 0:
		return now.Add(in).UnixMilli()
	case r.Expired(now):
		return 0
	}
	return r.Timing().ExpiresAtMS
}

// Contracts knows what accounts take now. It asks for each account once, and is
// safe for concurrent use.
type Contracts struct {
	directory *events.Directory
	patience  time.Duration

	mu    sync.Mutex
	known map[[2]string]contract
}

type contract struct {
	events.Contract
	missing error // an *events.InvalidError
}

// NewContracts returns contracts of the relay that js leads to. While the broker
// is away it is asked again for as long as patience lasts.
func NewContracts(js jetstream.JetStream, patience time.Duration) *Contracts {
	return &Contracts{directory: events.NewDirectory(js), patience: patience, known: map[[2]string]contract{}}
}

// Refuses says why r would be refused if it were published now: a sentence, or
// "" if its account takes it.
func (c *Contracts) Refuses(ctx context.Context, r *events.Request) (string, error) {
	got, err := c.contract(ctx, r.Provider, r.Account)
	if err != nil {
		return "", err
	}
	refused := got.missing
	if refused == nil {
		refused = got.Check(r)
	}
	if refused != nil {
		return fmt.Sprintf("it would be refused again: %v", refused), nil
	}
	return "", nil
}

func (c *Contracts) contract(ctx context.Context, provider, account string) (contract, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{provider, account}
	if known, ok := c.known[key]; ok {
		return known, nil
	}
	var got contract
	err := broker.Insist(ctx, c.patience, "read contract", func(ctx context.Context) error {
		var err error
		got.Contract, err = c.directory.Contract(ctx, provider, account)
		if invalid, ok := errors.AsType[*events.InvalidError](err); ok {
			got.missing, err = invalid, nil
		}
		return err
	})
	if err == nil {
		c.known[key] = got
	}
	return got, err
}
