package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// newID is the id of the request that l is redriven as. It is always the same.
func newID(l *Letter) string {
	return "redrive-" + events.DeterministicID(l.Event.Source, l.Event.ID, l.key())
}

// renew returns the request of l to publish anew, as d says.
func renew(l *Letter, d *Decision) (*nats.Msg, error) {
	r := *l.Event
	r.AncestorID = cmp.Or(r.AncestorID, r.ID)
	r.ID, r.Class, r.Time = d.NewID, d.Class, d.At()
	timing := events.Timing{ExpiresAtMS: d.ExpiresMS}
	switch {
	case r.Send != nil:
		s := *r.Send
		s.Timing, r.Send = timing, &s
	case r.Report != nil:
		s := *r.Report
		s.Timing, r.Report = timing, &s
	case r.Command != nil:
		s := *r.Command
		s.Timing, r.Command = timing, &s
	}
	m, err := events.EncodeRequest(&r)
	if err != nil {
		return nil, fmt.Errorf("redrive dead letter %d: %w", l.ID, err)
	}
	m.Header.Set(jetstream.ExpectedStreamHeader, broker.Requests)
	return m, nil
}

// expiry is when the request of l expires that is published now: in as long as
// is said, or else when it would have, or never if that has passed.
func expiry(l *Letter, now time.Time, in time.Duration) int64 {
	switch {
	case in > 0:
		return now.Add(in).UnixMilli()
	case l.Event.Expired(now):
		return 0
	}
	return l.Event.Timing().ExpiresAtMS
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

// A checker knows which letters can be redriven. It asks for the contract of
// each account once.
type checker struct {
	box       *Box
	unknown   bool // letters of unknown ends, too
	contracts map[[2]string]contract
}

type contract struct {
	events.Contract
	missing error // an *events.InvalidError
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
	got, err := c.contract(ctx, l.Provider, l.Account)
	if err != nil {
		return err
	}
	err = got.missing
	if err == nil {
		err = got.Check(l.Event)
	}
	if err != nil {
		return refuse(fmt.Sprintf("it would be refused again: %v", err))
	}
	return nil
}

func (c *checker) contract(ctx context.Context, provider, account string) (contract, error) {
	key := [2]string{provider, account}
	if known, ok := c.contracts[key]; ok {
		return known, nil
	}
	var got contract
	err := c.box.insist(ctx, "read contract", func(ctx context.Context) error {
		var err error
		got.Contract, err = c.box.directory.Contract(ctx, provider, account)
		if invalid, ok := errors.AsType[*events.InvalidError](err); ok {
			got.missing, err = invalid, nil
		}
		return err
	})
	if err == nil {
		c.contracts[key] = got
	}
	return got, err
}
