package dispatcher

import (
	"maps"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// A template's variable was left as it is: brokers take such a subject, and put
// the request into no partition.
func TestARequestWithAWildcardForANameIsRefused(t *testing.T) {
	r := newRig(t)
	good, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "1", Source: "/test"}, Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
			Content:   events.Content{Kind: events.ContentText, Text: "xin chào"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for _, subject := range []string{"tram.send.fake.*.normal", "tram.send.*.shop.normal", "tram.send.fake.shop.*", "tram.report.fake.shop.>"} {
		m := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: good.Data}
		maps.Copy(m.Header, good.Header)
		m.Header.Set(nats.MsgIdHdr, subject)
		ack, err := r.b.JS.PublishMsg(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, ack.Sequence)
	}
	stop := r.start(nil)
	refused := func() {
		t.Helper()
		for i, got := range r.ends(seqs...) {
			if got.State != events.StateRejected || got.Why.Reason != events.ReasonEnvelope || got.Why.Detail == "" || got.Dead != ledger.DeadEvent {
				t.Errorf("request %d: %s (%s, %q)", i, got.State, got.Why.Reason, got.Why.Detail)
			}
		}
	}
	refused()
	r.ends(r.send("shop", events.Normal, "after", nil))
	stop()

	r.start(nil) // takes over, and refuses nothing a second time
	r.ends(r.send("shop", events.Normal, "later", nil))
	refused()
	if n := len(r.desk.made()); n != 2 {
		t.Errorf("%d calls, want those of the two good sends", n)
	}
}
