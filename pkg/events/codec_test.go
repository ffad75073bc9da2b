package events

import (
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// fullSend has every field of a send.
func fullSend() *Request {
	return &Request{
		Meta: Meta{
			ID: "order-1-otp", Source: "/acme/shop", Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC),
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Tracestate: "acme=1",
		},
		Kind: KindSend, Provider: "caresoft", Account: "main", Class: Urgent,
		Send: &Send{
			Recipient:   Recipient{ByPhone, "0900000001"},
			Content:     Content{Kind: ContentTemplate, TemplateRef: "608", Params: map[string]string{"username": "An", "code": "1"}},
			Sender:      Sender{ID: "oa-1"},
			Attributes:  []Attribute{{"vip", "yes"}},
			Policy:      Policy{"TAG", "transaction", "user_status"},
			OnAmbiguous: Resend,
			OrderKey:    "order-1",
			Timing:      Timing{1795000000000, 1795000600000},
			Context:     Context{"acme", "corr-1", map[string]string{"order": "1"}},
		},
	}
}

func TestRequest_RoundTrip(t *testing.T) {
	want := fullSend()
	m, err := EncodeRequest(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRequest(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got.Send, want.Send)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	var flat map[string]any
	if err := msgpack.Unmarshal(m.Data, &flat); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"recipient", "not_before_ms", "tenant", "metadata"} {
		if _, ok := flat[key]; !ok {
			t.Errorf("no %s at the top level of %v", key, flat)
		}
	}
}
