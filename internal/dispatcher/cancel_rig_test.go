package dispatcher

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// cancel publishes a cancel of the request with an id.
func (r *rig) cancel(account, id string) uint64 {
	r.t.Helper()
	return r.b.Publish(r.cancelMsg(account, id))
}

func (r *rig) cancelMsg(account, id string) *nats.Msg {
	r.t.Helper()
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: events.NewID(), Source: "/desk"}, Kind: events.KindCancel,
		Provider: "fake", Account: account, Class: events.Bulk,
		Cancel: &events.Cancel{ID: id, Source: "/test"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// pause holds the account, which the dispatcher that runs must know by now.
func (r *rig) pause(account string) {
	r.t.Helper()
	r.control(account, true, "An", "a test")
	r.told(account, events.LanePaused)
}

// one waits for the end of a request and checks it.
func (r *rig) one(seq uint64, state events.State, reason string) *ledger.Result {
	r.t.Helper()
	end := r.ends(seq)[0]
	if end.State != state || end.Why.Reason != reason {
		r.t.Errorf("request %d ended as %s (%s, %s), want %s (%s)", seq, end.State, end.Why.Reason, end.Why.Detail, state, reason)
	}
	if end.State == events.StateCancelled && (end.Attempt != 0 || end.Dead != "") {
		r.t.Errorf("a cancelled request has %d attempts, and a dead letter %q", end.Attempt, end.Dead)
	}
	return end
}

// byID waits for the end of the request with an id that has come back from LATER.
func (r *rig) byID(id string) (end *ledger.Result) {
	r.t.Helper()
	r.eventually(func() string {
		for _, rs := range r.results() {
			for _, e := range final(rs) {
				if e.Request.Header["ce-id"][0] == id {
					end = e
					return ""
				}
			}
		}
		return id + " has not ended"
	})
	return end
}

// calm keeps a busy machine from taking calls away.
func calm(c *Config) { c.CallTimeout = time.Minute }

func (r *rig) called(id string) bool {
	return slices.ContainsFunc(r.desk.made(), func(c call) bool { return strings.HasPrefix(c.body, "09"+id+" ") })
}

func (r *rig) sendBody() []byte {
	r.t.Helper()
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "x", Source: "/test"}, Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Bulk,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
			Content:   events.Content{Kind: events.ContentText, Text: "xin chào"},
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Data
}

// void stores the void of a cancel as an owner does that works it.
func (r *rig) void(account, id string, cancel uint64) {
	r.t.Helper()
	n := broker.Partition("fake", account, r.partitions)
	m := nats.NewMsg(broker.VoidSubject(n, "fake", account, broker.RequestName("/test", id)))
	m.Header.Set(voidHeader, strconv.FormatUint(cancel, 10))
	r.b.Publish(m)
}
