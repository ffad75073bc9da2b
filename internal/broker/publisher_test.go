package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

func TestPublisher(t *testing.T) {
	b := brokertest.StartEmpty(t)
	js := b.JetStream(b.Connect())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgSize: 1000}); err != nil {
		t.Fatal(err)
	}
	p, err := broker.NewPublisher(js.Conn(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	publish := func(subject, id, data string) *broker.Ack {
		t.Helper()
		m := nats.NewMsg(subject)
		m.Data = []byte(data)
		m.Header.Set(jetstream.MsgIDHeader, id)
		ack, err := p.Publish(m)
		if err != nil || m.Reply != "" {
			t.Fatalf("publish: %v, reply %q", err, m.Reply)
		}
		return ack
	}
	const many = 2000
	acks := make([]*broker.Ack, many)
	for i := range acks {
		acks[i] = publish(fmt.Sprintf("s.%d", i), fmt.Sprint("id", i), "x")
	}
	for i, ack := range acks {
		<-ack.Done()
		if seq, duplicate := ack.Seq(); ack.Err() != nil || seq != uint64(i+1) || duplicate {
			t.Fatalf("message %d: at %d, duplicate %t, %v", i, seq, duplicate, ack.Err())
		}
	}
	plain, err := js.Conn().Request("s.1", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if seq, ok := broker.PlainAck(plain.Data); !ok || seq != many+1 {
		t.Errorf("the server's answer %s takes the long way", plain.Data)
	}
	again := publish("s.7", "id7", "x")
	<-again.Done()
	if seq, duplicate := again.Seq(); again.Err() != nil || seq != 8 || !duplicate {
		t.Errorf("the same once more: at %d, duplicate %t, %v", seq, duplicate, again.Err())
	}
	refused := publish("s.7", "large", strings.Repeat("x", 2000))
	<-refused.Done()
	if e, ok := errors.AsType[*jetstream.APIError](refused.Err()); !ok || e.ErrorCode != 10054 {
		t.Errorf("too large: %v", refused.Err())
	}
	nowhere := publish("elsewhere", "id", "x")
	<-nowhere.Done()
	if !errors.Is(nowhere.Err(), jetstream.ErrNoStreamResponse) {
		t.Errorf("no such stream: %v", nowhere.Err())
	}
	tooLarge := nats.NewMsg("s.1")
	tooLarge.Data = make([]byte, js.Conn().MaxPayload()+1)
	if _, err := p.Publish(tooLarge); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("more than the broker takes: %v", err)
	}
}

// What nobody acknowledges ends all the same: in time, with the connection, with
// the publisher.
func TestPublisher_Unanswered(t *testing.T) {
	b := brokertest.StartEmpty(t)
	nc := b.Connect()
	silent, err := nc.SubscribeSync("silent")
	if err != nil {
		t.Fatal(err)
	}
	end := func(timeout time.Duration, by func(*broker.Publisher)) error {
		t.Helper()
		p, err := broker.NewPublisher(nc, timeout)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ack, err := p.Publish(nats.NewMsg("silent"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := silent.NextMsg(10 * time.Second); err != nil { // it is on its way no more
			t.Fatal(err)
		}
		by(p)
		<-ack.Done()
		return ack.Err()
	}
	if err := end(50*time.Millisecond, func(*broker.Publisher) {}); !errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
		t.Errorf("in time: %v", err)
	}
	if err := end(time.Hour, (*broker.Publisher).Close); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("with the publisher: %v", err)
	}
	if err := end(time.Hour, func(*broker.Publisher) { b.Stop() }); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("with the connection: %v", err)
	}
}

// An answer that comes too late is not taken for one to a message that went out
// meanwhile.
func TestPublisher_Late(t *testing.T) {
	nc := brokertest.StartEmpty(t).Connect()
	asked, err := nc.SubscribeSync("slow")
	if err != nil {
		t.Fatal(err)
	}
	p, err := broker.NewPublisher(nc, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	publish := func() (*broker.Ack, *nats.Msg) {
		t.Helper()
		ack, err := p.Publish(nats.NewMsg("slow"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := asked.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return ack, m
	}
	answer := func(m *nats.Msg, seq int) {
		if err := m.Respond(fmt.Appendf(nil, `{"stream":"S","seq":%d}`, seq)); err != nil {
			t.Fatal(err)
		}
	}
	first, late := publish()
	p.Fail(jetstream.ErrAsyncPublishTimeout)
	<-first.Done()
	second, m := publish()
	answer(late, 1)
	answer(m, 2)
	<-second.Done()
	if seq, _ := second.Seq(); second.Err() != nil || seq != 2 {
		t.Errorf("it took %d for its own answer, %v", seq, second.Err())
	}
	third, again := publish()
	if answer(again, 3); again.Reply != m.Reply {
		t.Errorf("answers go to %s and then to %s", m.Reply, again.Reply)
	}
	<-third.Done()
}
