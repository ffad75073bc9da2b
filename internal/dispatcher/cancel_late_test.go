package dispatcher

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A broker that was the leader until a moment ago does not know of a cancel that the
// feed has brought.
func TestACancelIsReadThoughTheBrokerIsLate(t *testing.T) {
	r := newRig(t)
	nc := r.b.Connect()
	late := r.b.Connect()
	var lied atomic.Int32
	if _, err := late.Subscribe("LATE.API.>", func(m *nats.Msg) {
		api := strings.TrimPrefix(m.Subject, "LATE.API.")
		if api == "STREAM.MSG.GET."+broker.Requests && strings.Contains(string(m.Data), ".cancel") && strings.Contains(string(m.Data), "last_by_subj") && lied.Add(1) == 1 {
			m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","error":{"code":404,"err_code":10037,"description":"no message found"}}`))
			return
		}
		to := "$JS.API." + api
		if strings.HasPrefix(api, "$KV.") {
			to = api
		}
		on := nats.NewMsg(to)
		on.Reply, on.Data, on.Header = m.Reply, m.Data, m.Header
		late.PublishMsg(on)
	}); err != nil {
		t.Fatal(err)
	}
	if err := late.Flush(); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.NewWithAPIPrefix(nc, "LATE.API")
	if err != nil {
		t.Fatal(err)
	}
	r.run(r.dispatcher(nc, func(c *Config) { calm(c); c.JS = js }))
	r.ends(r.send("shop", events.Normal, "goes", nil))
	r.control("shop", true, "An", "a test")
	r.told("shop", events.LanePaused)
	r.send("shop", events.Normal, "waits", nil)
	first := r.cancel("shop", "waits")
	r.eventually(func() string {
		if lied.Load() == 0 {
			return "the cancel has not been asked for"
		}
		return ""
	})
	r.one(r.cancel("shop", "nothing"), events.StateFailed, ReasonTooLate)
	r.one(first, events.StateDone, ReasonTakenBack)
}
