package dispatcher

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A stillProvider stands still when it has an answer, as its process may.
type stillProvider struct {
	*fakeProvider
	has, goOn chan struct{}
	once      sync.Once
}

func (p *stillProvider) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	p.once.Do(func() { close(p.has); <-p.goOn })
	return p.fakeProvider.Judge(a, r, s, ans)
}

// A process that stands still between the answer and its result, for longer than
// the broker remembers that another has told one.
func TestWhoStoodStillTellsNoSecondEnd(t *testing.T) {
	t.Parallel()
	const remembers = 3 * time.Second
	b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions, s.Duplicates = 8, remembers })
	r := &rig{t: t, b: b, partitions: 8, desk: &desk{}, seen: map[uint64][]*ledger.Result{}, stored: map[uint64]*ledger.Result{}}
	r.srv = httptest.NewServer(r.desk)
	t.Cleanup(r.srv.Close)
	r.read = broker.NewReader(b.JS)

	cable := newProxy(t, strings.TrimPrefix(b.URL, "nats://"))
	nc, err := broker.Connect(t.Context(), broker.Config{URLs: []string{"nats://" + cable.addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	still := &stillProvider{fakeProvider: &fakeProvider{url: r.srv.URL}, has: make(chan struct{}), goOn: make(chan struct{})}
	stop := r.run(r.dispatcher(nc, func(c *Config) {
		c.Providers, c.Lease, c.DedupWindow = []channels.Provider{still}, shortLease, remembers
	}))
	seq := r.send("shop", events.Normal, "once", nil)
	<-still.has
	cable.cut()
	r.start(func(c *Config) { c.DedupWindow = remembers })
	if got := r.ends(seq)[0]; got.State != events.StateUnknown {
		t.Fatalf("the new owner says %s", got.State)
	}
	forgotten := time.Now().Add(2 * remembers)
	r.eventually(func() string {
		if time.Now().Before(forgotten) {
			return "the broker still remembers"
		}
		return ""
	})
	cable.mend()
	r.eventually(func() string {
		if nc.IsConnected() {
			return ""
		}
		return "not connected"
	})
	close(still.goOn)
	stop()
	if ends := final(r.results()[seq]); len(ends) != 1 {
		t.Errorf("ended %d times", len(ends))
	}
}
