package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

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

// window is how many messages a loop publishes ahead of the broker.
const window = 4096

// serveLoop is the hidden command `bench loop`.
func serveLoop(args []string) error {
	flags := flag.NewFlagSet("loop", flag.ExitOnError)
	role := flags.String("role", "", "dispatch or collect")
	l := &loop{}
	flags.StringVar(&l.broker, "broker", "", "URL")
	flags.StringVar(&l.provider, "provider", "", "URL")
	flags.IntVar(&l.inflight, "inflight", 256, "calls under way at once")
	flags.BoolVar(&l.std, "std", false, "the HTTP client and the codec that tram uses")
	_ = flags.Parse(args) // exits on an error
	return l.run(*role)
}

type loop struct {
	broker, provider string
	inflight         int
	std              bool

	codec codec
	call  caller
	pub   *publisher
}

func (l *loop) run(role string) error {
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
	l.codec, l.call = std{}, stdCaller(l.inflight)
	stream, handle := loopSends, l.dispatcher()
	if role == "collect" {
		stream, handle = loopResults, l.collect
	}
	consumer, err := js.CreateOrUpdateConsumer(context.Background(), stream, jetstream.ConsumerConfig{
		Durable: role, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 2*window + 2*l.inflight,
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

// dispatch makes one call and publishes its result. The send is acknowledged
// when that is stored.
func (l *loop) dispatch(m jetstream.Msg) error {
	c, err := l.codec.card(m.Data())
	if err != nil {
		return err
	}
	account := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	body, err := l.codec.call(c)
	if err != nil {
		return err
	}
	r := &Result{ID: c.CorrelationID, Account: account, Recipient: c.Recipient, Attempt: 1}
	if r.Status, r.Answer, err = l.call(l.provider+path(account), body); err != nil {
		return err
	}
	r.AtMS = time.Now().UnixMilli()
	data, err := l.codec.result(r)
	if err != nil {
		return err
	}
	return l.passOn(m, "bench.result."+account, data)
}

// collect makes the notice of one result.
func (l *loop) collect(m jetstream.Msg) {
	ended(func() error {
		r, err := l.codec.readResult(m.Data())
		if err != nil {
			return err
		}
		code, err := l.codec.code(r.Answer)
		if err != nil {
			return err
		}
		n, err := noticeOf(r, code)
		if err != nil {
			return err
		}
		data, err := l.codec.notice(n)
		if err != nil {
			return err
		}
		return l.passOn(m, "bench.notice."+r.Account, data)
	}())
}

// passOn publishes data, and acknowledges m when that is stored.
func (l *loop) passOn(m jetstream.Msg, subject string, data []byte) error {
	return l.pub.publish(&nats.Msg{Subject: subject, Data: data}, func(err error) {
		ended(errors.Join(err, m.Ack()))
	})
}

var once sync.Once

// ended ends the process on an error: there is none in a run that counts.
func ended(err error) {
	if err != nil {
		once.Do(func() {
			fmt.Fprintln(os.Stderr, "bench loop:", err)
			os.Exit(1)
		})
	}
}
