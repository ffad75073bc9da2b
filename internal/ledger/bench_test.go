package ledger_test

import (
	"testing"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// acceptedSend is the result that a dispatcher stores most: a send of about 250
// bytes with the envelope that Go producers write, and the provider's answer.
func acceptedSend(b *testing.B) *ledger.Result {
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "order-00000042", Source: "/billing", Time: time.UnixMilli(1_763_000_000_123),
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		Kind: events.KindSend, Provider: "caresoft", Account: "a0001", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "84900000042"},
			Content: events.Content{Kind: events.ContentTemplate, TemplateRef: "8812345", Params: map[string]string{
				"customer_name": "Nguyễn Thị Hồng Nhung", "order_code": "order-00000042", "amount": "1.250.000 đ",
			}},
			Context: events.Context{Tenant: "a0001", CorrelationID: "order-00000042"},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return &ledger.Result{
		Seq: 1_234_567, Call: 1, Attempt: 1, Step: 1,
		Request: ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: 1_763_000_000_124},
		Answer: &channels.Answer{
			Status: 200, Header: map[string]string{"content-type": "application/json", "x-request-id": "5f0c9c1e"},
			Body:    []byte(`{"code":"ok","message":"success","data":{"msg_id":"8f14e45fceea167a5a36dedd4bea2543"}}`),
			Written: true, StartedMS: 1_763_000_000_126, TookUS: 1500,
		},
		State: events.StateAccepted, Evidence: events.Strong, AtMS: 1_763_000_000_128,
		MessageID: "8f14e45fceea167a5a36dedd4bea2543",
	}
}

// callsTogether are the intents of as many calls as mostly begin together.
func callsTogether(*testing.B) *ledger.IntentGroup {
	g := &ledger.IntentGroup{Owner: "dispatcher-7d9f8b6c5d-x2x7q", Epoch: 420, AtMS: 1_763_000_000_125}
	for i := range uint64(16) {
		g.Calls = append(g.Calls, ledger.Intent{Seq: 1_234_567 + i, Call: 1})
	}
	return g
}

func BenchmarkEncodeResult(b *testing.B) { benchEncode(b, acceptedSend(b), ledger.EncodeResult) }
func BenchmarkDecodeResult(b *testing.B) {
	benchDecode(b, acceptedSend(b), ledger.EncodeResult, ledger.DecodeResult)
}
func BenchmarkEncodeIntents(b *testing.B) { benchEncode(b, callsTogether(b), ledger.EncodeIntents) }
func BenchmarkDecodeIntents(b *testing.B) {
	benchDecode(b, callsTogether(b), ledger.EncodeIntents, ledger.DecodeIntents)
}

func benchEncode[T any](b *testing.B, v *T, encode func(*T) ([]byte, error)) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode(v); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDecode[T any](b *testing.B, v *T, encode func(*T) ([]byte, error), decode func([]byte) (*T, error)) {
	data, err := encode(v)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(data)), "bytes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
