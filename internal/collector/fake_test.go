package collector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// fake is a provider whose answers say what is to be found in them. Of a
// provider the collector needs its name and its parser, and calling anything
// else would be a fault.
type fake struct{ channels.Provider }

type script struct {
	Stats   int    `json:"stats,omitempty"`   // so many
	Records []int  `json:"records,omitempty"` // one for each, with an object of so many bytes
	Unit    string `json:"unit,omitempty"`    // of the stats
	Attrs   int    `json:"attrs,omitempty"`   // so many for each record
	Result  string `json:"result,omitempty"`
	Fail    string `json:"fail,omitempty"`  // to parse, with this error
	Panic   string `json:"panic,omitempty"` // with this value; "index" lets the runtime panic
}

func (s script) answer() *channels.Answer {
	body, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return &channels.Answer{Status: 200, Body: body, StartedMS: start + 100, TookUS: 2500}
}

func (fake) Name() string { return "fake" }

func (fake) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	var sc script
	if err := json.Unmarshal(ans.Body, &sc); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	switch {
	case max(sc.Stats, len(sc.Records), sc.Attrs) > 10_000:
		return nil, errors.New("more than a test needs")
	case sc.Fail != "":
		return nil, errors.New(sc.Fail)
	case sc.Panic == "index":
		_ = []int{}[len(sc.Panic)]
	case sc.Panic != "":
		panic(sc.Panic)
	}
	h := &channels.Harvest{Result: sc.Result}
	for i := range sc.Stats {
		value := fmt.Sprint(i)
		h.Stats = append(h.Stats, events.Stat{
			Metric: "SENT", Value: &value, Raw: value, Unit: events.Unit("count" + sc.Unit), Agg: events.AggCumulative,
			Bucket: events.Bucket{AtMS: ans.StartedMS},
			Dims:   map[string]string{"campaign": fmt.Sprintf("%d.%d", s.Number, i), "zone": a.Setting("zone", "none")},
			Path:   fmt.Sprintf("/data/%d", i),
		})
	}
	for i, size := range sc.Records {
		id := fmt.Sprintf("%d.%d", s.Number, i)
		attrs := map[string]string{"name": "c" + id}
		for i := range sc.Attrs {
			attrs[fmt.Sprintf("x%04d", i)] = "v"
		}
		h.Records = append(h.Records, events.Record{
			Kind: "campaign", ID: id, Attrs: attrs,
			Object: strings.Repeat("o", size), Path: fmt.Sprintf("/records/%d", i),
		})
	}
	return h, nil
}

const start = 1_800_000_000_000 // when the tests' requests were stored

// original encodes a request as the relay would have stored it.
func original(t testing.TB, r *events.Request) ledger.Original {
	t.Helper()
	m, err := events.EncodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: start}
}

func sendRequest(id string) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: id, Source: "/billing", Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		Kind: events.KindSend, Provider: "fake", Account: "shop", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "84900000001"},
			Content:   events.Content{Kind: events.ContentText, Text: "hello"},
			Context:   events.Context{Tenant: "t1", CorrelationID: "order-7", Metadata: map[string]string{"b": "2", "a": "1"}},
		},
	}
}

func reportRequest(id string) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: id, Source: "/billing"},
		Kind: events.KindReport, Provider: "fake", Account: "shop", Class: events.Bulk,
		Report: &events.Report{Report: "fake.campaigns", Context: events.Context{CorrelationID: "r"}},
	}
}

func commandRequest(id string) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: id, Source: "/billing"},
		Kind: events.KindCommand, Provider: "fake", Account: "shop", Class: events.Urgent,
		Command: &events.Command{Command: "conversation.tag.add", ConversationID: "c1", TagID: "7"},
	}
}

func cancelRequest(id string) *events.Request {
	return &events.Request{
		Meta: events.Meta{ID: id, Source: "/billing"},
		Kind: events.KindCancel, Provider: "fake", Account: "shop", Class: events.Urgent,
		Cancel: &events.Cancel{ID: "s-1", Context: events.Context{CorrelationID: "order-7"}},
	}
}

func account() *channels.Account {
	return &channels.Account{Provider: "fake", Name: "shop", Settings: map[string]string{"zone": "vn"}}
}
