package mask

import (
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/events"
)

func TestRequest(t *testing.T) {
	r := &events.Request{Kind: events.KindSend, Send: &events.Send{
		Recipient:  events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
		Content:    events.Content{Kind: events.ContentText, Text: "Mã OTP: 123456"},
		Attributes: []events.Attribute{{Name: "vip", Value: "Nguyễn Văn An"}},
		Context:    events.Context{CorrelationID: "c-1", Metadata: map[string]string{"name": "Nguyễn Văn An", "tenant": "Nguyễn"}},
	}}
	if got := string(Request(r, true)); !strings.Contains(got, "0900000001") || !strings.Contains(got, "123456") {
		t.Errorf("revealed: %s", got)
	}
	got := string(Request(r, false))
	for _, secret := range []string{"0900000001", "123456", "OTP", "Nguyễn"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is told: %s", secret, got)
		}
	}
	for _, want := range []string{`"value":"09******01"`, `"text":"(14 characters)"`, `"kind":"phone"`, `"name":"vip"`, `"correlation_id":"c-1"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not told: %s", want, got)
		}
	}
	if got := Words(r, "0900000001 has blocked you", false); got != "09******01 has blocked you" {
		t.Errorf("words: %q", got)
	}
	if Request(nil, false) != nil || Words(nil, "x", false) != "x" {
		t.Error("of no request something is told")
	}
}
