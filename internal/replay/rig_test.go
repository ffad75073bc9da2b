package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// shop is a provider whose answers are JSON objects of numbers, each a stat. A
// shop with a factor multiplies them, one with a prefix reads nothing that does
// not begin with it.
type shop struct {
	channels.Provider // nothing of it but the parser is called
	factor            int
	metric            string
	reads             func(request string) // is called before an answer is read, if it is not nil
}

func (shop) Name() string { return "shop" }

func (p shop) Parse(_ *channels.Account, req *events.Request, _ channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	if p.reads != nil {
		p.reads(req.ID)
	}
	var counts map[string]int
	if err := json.Unmarshal(ans.Body, &counts); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	h := &channels.Harvest{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		h.Stats = append(h.Stats, events.Stat{
			Metric: name + p.metric, Value: new(fmt.Sprint(counts[name] * p.factor)), Unit: events.UnitCount, Agg: events.AggSum,
			Bucket: events.Bucket{AtMS: ans.StartedMS}, Path: "/" + name, Dims: map[string]string{"staff": "Nguyễn Văn An"},
		})
	}
	return h, nil
}

func makerOf(p shop) *Maker {
	return NewMaker([]channels.Provider{p}, []*channels.Account{{Provider: "shop", Name: "a"}, {Provider: "shop", Name: "b"}})
}

var right, wrong = shop{factor: 1}, shop{factor: 100}

// A rig is a broker that remembers ids for a tenth of a second only.
type rig struct {
	*brokertest.Broker
	*testing.T
	jobs *Jobs
	seq  uint64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, Broker: brokertest.Start(t, func(s *broker.Streams) { s.Duplicates = 100 * time.Millisecond })}
	jobs, err := Open(t.Context(), r.JS)
	if err != nil {
		t.Fatal(err)
	}
	r.jobs = jobs
	return r
}

// store stores results of n sends and of one report for each ten of them, of
// two accounts.
func (r *rig) store(n int) {
	r.Helper()
	for i := range n {
		account := []string{"a", "b"}[i%2]
		r.result(account, &events.Request{
			Kind: events.KindSend, Class: events.Normal,
			Send: &events.Send{Recipient: events.Recipient{Kind: events.ByPhone, Value: fmt.Sprintf("09%08d", i)}, Content: events.Content{Kind: events.ContentText, Text: "chào"}},
		}, events.StateAccepted, "{}")
		if i%10 == 0 {
			r.result(account, &events.Request{Kind: events.KindReport, Class: events.Bulk, Report: &events.Report{Report: "shop.counts"}}, events.StateDone, `{"READ": 5, "SENT": 7}`)
		}
	}
	select {
	case <-r.JS.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		r.Fatal("results are not stored")
	}
}

func (r *rig) result(account string, req *events.Request, state events.State, body string) {
	r.Helper()
	r.seq++
	req.Meta = events.Meta{ID: fmt.Sprintf("r-%d", r.seq), Source: "/test", Time: time.UnixMilli(1_800_000_000_000)}
	req.Provider, req.Account = "shop", account
	m, err := events.EncodeRequest(req)
	if err != nil {
		r.Fatal(err)
	}
	data, err := ledger.EncodeResult(&ledger.Result{
		Seq: r.seq, Call: 1, Attempt: 1, Step: 1, State: state, Parse: true, AtMS: 1_800_000_000_000,
		Request: ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: 1_800_000_000_000},
		Answer:  &channels.Answer{Status: 200, Body: []byte(body), StartedMS: 1_800_000_000_000},
	})
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.JS.PublishAsync(broker.ResultSubject(broker.Partition("shop", account, 64), "shop", account), data); err != nil {
		r.Fatal(err)
	}
}

// collect has a collector with p make events of all results.
func (r *rig) collect(p shop) {
	r.Helper()
	c, err := collector.New(collector.Config{
		JS: r.JS, Providers: []channels.Provider{p}, Accounts: []*channels.Account{{Provider: "shop", Name: "a"}, {Provider: "shop", Name: "b"}},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	r.AwaitAcknowledged(broker.Results, collector.Durable)
	cancel()
	if err := <-ended; err != nil {
		r.Fatal(err)
	}
}

func (r *rig) job(change func(*Job)) *Job {
	r.Helper()
	j := &Job{Name: "j", Keep: time.Hour}
	if change != nil {
		change(j)
	}
	if err := r.jobs.New(r.Context(), j); err != nil {
		r.Fatal(err)
	}
	return j
}

func (r *rig) run(j *Job, p shop) {
	r.Helper()
	if err := r.jobs.Run(r.Context(), j, makerOf(p), func(*Job) {}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) diff(p shop, s Selection) *Comparison {
	r.Helper()
	c, err := (&Diff{JS: r.JS, Maker: makerOf(p), Choose: s, Show: 5}).Run(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// content is all of an event but how it was published, by its id.
func content(prefix string, all []*broker.Stored) map[string]string {
	by := map[string]string{}
	for _, m := range all {
		h := nats.Header{}
		for name, v := range m.Header {
			if name != events.HeaderMsgID && name != events.HeaderReplay {
				h[name] = v
			}
		}
		by[m.Header.Get(events.HeaderID)] += fmt.Sprint(m.Subject[len(prefix):], h, m.Data) // two of one id are longer than one
	}
	return by
}
