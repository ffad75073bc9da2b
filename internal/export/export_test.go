package export

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/mask"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// fill stores something in each stream that a person may want to look at.
func fill(t *testing.T, b *brokertest.Broker) {
	t.Helper()
	for i := range 3 {
		r := &events.Request{
			Meta: events.Meta{ID: fmt.Sprintf("order-%d", i), Source: "/shop"}, Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: events.Normal,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"}, Content: events.Content{Kind: events.ContentText, Text: "Chào chị Bình"},
				Context: events.Context{CorrelationID: fmt.Sprintf("c-%d", i)},
			},
		}
		request, err := events.EncodeRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		result, err := ledger.EncodeResult(&ledger.Result{
			Seq: uint64(i + 1), Call: 1, State: events.StateAccepted, AtMS: 1_800_000_000_000,
			Request: ledger.Original{Subject: request.Subject, Header: request.Header, Data: request.Data},
			Answer:  &channels.Answer{Status: 200, Body: []byte(`{"phone":"0900000001","name":"Bình","code":"ok"}`)},
		})
		if err != nil {
			t.Fatal(err)
		}
		delivery, err := events.EncodeDelivery(events.Meta{ID: fmt.Sprintf("d-%d", i), Source: events.Source}, &events.Delivery{
			About: events.About{Provider: "caresoft", Account: "main", RequestID: r.ID, RequestSource: r.Source},
			State: events.StateAccepted, Final: true, Attempt: 1, AtMS: 1_800_000_000_000, Recipient: r.Send.Recipient,
		})
		if err != nil {
			t.Fatal(err)
		}
		intent := nats.NewMsg(broker.IntentSubject(1)) // stored with what its publisher expected
		intent.Header.Set("Nats-Expected-Last-Subject-Sequence", fmt.Sprint(i))
		if intent.Data, err = ledger.EncodeIntents(&ledger.IntentGroup{Owner: "one", Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*nats.Msg{request, {Subject: broker.ResultSubject(1, "caresoft", "main"), Data: result}, delivery, intent} {
			b.Publish(m)
		}
	}
}

var streams = []string{broker.Requests, broker.Intents, broker.Results, broker.Events}

func export(t *testing.T, b *brokertest.Broker, masker *mask.Masker) string {
	t.Helper()
	var out bytes.Buffer
	for _, stream := range streams {
		rows := 0
		if err := Write(t.Context(), b.JS, stream, broker.Window{}, masker, &out, func(uint64) { rows++ }); err != nil || rows != 3 {
			t.Fatalf("%s: %d rows, %v", stream, rows, err)
		}
	}
	return out.String()
}

func all(t *testing.T, b *brokertest.Broker) string {
	t.Helper()
	var text strings.Builder
	for _, stream := range streams {
		err := broker.NewReader(b.JS).Scan(t.Context(), stream, broker.Window{}, func(m *broker.Stored) error {
			delete(m.Header, "Nats-Expected-Stream")
			delete(m.Header, "Nats-Expected-Last-Subject-Sequence")
			fmt.Fprintln(&text, stream, m.Seq, m.Subject, len(m.Header), m.Header, m.Data)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

func TestRead_bringsBackWhatWasWritten(t *testing.T) {
	from, to := brokertest.Start(t), brokertest.Start(t)
	fill(t, from)
	rows := export(t, from, nil)
	if !strings.Contains(rows, `"value":"0900000001"`) || strings.Contains(rows, `"masked"`) {
		t.Errorf("the rows do not tell all: %s", rows)
	}
	done, err := (&Reading{JS: to.JS}).Read(t.Context(), strings.NewReader(rows))
	if err != nil || done != (Read{Stored: 12}) {
		t.Fatalf("got %+v, %v", done, err)
	}
	if got, want := all(t, to), all(t, from); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := (&Reading{JS: to.JS}).Read(t.Context(), strings.NewReader(rows)); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a second time: got %v", err)
	}
	done, err = (&Reading{JS: to.JS, Anyway: true}).Read(t.Context(), strings.NewReader(rows))
	if err != nil || done.Duplicate != 6 || done.Stored != 6 {
		t.Errorf("a second time, anyway: got %+v, %v", done, err)
	}
}

func TestWrite_masks(t *testing.T) {
	from, to := brokertest.Start(t), brokertest.Start(t)
	fill(t, from)
	masker := mask.New([]byte("key"))
	rows := export(t, from, masker)
	for _, hidden := range []string{"0900000001", "Bình", "Chào"} {
		if strings.Contains(rows, hidden) {
			t.Errorf("%s stands in the rows", hidden)
		}
	}
	// The same recipient has the same mask in requests, results and events.
	if n := strings.Count(rows, `"value":"`+masker.Text("0900000001")+`"`); n != 9 {
		t.Errorf("the masked recipient stands in %d rows, want 9", n)
	}
	if _, err := (&Reading{JS: to.JS}).Read(t.Context(), strings.NewReader(rows)); err != nil {
		t.Fatal(err)
	}
	read := broker.NewReader(to.JS)
	m, err := read.Get(t.Context(), broker.Events, 1)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := events.DecodeEvent(m.Subject, m.Header, m.Data); err != nil || e.Delivery.Recipient.Value != masker.Text("0900000001") {
		t.Errorf("got %+v, %v", e, err)
	}
	if m, err = read.Get(t.Context(), broker.Results, 1); err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.DecodeResult(m.Data); err != nil || r.State != events.StateAccepted || r.Request.Subject != "tram.send.caresoft.main.normal" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestRead_refuses(t *testing.T) {
	b := brokertest.Start(t)
	for rows, says := range map[string]string{
		`{"stream":"TRAM_EVENTS"}`: "read row 1: it has no stream or no subject",
		`{"stream"`:                "read row 1: unexpected EOF",
		`{"stream":"TRAM_REQUESTS","subject":"tram.send.a.b.normal"}`: "want req.<partition>",
		`{"stream":"TRAM_EVENTS","subject":"tram.dead.a.b.c"}`:        "import row 1: ",
	} {
		if _, err := (&Reading{JS: b.JS}).Read(t.Context(), strings.NewReader(rows)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", rows, err, says)
		}
	}
	sub, err := b.Conn.Subscribe(broker.StatusSubject, func(m *nats.Msg) { _ = m.Respond([]byte("{}")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Reading{JS: b.JS}).Read(t.Context(), strings.NewReader("")); !errors.Is(err, ErrAtWork) {
		t.Errorf("got %v", err)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	empty := brokertest.StartEmpty(t)
	if _, err := (&Reading{JS: empty.JS}).Read(t.Context(), strings.NewReader("")); !errors.Is(err, events.ErrNotSetUp) {
		t.Errorf("got %v", err)
	}
}
