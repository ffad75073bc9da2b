package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A contender does the work with processes of its own.
type contender interface {
	// setUp makes what its processes and producers need on the broker.
	setUp(ctx context.Context, r *rig) error

	// send is send number i, as it is published.
	send(i int) (*nats.Msg, error)

	// start starts its processes, in an order of its own.
	start(ctx context.Context, r *rig) ([]*process, error)

	// notices are the stream and the subjects of the deliveries.
	notices() (stream, filter string)
}

// contenderOf returns the contender of that name.
func (b *bench) contenderOf(name string, s scenario) (contender, error) {
	switch name {
	case "bare-std":
		return loopContender{scenario: s, std: true}, nil
	case "tram":
		return &tram{scenario: s, programs: b.programs, profile: b.profile}, nil
	}
	return nil, fmt.Errorf("there is no contender of that name")
}

// A loopContender is the loop by hand.
type loopContender struct {
	scenario
	std bool
}

func (c loopContender) setUp(ctx context.Context, r *rig) error { return setUpLoop(ctx, r.js) }

// setUpLoop makes streams with the properties that tram's have.
func setUpLoop(ctx context.Context, js jetstream.JetStream) error {
	for name, subject := range map[string]string{loopSends: "bench.send.*", loopResults: "bench.result.*", loopNotices: "bench.notice.*"} {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, AllowDirect: true,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c loopContender) send(i int) (*nats.Msg, error) { return loopSend(i, c.accounts) }

// loopSend is a send without tram's headers.
func loopSend(i, accounts int) (*nats.Msg, error) {
	_, m, err := encodeSend(i, accounts)
	if err != nil {
		return nil, err
	}
	return &nats.Msg{Subject: "bench.send." + account(i%accounts), Data: m.Data}, nil
}

func (c loopContender) start(_ context.Context, r *rig) ([]*process, error) {
	var all []*process
	for _, role := range []string{"collect", "dispatch"} {
		p, err := myself(r.dir, role, "loop", "-role", role, "-broker", r.broker, "-provider", r.provider,
			"-inflight", strconv.Itoa(c.inflight), "-std="+strconv.FormatBool(c.std))
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (c loopContender) notices() (stream, filter string) { return loopNotices, "bench.notice.*" }
