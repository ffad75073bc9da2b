package dispatcher

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// The largest request with an answer that just does not fit beside it: it ends
// after one call, counts nothing that nobody is told, and costs nobody else.
func TestAnAnswerThatDoesNotFitBesideItsRequest(t *testing.T) {
	r := newRig(t)
	payload := int(r.b.Conn.MaxPayload())
	r.desk.answer = func(int, call) (int, channels.Verdict) {
		return 200, channels.Verdict{Class: channels.OK, Next: strings.Repeat("n", 4<<10), Detail: strings.Repeat("y", payload-(305<<10))}
	}
	client, err := channels.NewClient(channels.ClientConfig{MaxBody: payload})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r.start(func(c *Config) {
		calm(c)
		c.Client = client
	})
	const body, head = 236 << 10, 63 << 10
	m := nats.NewMsg("tram.report.fake.shop.normal")
	for k, v := range map[string]string{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/test", "ce-type": events.KindReport.Type(), "x": strings.Repeat("x", head),
	} {
		m.Header[k] = []string{v}
	}
	m.Data = binary.BigEndian.AppendUint32([]byte("\x82\xa6report\xaafake.pages\xa3pad\xc6"), body)
	m.Data = append(m.Data, make([]byte, body)...)
	end := r.one(r.b.Publish(m), events.StateFailed, ReasonUnreadableAnswer)
	if end.Call != 1 || end.Stats+end.Records != 0 || end.Dead != ledger.DeadAnswer {
		t.Errorf("got call %d, %d stats, %d records, dead letter %q", end.Call, end.Stats, end.Records, end.Dead)
	}
}
