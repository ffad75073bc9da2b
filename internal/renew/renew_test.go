package renew_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/renew"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

var timing = events.Timing{NotBeforeMS: 1_700_000_000_000, ExpiresAtMS: 1_900_000_000_000}

func send() *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: "order-1", Source: "/shop"}, Kind: events.KindSend,
		Provider: "fake", Account: "shop", Class: events.Urgent,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"}, OnAmbiguous: events.Resend,
			Content: events.Content{Kind: events.ContentText, Text: "On its way."}, Timing: timing,
		},
	}
}

func report() *events.Request {
	r := send()
	r.Kind, r.Send = events.KindReport, nil
	r.Report = &events.Report{Report: "fake.stats", Timing: timing}
	return r
}

func command() *events.Request {
	r := send()
	r.Kind, r.Send = events.KindCommand, nil
	r.Command = &events.Command{Command: "fake.tag", Timing: timing}
	return r
}

func decode(t *testing.T, m *nats.Msg) *events.Request {
	t.Helper()
	r, err := events.DecodeRequest(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestIsTheSameUnderAnotherID(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	const expires = 1_800_000_060_000
	for _, r := range []*events.Request{send(), report(), command()} {
		m, err := renew.Request(r, "again-1", events.Bulk, at, expires)
		if err != nil {
			t.Fatalf("%s: %v", r.Kind, err)
		}
		if got := m.Header.Get(jetstream.ExpectedStreamHeader); got != broker.Requests {
			t.Errorf("%s: is for the stream %q", r.Kind, got)
		}
		got := decode(t, m)
		if got.ID != "again-1" || got.Source != "/shop" || got.AncestorID != "order-1" || got.Class != events.Bulk || !got.Time.Equal(at) {
			t.Errorf("%s: envelope is %+v, class %s", r.Kind, got.Meta, got.Class)
		}
		if want := (events.Timing{ExpiresAtMS: expires}); got.Timing() != want {
			t.Errorf("%s: timing is %+v, want %+v", r.Kind, got.Timing(), want)
		}
		if r.ID != "order-1" || r.AncestorID != "" || r.Class != events.Urgent || r.Timing() != timing {
			t.Errorf("%s: the first one was changed to %+v, %+v", r.Kind, r, r.Timing())
		}
	}
	m, err := renew.Request(send(), "again-1", events.Normal, at, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s := decode(t, m).Send; s.Recipient != send().Send.Recipient || s.Content.Text != send().Send.Content.Text || s.OnAmbiguous != events.Resend {
		t.Errorf("the send is another: %+v", s)
	}
}

// However often a request is published anew, all of them lead to the first one.
func TestRequestOfARequestKeepsTheFirstAncestor(t *testing.T) {
	r := send()
	for _, id := range []string{"again-1", "again-2"} {
		m, err := renew.Request(r, id, events.Normal, time.Now(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if r = decode(t, m); r.ID != id || r.AncestorID != "order-1" {
			t.Errorf("got %s of %s", r.ID, r.AncestorID)
		}
	}
}

func TestExpiry(t *testing.T) {
	now := time.Now()
	later, before := now.Add(time.Hour).UnixMilli(), now.Add(-time.Hour).UnixMilli()
	for _, tt := range []struct {
		name string
		at   int64
		in   time.Duration
		want int64
	}{
		{"as it was", later, 0, later},
		{"it has passed", before, 0, 0},
		{"it passes now", now.UnixMilli(), 0, 0},
		{"never", 0, 0, 0},
		{"in as long as is said", later, 5 * time.Minute, now.Add(5 * time.Minute).UnixMilli()},
		{"in as long as is said, though it has passed", before, time.Minute, now.Add(time.Minute).UnixMilli()},
	} {
		r := send()
		r.Send.Timing = events.Timing{ExpiresAtMS: tt.at}
		if got := renew.Expiry(r, now, tt.in); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func putContract(t *testing.T, b *brokertest.Broker, limit int) {
	t.Helper()
	err := events.PutContract(t.Context(), b.JS, events.Contract{
		Provider: "fake", Account: "shop", TextLimit: limit,
		Sends: []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestContractsSayWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	putContract(t, b, 20)
	contracts := renew.NewContracts(b.JS, time.Second)
	long, nobody := send(), send()
	long.Send.Content.Text, nobody.Account = strings.Repeat("x", 21), "gone"
	for _, tt := range []struct {
		r    *events.Request
		word string
	}{{send(), ""}, {long, "content.text"}, {nobody, "gone"}, {report(), "report"}} {
		tt.r = withoutTiming(tt.r)
		why, err := contracts.Refuses(t.Context(), tt.r)
		if err != nil {
			t.Fatal(err)
		}
		if (why == "") != (tt.word == "") || !strings.Contains(why, tt.word) || why != "" && !strings.HasPrefix(why, "it would be refused again: ") {
			t.Errorf("%s of %s: %q, want a word of %q", tt.r.Kind, tt.r.Account, why, tt.word)
		}
	}
}

// withoutTiming is r as it is published anew, when what it would be refused for
// is of interest.
func withoutTiming(r *events.Request) *events.Request {
	switch {
	case r.Send != nil:
		r.Send.Timing = events.Timing{}
	case r.Report != nil:
		r.Report.Timing = events.Timing{}
	}
	return r
}

// A job of a million letters asks the directory once for each account, whoever
// asks, and judges all of them alike.
func TestContractsAreReadOnce(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	putContract(t, b, 20)
	contracts := renew.NewContracts(b.JS, time.Second)
	ask := func() {
		if why, err := contracts.Refuses(t.Context(), withoutTiming(send())); why != "" || err != nil {
			t.Errorf("got %q, %v", why, err)
		}
	}
	ask()
	putContract(t, b, 1)
	if err := events.DeleteContract(t.Context(), b.JS, "fake", "shop"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(ask)
	}
	all.Wait()
}

func TestContractsWaitForTheBroker(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	putContract(t, b, 20)
	contracts := renew.NewContracts(b.JetStream(b.Connect()), 20*time.Second)
	b.Stop()
	answered := make(chan error, 1)
	go func() {
		why, err := contracts.Refuses(t.Context(), withoutTiming(send()))
		if why != "" {
			err = errors.Join(err, errors.New(why))
		}
		answered <- err
	}()
	b.Restart()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// What could not be asked is no refusal, and is asked again the next time.
func TestContractsThatCannotBeReadAreNotJudged(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	putContract(t, b, 20)
	nc := b.Connect()
	contracts := renew.NewContracts(b.JetStream(nc), time.Second)
	nc.Close()
	if why, err := contracts.Refuses(t.Context(), send()); why != "" || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %q, %v", why, err)
	}
}
