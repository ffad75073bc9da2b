package broker_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

func TestMoveOn_StaysWithAServerThatServes(t *testing.T) {
	nc := brokertest.Start(t).ConnectCutOff()
	for _, err := range []error{nil, context.Canceled, jetstream.ErrStreamNotFound, &jetstream.APIError{Code: 400}} {
		if broker.MoveOn(nc, err); !nc.IsConnected() {
			t.Errorf("moved on after %v", err)
		}
	}
}

func TestMoveOn_LeavesAServerThatDoesNot(t *testing.T) {
	b := brokertest.Start(t)
	for _, err := range []error{
		fmt.Errorf("join: %w", context.DeadlineExceeded), nats.ErrTimeout, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
		&jetstream.APIError{Code: 409, ErrorCode: 10158},
	} {
		nc := b.ConnectCutOff()
		broker.MoveOn(nc, err)
		brokertest.Eventually(t, fmt.Sprintf("it leaves after %v", err), func() bool { return nc.ConnectedUrl() == b.URL })
	}
}

func TestMoveOn_StaysWithTheOnlyServer(t *testing.T) {
	nc := brokertest.Start(t).Connect()
	if broker.MoveOn(nc, nats.ErrTimeout); !nc.IsConnected() {
		t.Error("left it")
	}
}
