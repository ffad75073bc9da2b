package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// Errors of an import that is refused.
var (
	ErrNotEmpty = errors.New("the stream is not empty: an import is for a broker of its own, made by tram setup")
	ErrAtWork   = errors.New("dispatchers are at work: they would carry imported requests out")
)

// A Reading is an import.
type Reading struct {
	JS jetstream.JetStream

	// Anyway imports into streams that are not empty, and beside dispatchers.
	Anyway bool
}

// Read is what an import has done.
type Read struct {
	Stored    int
	Duplicate int // rows whose ids the stream had already
}

// atOnce bounds how many rows wait for the broker's acknowledgement.
const atOnce = 500

// Read stores rows as [Write] has written them, in order. Their sequences are
// those that come next in their streams, and their times are now.
func (r *Reading) Read(ctx context.Context, from io.Reader) (done Read, err error) {
	if err := r.admit(ctx); err != nil {
		return done, err
	}
	rows := json.NewDecoder(from)
	js, err := jetstream.New(r.JS.Conn(), jetstream.WithPublishAsyncMaxPending(2*atOnce), jetstream.WithPublishAsyncTimeout(10*time.Second))
	if err != nil {
		return done, fmt.Errorf("import: %w", err)
	}
	defer js.CleanupPublisher()
	var batch []jetstream.PubAckFuture
	settle := func() error {
		for _, f := range batch {
			select {
			case ack := <-f.Ok():
				done.Stored++
				if ack.Duplicate {
					done.Stored--
					done.Duplicate++
				}
			case err := <-f.Err():
				return fmt.Errorf("import row %d: %w", done.Stored+done.Duplicate+1, err)
			}
		}
		batch = batch[:0]
		return context.Cause(ctx)
	}
	for n := 1; ; n++ {
		var row Row
		if err := rows.Decode(&row); errors.Is(err, io.EOF) {
			return done, settle()
		} else if err != nil {
			return done, fmt.Errorf("read row %d: %w", n, err)
		}
		m, err := message(&row)
		if err != nil {
			return done, fmt.Errorf("read row %d: %w", n, err)
		}
		f, err := js.PublishMsgAsync(m)
		if err != nil {
			return done, fmt.Errorf("import row %d: %w", n, err)
		}
		if batch = append(batch, f); len(batch) == atOnce {
			if err := settle(); err != nil {
				return done, err
			}
		}
	}
}

// admit makes sure that nobody is hurt: masked recipients look like real ones.
func (r *Reading) admit(ctx context.Context) error {
	for _, stream := range []string{broker.Requests, broker.Intents, broker.Results, broker.Events, broker.Dead} {
		s, err := r.JS.Stream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("import: %w: %w", events.ErrNotSetUp, err)
		}
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if s.CachedInfo().State.Msgs > 0 && !r.Anyway {
			return fmt.Errorf("import into %s: %w", stream, ErrNotEmpty)
		}
	}
	if r.Anyway {
		return nil
	}
	_, err := r.JS.Conn().RequestWithContext(ctx, broker.StatusSubject, []byte(`{"none":true}`))
	if errors.Is(err, nats.ErrNoResponders) {
		return nil
	}
	if err == nil {
		err = ErrAtWork
	}
	return fmt.Errorf("import: %w", err)
}

// message is what has to be published for a row to be stored.
func message(row *Row) (*nats.Msg, error) {
	m := nats.NewMsg(row.Subject)
	if row.Stream == broker.Requests { // it stores them under other subjects
		stored, err := broker.ParseStored(row.Subject)
		if err != nil {
			return nil, err
		}
		m.Subject = stored.Public().String()
	}
	if row.Stream == "" || row.Subject == "" {
		return nil, errors.New("it has no stream or no subject: is it a row of tram export?")
	}
	m.Data = row.Body
	for name, values := range row.Headers {
		// What a publisher expected of the stream, or told it to do, was for then.
		if name != jetstream.MsgIDHeader && strings.HasPrefix(strings.ToLower(name), "nats-") {
			continue
		}
		m.Header[name] = values
	}
	m.Header.Set(jetstream.ExpectedStreamHeader, row.Stream)
	return m, nil
}
