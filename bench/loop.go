package main

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The loop by hand: what one would write without tram, as fast as it can be
// made, without any of its features. A crash calls twice what was under way.

// The streams of the loop, and of those who do the same with a framework.
const (
	loopSends   = "BENCH_SENDS"
	loopResults = "BENCH_RESULTS"
	loopNotices = "BENCH_NOTICES"
)

// newLoop returns the contender whose processes are a hidden command that
// works on the loop's streams.
func newLoop(s scenario, command string, flags ...string) contender {
	return &loopContender{s, command, flags, onJetStream{
		stream: loopNotices, filter: "bench.notice.*", setUp: setUpLoop,
		send: func(i int) (*nats.Msg, error) {
			m, err := sendOf(i, s.accounts) // without tram's headers
			if err != nil {
				return nil, err
			}
			return &nats.Msg{Subject: "bench.send." + account(i%s.accounts), Data: m.Data}, nil
		},
	}}
}

type loopContender struct {
	scenario
	command string
	flags   []string
	onJetStream
}

// setUpLoop makes streams with the properties that tram's have.
func setUpLoop(ctx context.Context, js jetstream.JetStream) error {
	for name, subjects := range map[string]string{loopSends: "bench.send.*", loopResults: "bench.result.*", loopNotices: "bench.notice.*"} {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{subjects}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, AllowDirect: true,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *loopContender) start(_ context.Context, dir, provider string) ([]*process, error) {
	return c.myCrew(dir, c.url, provider, c.command, c.flags...)
}

// A loop is one of its processes.
type loop struct {
	duty
	pub *publisher
}

// serveLoop is the hidden command `bench loop`.
func serveLoop(args []string) error {
	l := &loop{duty: readDuty("loop", args, nil)}
	nc, err := nats.Connect(l.broker)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if l.pub, err = newPublisher(nc, window); err != nil {
		return err
	}
	stream, handle := loopSends, l.dispatcher()
	if l.role == "collector" {
		stream, handle = loopResults, l.collect
	}
	consumer, err := js.CreateOrUpdateConsumer(context.Background(), stream, jetstream.ConsumerConfig{
		Durable: l.role, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 2*window + 2*l.inflight,
	})
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(handle, jetstream.PullMaxMessages(500))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	untilParentEnds()
	return nil
}

// dispatcher returns what hands each send to one of the goroutines that call.
func (l *loop) dispatcher() func(jetstream.Msg) {
	work := make(chan jetstream.Msg)
	for range l.inflight {
		go func() {
			for m := range work {
				ended(l.dispatch(m))
			}
		}()
	}
	return func(m jetstream.Msg) { work <- m }
}

// dispatch acknowledges a send when its result is stored.
func (l *loop) dispatch(m jetstream.Msg) error {
	account, result, err := l.callProvider(m.Data())
	if err != nil {
		return err
	}
	return l.passOn(m, "bench.result."+account, result)
}

func (l *loop) collect(m jetstream.Msg) {
	account, notice, err := l.makeNotice(m.Data())
	if err == nil {
		err = l.passOn(m, "bench.notice."+account, notice)
	}
	ended(err)
}

// passOn publishes data, and acknowledges m when that is stored.
func (l *loop) passOn(m jetstream.Msg, subject string, data []byte) error {
	return l.pub.publish(&nats.Msg{Subject: subject, Data: data}, func(err error) {
		ended(errors.Join(err, m.Ack()))
	})
}
