package dispatcher

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// fakeProvider sends a text to a phone, or reports in pages. What its answers
// mean, they say themselves.
type fakeProvider struct{ url string }

func (*fakeProvider) Name() string            { return "fake" }
func (*fakeProvider) Traits() channels.Traits { return channels.Traits{} }

func (*fakeProvider) Contract(a *channels.Account) (events.Contract, error) {
	return events.Contract{
		Provider: "fake", Account: a.Name,
		Sends:       []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
		Reports:     []events.ReportForm{{Name: "fake.pages", Takes: []string{"page.max_pages"}}},
		ExpectKinds: []string{promotion, "transaction"},
	}, nil
}

func (p *fakeProvider) Prepare(a *channels.Account, r *events.Request, s channels.Step) (*channels.Call, error) {
	c := &channels.Call{Operation: "fake.call", Method: http.MethodPost, URL: p.url, Repeatable: r.Send == nil}
	if r.Send != nil {
		if r.Send.Content.Text == "panic in prepare" {
			panic("prepare")
		}
		c.Body = []byte(r.Send.Recipient.Value + " " + r.Send.Content.Text)
	} else {
		c.Body = []byte("page " + cmp.Or(s.Cursor, "1"))
	}
	c.Header = map[string]string{"X-Account": a.Name}
	if a.Secrets != nil {
		c.Auth = channels.Credential{In: channels.InBearer, Secret: "token"}
	}
	return c, nil
}

func (*fakeProvider) Judge(_ *channels.Account, _ *events.Request, _ channels.Step, ans *channels.Answer) channels.Verdict {
	if ans.Failure != "" || ans.Status == 0 {
		return channels.Verdict{Class: channels.Ambiguous, Reason: string(ans.Failure), ProviderFault: true}
	}
	if string(ans.Body) == "panic" {
		panic("judge")
	}
	var v channels.Verdict
	if err := json.Unmarshal(ans.Body, &v); err != nil {
		return channels.Verdict{Class: channels.Ambiguous, Reason: "shape"}
	}
	return v
}

func (*fakeProvider) Parse(_ *channels.Account, _ *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	if ans.Status == http.StatusTeapot {
		return nil, fmt.Errorf("page %d cannot be read", s.Number)
	}
	return &channels.Harvest{Stats: make([]events.Stat, 2), Records: make([]events.Record, 1)}, nil
}

// A desk is the far side of the fake provider: it records every call and
// answers as the test says.
type desk struct {
	mu     sync.Mutex
	calls  []call
	answer func(n int, c call) (status int, v channels.Verdict) // n counts calls with the same body from 1
	hold   chan struct{}                                        // calls wait for it when set
}

type call struct {
	account, body, secret string
	at                    time.Time
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	c := call{account: r.Header.Get("X-Account"), body: string(b), secret: r.Header.Get("Authorization"), at: time.Now()}
	d.mu.Lock()
	d.calls = append(d.calls, c)
	n := 0
	for _, old := range d.calls {
		if old.body == c.body {
			n++
		}
	}
	answer, hold := d.answer, d.hold
	d.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	status, v := 200, channels.Verdict{Class: channels.OK, Evidence: events.Strong}
	if answer != nil {
		status, v = answer(n, c)
	}
	if v.Reason == "panic" {
		io.WriteString(w, "panic")
		return
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (d *desk) made() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]call(nil), d.calls...)
}

// twice returns the bodies of calls that were made more than once.
func (d *desk) twice() []string {
	seen := map[string]int{}
	var out []string
	for _, c := range d.made() {
		if seen[c.body]++; seen[c.body] == 2 {
			out = append(out, c.body)
		}
	}
	return out
}

// A rig is a broker, a provider, and what the test needs to see both.
type rig struct {
	t          *testing.T
	b          *brokertest.Broker
	partitions int
	desk       *desk
	srv        *httptest.Server
	read       *broker.Reader

	seen   map[uint64][]*ledger.Result // by request
	stored map[uint64]*ledger.Result   // by sequence in RESULTS
	next   uint64                      // position in RESULTS
	sent   int                         // by backlogs
}

func newRig(t *testing.T) *rig { return newRigOf(t, 8) }

func newRigOf(t *testing.T, partitions int) *rig {
	t.Parallel()
	b := brokertest.Start(t, func(s *broker.Streams) { s.Partitions = partitions })
	r := &rig{t: t, b: b, partitions: partitions, desk: &desk{}, seen: map[uint64][]*ledger.Result{}, stored: map[uint64]*ledger.Result{}}
	r.srv = httptest.NewServer(r.desk)
	t.Cleanup(r.srv.Close)
	r.read = broker.NewReader(r.b.JS)
	return r
}

const (
	steadyLease = 10 * time.Second // not lost on a machine that stalls
	shortLease  = time.Second      // of who is to lose it
)

// dispatcher makes one that works on a connection of its own.
func (r *rig) dispatcher(nc *nats.Conn, change func(*Config)) *Dispatcher {
	r.t.Helper()
	client, err := channels.NewClient(channels.ClientConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	cfg := Config{
		JS: r.b.JetStream(nc), Client: client, Providers: []channels.Provider{&fakeProvider{url: r.srv.URL}},
		Partitions: r.partitions, Lease: steadyLease, CallTimeout: 2 * time.Second, Grace: 3 * time.Second,
		Retry: RetryPolicy{Base: 10 * time.Millisecond, MaxAttempts: 3},
		Log:   slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, name := range []string{"shop", "bank", "slow"} {
		cfg.Accounts = append(cfg.Accounts, &Account{Account: channels.Account{Provider: "fake", Name: name}})
	}
	cfg.Accounts[2].Limits = ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(100)}}
	if change != nil {
		change(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// start runs a dispatcher until stop is called or the test ends.
func (r *rig) start(change func(*Config)) (stop func()) {
	r.t.Helper()
	return r.run(r.dispatcher(r.b.Conn, change))
}

func (r *rig) run(d *Dispatcher) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				r.t.Errorf("dispatcher: %v", err)
			}
		})
	}
	r.t.Cleanup(stop)
	return stop
}

// publish puts a message on a subject as any producer would.
func (r *rig) publish(subject, id string, data []byte) uint64 {
	r.t.Helper()
	s, err := events.ParseSubject(subject)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publishAs(subject, id, s.Kind.Type(), data)
}

func (r *rig) send(account string, class events.Class, id string, change func(*events.Send)) uint64 {
	r.t.Helper()
	s := &events.Send{
		Recipient: events.Recipient{Kind: events.ByPhone, Value: "09" + id},
		Content:   events.Content{Kind: events.ContentText, Text: "xin chào"},
	}
	if change != nil {
		change(s)
	}
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: id, Source: "/test"}, Kind: events.KindSend,
		Provider: "fake", Account: account, Class: class, Send: s,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publish(m.Subject, id, m.Data)
}

func (r *rig) report(id string, change func(*events.Report)) uint64 {
	r.t.Helper()
	rep := &events.Report{Report: "fake.pages"}
	if change != nil {
		change(rep)
	}
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: id, Source: "/test"}, Kind: events.KindReport,
		Provider: "fake", Account: "shop", Class: events.Normal, Report: rep,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publish(m.Subject, id, m.Data)
}

// results returns all results so far by request.
func (r *rig) results() map[uint64][]*ledger.Result {
	r.t.Helper()
	err := r.read.Replay(r.t.Context(), broker.Results, "tram.result.>", r.next, func(m *broker.Stored) error {
		res, err := ledger.DecodeResult(m.Data)
		if err == nil && !res.Resolved { // of a call
			r.chained(m.Seq, res)
			r.seen[res.Seq] = append(r.seen[res.Seq], res)
			r.next = m.Seq + 1
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.seen
}

// chained checks that a result names one before it of the same request, unless
// it is the first.
func (r *rig) chained(seq uint64, res *ledger.Result) {
	r.t.Helper()
	before, ok := r.stored[res.Prev]
	if res.Prev == 0 {
		ok = len(r.seen[res.Seq]) == 0
	} else {
		ok = ok && before.Seq == res.Seq && before.Call < res.Call
	}
	if !ok {
		r.t.Errorf("result %d, of request %d, call %d, says that %d is before it", seq, res.Seq, res.Call, res.Prev)
	}
	r.stored[seq] = res
}

func final(rs []*ledger.Result) (ends []*ledger.Result) {
	for _, res := range rs {
		if res.State != "" && res.State.Final() {
			ends = append(ends, res)
		}
	}
	return ends
}

// ends waits until every request has ended, each exactly once, and returns
// their last results.
func (r *rig) ends(seqs ...uint64) []*ledger.Result {
	r.t.Helper()
	var all map[uint64][]*ledger.Result
	r.eventually(func() string {
		all = r.results()
		open := 0
		for _, seq := range seqs {
			if len(final(all[seq])) == 0 {
				open++
			}
		}
		if open == 0 {
			return ""
		}
		return strconv.Itoa(open) + " requests have not ended"
	})
	var out []*ledger.Result
	for _, seq := range seqs {
		e := final(all[seq])
		if len(e) != 1 {
			r.t.Errorf("request %d has %d ends", seq, len(e))
		}
		out = append(out, e[0])
	}
	return out
}

// patience is how long a test waits for what must happen: a busy machine is slow,
// and only a test that fails waits for so long.
const patience = time.Minute

// eventually waits until check has nothing to complain about.
func (r *rig) eventually(check func() string) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal(complaint)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// publishAs publishes with a ce-type that need not fit the subject.
func (r *rig) publishAs(subject, id, ceType string, data []byte) uint64 {
	r.t.Helper()
	m := nats.NewMsg(subject)
	for k, v := range map[string]string{"ce-specversion": "1.0", "ce-id": id, "ce-source": "/test", "ce-type": ceType} {
		m.Header.Set(k, v)
	}
	m.Data = data
	return r.b.Publish(m)
}
