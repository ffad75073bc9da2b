package collector

import (
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// A History is what a dead letter tells of the calls before its result.
type History struct {
	Attempts []ledger.Attempt // oldest first; gaps in their numbers are left out
	Missing  string           // why calls before the first are not there; "" if none are
}

// A dead letter tells so many calls before its own: of a report with thousands
// of pages, or a send that was throttled for days, how it began and what came
// last say enough.
const (
	firstAttempts = 5
	lastAttempts  = 20
	maxWalk       = 1000
)

// readHistory follows the results of r's request back from r. What has aged
// out, or is not what it should be, ends the history and is said in it; an error
// means that the broker could not be asked.
func readHistory(ctx context.Context, read *broker.Reader, r *ledger.Result) (History, error) {
	var h History
	for prev := r.Prev; prev != 0; {
		if len(h.Attempts) == maxWalk {
			h.Missing = "left out"
			break
		}
		m, err := read.Get(ctx, broker.Results, prev)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			h.Missing = "they have left the stream"
			break
		}
		if err != nil {
			return History{}, err
		}
		before, err := ledger.DecodeResult(m.Data)
		if err != nil || before.Seq != r.Seq || before.Prev >= prev {
			h.Missing = "the record before is not one of this request"
			break
		}
		h.Attempts = append(h.Attempts, ledger.AttemptOf(before))
		prev = before.Prev
	}
	slices.Reverse(h.Attempts)
	if n := len(h.Attempts); n > firstAttempts+lastAttempts {
		h.Attempts = slices.Delete(h.Attempts, firstAttempts, n-lastAttempts)
	}
	return h, nil
}
