package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// A publisher stores messages in streams and waits for none of them. It does
// with one subscription what jetstream.PublishMsgAsync does with a future and a
// map entry for each, and is what a loop by hand would have.
type publisher struct {
	nc     *nats.Conn
	prefix string // of the subjects that the broker answers to; behind it stands the slot
	sub    *nats.Subscription
	free   chan int
	stored []func(error) // by slot
}

// newPublisher returns a publisher that has at most window messages which are
// not stored yet.
func newPublisher(nc *nats.Conn, window int) (*publisher, error) {
	p := &publisher{nc: nc, prefix: nc.NewInbox() + ".", free: make(chan int, window), stored: make([]func(error), window)}
	for i := range window {
		p.free <- i
	}
	var err error
	p.sub, err = nc.Subscribe(p.prefix+"*", p.answered)
	return p, err
}

// publish sends m, and calls stored when it is, or is refused. It waits while
// the window is full.
func (p *publisher) publish(m *nats.Msg, stored func(error)) error {
	slot := <-p.free
	p.stored[slot] = stored
	m.Reply = p.prefix + strconv.Itoa(slot)
	return p.nc.PublishMsg(m)
}

func (p *publisher) answered(m *nats.Msg) {
	slot, err := strconv.Atoi(strings.TrimPrefix(m.Subject, p.prefix))
	if err != nil {
		return
	}
	if len(m.Data) == 0 || bytes.Contains(m.Data, []byte(`"error"`)) {
		err = fmt.Errorf("the broker has not stored a message: %s", m.Data) // nothing: no stream takes it
	}
	stored := p.stored[slot]
	p.free <- slot
	stored(err)
}

// all publishes messages number from to to and returns when all are stored.
func (p *publisher) all(from, to int, message func(i int) (*nats.Msg, error)) error {
	var wg sync.WaitGroup
	var refused atomic.Pointer[error]
	stored := func(err error) {
		if err != nil {
			refused.CompareAndSwap(nil, &err)
		}
		wg.Done()
	}
	for i := from; i < to; i++ {
		m, err := message(i)
		if err != nil {
			return err
		}
		wg.Add(1)
		if err := p.publish(m, stored); err != nil {
			return err
		}
	}
	wg.Wait()
	if err := refused.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *publisher) close() { _ = p.sub.Unsubscribe() }
