package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// An Action is what was decided about a letter.
type Action string

const (
	Redriven Action = "redriven" // published anew
	Sent     Action = "sent"     // carried out, as a person has found out
	NotSent  Action = "not_sent" // not carried out, the same
)

// A Decision is stored before it is carried out, and is never changed: of two
// people who decide about the same request the first one holds.
type Decision struct {
	Action Action `json:"action"`
	AtMS   int64  `json:"at"` // unix milliseconds, of whoever decided
	Run    string `json:"run"`

	// After is the last sequence that the stream had before in which the effect
	// is looked for: REQUESTS, or RESULTS.
	After uint64 `json:"after"`

	// Of a redrive: what the new request is made with, so that whoever goes on
	// makes the same.
	NewID     string       `json:"new_id,omitempty"`
	Class     events.Class `json:"class,omitempty"`
	ExpiresMS int64        `json:"expires_at,omitempty"`
}

func (d *Decision) At() time.Time { return time.UnixMilli(d.AtMS) }

// A DecidedError says that somebody has decided about a letter already.
type DecidedError struct {
	Letter   uint64
	Decision Decision
}

func (e *DecidedError) Error() string {
	at := e.Decision.At().Local().Format(time.DateTime)
	if e.Decision.Action == Redriven {
		return fmt.Sprintf("dead letter %d was redriven at %s, as request %s", e.Letter, at, e.Decision.NewID)
	}
	return fmt.Sprintf("dead letter %d was resolved as %s at %s", e.Letter, e.Decision.Action, at)
}

const decisionsPrefix = "$KV." + broker.DecisionsBucket + "."

// about is d as a message, which is stored unless there is a decision about l.
func (d *Decision) about(l *Letter) (*nats.Msg, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("store decision: %w", err)
	}
	m := nats.NewMsg(decisionsPrefix + l.key())
	m.Data = data
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	return m, nil
}

// decide stores d as the decision about l, unless there is one. It returns the
// one that holds.
func (b *Box) decide(ctx context.Context, l *Letter, d Decision) (Decision, error) {
	m, err := d.about(l)
	if err != nil {
		return Decision{}, err
	}
	return (&deciding{&sending{Box: b, m: m}, l, d}).held(ctx)
}

// A deciding is a decision on its way to the broker.
type deciding struct {
	*sending
	letter *Letter
	wanted Decision
}

// held returns the decision that holds.
func (d *deciding) held(ctx context.Context) (Decision, error) {
	_, err := d.stored(ctx, "store decision")
	if err == nil {
		return d.wanted, nil
	}
	if !broker.IsWrongSequence(err) {
		return Decision{}, err
	}
	// There is one. It may be this very one, if an answer was lost.
	before, err := d.decided(ctx, d.letter)
	if err != nil {
		return Decision{}, err
	}
	if before == nil {
		return Decision{}, errors.New("store decision: refused, though there is none")
	}
	return *before, nil
}

// decided returns the decision about l, or nil.
func (b *Box) decided(ctx context.Context, l *Letter) (*Decision, error) {
	return b.Decision(ctx, l.Seq, l.Request.TimeMS)
}

// Decision returns what was decided about the letter of a request, named by its
// place in REQUESTS and when it was stored there, or nil. It is there longer than
// the letter.
func (b *Box) Decision(ctx context.Context, seq uint64, publishedMS int64) (*Decision, error) {
	m, err := b.read.Last(ctx, "KV_"+broker.DecisionsBucket, decisionsPrefix+requestKey(seq, publishedMS))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read decision: %w", err)
	}
	d := new(Decision)
	if err := json.Unmarshal(m.Data, d); err != nil {
		return nil, fmt.Errorf("read decision: %w", err)
	}
	return d, nil
}
