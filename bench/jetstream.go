package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// window is how many messages are published ahead of the broker.
const window = 4096

// onJetStream is what the contenders on JetStream have in common.
type onJetStream struct {
	send           func(i int) (*nats.Msg, error) // number i
	stream, filter string                         // of the deliveries
	setUp          func(context.Context, jetstream.JetStream) error

	url string
	nc  *nats.Conn
	js  jetstream.JetStream
}

func (o *onJetStream) serve(ctx context.Context, dir string) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	o.url = "nats://" + address
	p, err := launch(dir, "broker", myself("broker", "-dir", filepath.Join(dir, "broker"), "-listen", address))
	if err != nil {
		return nil, err
	}
	err = listening(ctx, address, p)
	if err == nil {
		o.nc, err = nats.Connect(o.url)
	}
	if err == nil {
		o.js, err = jetstream.New(o.nc)
	}
	if err == nil {
		err = o.setUp(ctx, o.js)
	}
	return p, err
}

func (o *onJetStream) close() {
	if o.nc != nil {
		o.nc.Close()
	}
}

func (o *onJetStream) publish(ctx context.Context, from, to, rate int, published func(int)) error {
	pub, err := newPublisher(o.nc, window)
	if err != nil {
		return err
	}
	defer pub.close()
	pace := pacer{every: time.Second / time.Duration(max(1, rate))}
	return pub.all(from, to, func(i int) (*nats.Msg, error) {
		m, err := o.send(i)
		if rate == 0 || err != nil {
			return m, err
		}
		if err := pace.wait(ctx); err != nil {
			return nil, err
		}
		published(i)
		return m, nil
	})
}

func (o *onJetStream) stored(ctx context.Context, enough int) (n int, last time.Time, err error) {
	s, err := o.js.Stream(ctx, o.stream)
	if err != nil {
		return 0, last, err
	}
	if n = int(s.CachedInfo().State.Msgs); n < enough {
		return n, last, nil // to count subjects costs the broker more than the events
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(o.filter))
	if err != nil {
		return 0, last, err
	}
	n = 0
	for _, each := range info.State.Subjects {
		n += int(each)
	}
	return n, info.State.LastTime, nil
}

func (o *onJetStream) watch(ctx context.Context, seen func([]byte)) (stop func(), err error) {
	c, err := o.js.OrderedConsumer(ctx, o.stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{o.filter}})
	if err != nil {
		return nil, err
	}
	consuming, err := c.Consume(func(m jetstream.Msg) { seen(m.Data()) })
	if err != nil {
		return nil, err
	}
	return consuming.Stop, nil
}
