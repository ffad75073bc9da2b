package broker

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MoveOn makes nc go to another server of its cluster if err, of a request to
// JetStream, says that nobody has served it. A server that is cut off from the
// others keeps its clients and answers their pings, so they would stay with it
// for as long as that lasts. It does nothing where there is one server only, or
// when nc is looking for one already.
//
// A cluster that elects a leader does not serve for some seconds either. To move
// on then does no good, and little harm: what waits for an answer is asked again.
func MoveOn(nc *nats.Conn, err error) {
	if unserved(err) && len(nc.Servers()) > 1 && nc.IsConnected() {
		_ = nc.ForceReconnect() // fails only on a closed connection
	}
}

// codeInProcess is the error for a message id whose message is being stored. A
// leader that is cut off says so for as long as it takes itself for the leader.
const codeInProcess = 10158

func unserved(err error) bool {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.Code == 503 || e.ErrorCode == codeInProcess
	}
	for _, e := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
