package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/pkg/events"
)

func TestPublisher_Publish(t *testing.T) {
	b := newBroker(t)
	p := events.NewPublisher(b.js, events.PublisherConfig{Source: "/acme/shop"})
	r := newSend("")
	r.Source = ""
	first, err := p.Publish(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID == "" || r.Source != "/acme/shop" || r.Time.IsZero() || first.ID != r.ID {
		t.Errorf("envelope not filled in: %+v, receipt %+v", r.Meta, first)
	}
	if first.Stream != events.RequestsStream || first.Seq != 1 || first.Duplicate {
		t.Errorf("first receipt %+v", first)
	}
	again, err := p.Publish(t.Context(), r)
	if err != nil || !again.Duplicate || again.Seq != first.Seq {
		t.Errorf("second receipt %+v, error %v; want a duplicate of the first", again, err)
	}

	s, err := b.js.Stream(t.Context(), events.RequestsStream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), first.Seq)
	if err != nil {
		t.Fatal(err)
	}
	got, err := events.DecodeRequest(m.Subject, m.Header, m.Data)
	if err != nil || got.ID != r.ID || got.Send.Content.Text != r.Send.Content.Text {
		t.Errorf("stored request %+v, error %v", got, err)
	}
}

func TestPublisher_RefusesBeforePublishing(t *testing.T) {
	b := newBroker(t)
	for _, c := range []events.Contract{caresoft, {Provider: "caresoft", Account: "second"}, {Provider: "momo", Account: "main"}} {
		if err := events.PutContract(t.Context(), b.js, c); err != nil {
			t.Fatal(err)
		}
	}
	p := events.NewPublisher(b.js, events.PublisherConfig{Directory: events.NewDirectory(b.js)})
	for name, c := range map[string]struct {
		change func(*events.Request)
		want   string
	}{
		"unknown provider": {func(r *events.Request) { r.Provider = "zalo" }, "invalid send: provider: zalo is not configured: there is caresoft, momo"},
		"unknown account":  {func(r *events.Request) { r.Account = "third" }, "invalid send: account: caresoft has no third: there is main, second"},
		"digits as account": {
			func(r *events.Request) { r.Account = "0900000001" },
			"invalid send: account: caresoft has no such account: there is main, second",
		},
		"missing oa": {
			func(r *events.Request) { r.Send.Sender.ID = "" },
			"invalid send: sender.id: account main has no default; give the Zalo OA id",
		},
		"long text": {
			func(r *events.Request) { r.Send.Content.Text = strings.Repeat("ế", 1001) },
			"invalid send: content.text: has 1001 characters, at most 1000 are allowed by caresoft",
		},
		"impossible combination": {
			func(r *events.Request) { r.Send.Content = events.Content{Kind: events.ContentBlock, BlockName: "Hi"} },
			"invalid send: content.kind: caresoft does not send block to phone: it sends template to phone, text to phone, template to contact_id, text to contact_id",
		},
		"no sends": {func(r *events.Request) { r.Provider = "momo" }, "invalid send: kind: momo account main takes no sends"},
		"too large": {
			func(r *events.Request) {
				r.Send.Content = events.Content{Kind: events.ContentTemplate, TemplateRef: "1", Params: map[string]string{}}
				for i := range 30 {
					r.Send.Content.Params[fmt.Sprintf("p%d", i)] = strings.Repeat("x", 9_999)
				}
			},
			"invalid send: body: has 300280 bytes, at most 262144 are allowed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSend("id-1")
			c.change(r)
			_, err := p.Publish(t.Context(), r)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if events.ReasonOf(err) != events.ReasonInvalid {
				t.Errorf("got reason %q", events.ReasonOf(err))
			}
		})
	}
	if n := b.messages(t, events.RequestsStream); n != 0 {
		t.Errorf("%d requests were published", n)
	}
	if _, err := p.Publish(t.Context(), newSend("id-2")); err != nil {
		t.Errorf("valid request: %v", err)
	}
}

func TestPublisher_NotSetUp(t *testing.T) {
	b := emptyBroker(t)
	p := events.NewPublisher(b.js, events.PublisherConfig{Attempts: 2})
	if _, err := p.Publish(t.Context(), newSend("1")); !errors.Is(err, events.ErrNotSetUp) {
		t.Errorf("without streams: %v", err)
	}
	withDirectory := events.NewPublisher(b.js, events.PublisherConfig{Directory: events.NewDirectory(b.js)})
	if _, err := withDirectory.Publish(t.Context(), newSend("1")); !errors.Is(err, events.ErrNotSetUp) {
		t.Errorf("without a directory: %v", err)
	}
	if err := events.PutContract(t.Context(), b.js, caresoft); !errors.Is(err, events.ErrNotSetUp) {
		t.Errorf("put a contract without a directory: %v", err)
	}
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"tram.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), newSend("1")); !errors.Is(err, events.ErrNotSetUp) {
		t.Errorf("with another stream: %v", err)
	}
	if n := b.messages(t, "OTHER"); n != 0 {
		t.Errorf("another stream took %d requests", n)
	}
}

func TestPublisher_StreamFull(t *testing.T) {
	b := newBroker(t)
	s, err := b.js.Stream(t.Context(), events.RequestsStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	p := events.NewPublisher(b.js, events.PublisherConfig{})
	if _, err := p.Publish(t.Context(), newSend("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), newSend("2")); !errors.Is(err, events.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
}

// A cluster that is storing a request already, or is electing a leader, is asked
// again.
func TestPublisher_AsksAClusterAgain(t *testing.T) {
	b := emptyBroker(t)
	answers := []string{
		`{"error": {"code": 409, "err_code": 10158}}`, `{"error": {"code": 503, "err_code": 10008}}`,
		`{"stream": "TRAM_REQUESTS", "seq": 7, "duplicate": true}`,
	}
	if _, err := b.js.Conn().Subscribe("tram.send.>", func(m *nats.Msg) {
		_ = m.Respond([]byte(answers[0]))
		answers = answers[1:]
	}); err != nil {
		t.Fatal(err)
	}
	got, err := events.NewPublisher(b.js, events.PublisherConfig{}).Publish(t.Context(), newSend("1"))
	if err != nil || got.Seq != 7 || !got.Duplicate {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A broker that goes away and comes back costs no request and doubles none.
func TestPublisher_SurvivesRestart(t *testing.T) {
	b := newBroker(t)
	if err := events.PutContract(t.Context(), b.js, caresoft); err != nil {
		t.Fatal(err)
	}
	p := events.NewPublisher(b.js, events.PublisherConfig{Attempts: 100, Timeout: 200 * time.Millisecond, Directory: events.NewDirectory(b.js)})
	const producers, each = 4, 50
	var wg sync.WaitGroup
	half := make(chan struct{}, producers)
	for i := range producers {
		wg.Go(func() {
			for j := range each {
				if _, err := p.Publish(t.Context(), newSend(fmt.Sprintf("%d-%d", i, j))); err != nil {
					t.Errorf("publish: %v", err)
				}
				if j == each/2 {
					half <- struct{}{}
				}
			}
		})
	}
	<-half
	if err := b.start(b.stop()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n := b.messages(t, events.RequestsStream); n != producers*each {
		t.Errorf("the stream holds %d requests, want %d", n, producers*each)
	}
}

func TestPublisher_MaxInFlight(t *testing.T) {
	b := emptyBroker(t)
	// A slow stream: it answers when the test says so.
	got := make(chan *nats.Msg, 10)
	sub, err := b.js.Conn().ChanSubscribe("tram.send.>", got)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	p := events.NewPublisher(b.js, events.PublisherConfig{MaxInFlight: 2})
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			if _, err := p.Publish(t.Context(), newSend(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	waiting := []*nats.Msg{<-got, <-got}
	for answered := range 5 {
		select {
		case <-got:
			t.Fatal("a third request is in flight")
		case <-time.After(20 * time.Millisecond):
		}
		if err := waiting[0].Respond([]byte(`{"stream":"TRAM_REQUESTS","seq":1}`)); err != nil {
			t.Fatal(err)
		}
		waiting = waiting[1:]
		if answered < 3 {
			waiting = append(waiting, <-got)
		}
	}
	wg.Wait()
}

func TestPublisher_ContextDone(t *testing.T) {
	b := emptyBroker(t)
	sub, err := b.js.Conn().SubscribeSync("tram.send.>") // takes and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	p := events.NewPublisher(b.js, events.PublisherConfig{MaxInFlight: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 2 { // one waits for the answer, one for its turn
		wg.Go(func() {
			if _, err := p.Publish(ctx, newSend(fmt.Sprint(i))); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := sub.NextMsg(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	cancel()
	wg.Wait()
}
