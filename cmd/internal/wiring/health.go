package wiring

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ops"
)

var errNotConnected = errors.New("no server is connected")

// Reachable checks that a server is connected and that the streams are there,
// which their leaders say: a stream without one cannot be written. What they say
// of their size is told to m.
func Reachable(js jetstream.JetStream, m *ops.Metrics) ops.Check {
	return func(ctx context.Context) error {
		if !js.Conn().IsConnected() {
			return errNotConnected
		}
		for _, name := range []string{broker.Requests, broker.Later, broker.Intents, broker.Results, broker.Events, broker.Dead} {
			stream, err := js.Stream(ctx, name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("there is no stream %s: create it with `tram setup`", name)
			}
			if err != nil {
				return fmt.Errorf("stream %s does not answer: %w", name, err)
			}
			info := stream.CachedInfo()
			m.Stream(name, info.State.Msgs, info.State.Bytes, info.Config.MaxBytes)
		}
		return nil
	}
}
