package channelstest

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A shop is a provider that passes the suite. Its fields replace its methods,
// so that each test can break one thing.
type shop struct {
	traits   func(channels.Traits) channels.Traits
	contract func(*channels.Account, events.Contract) (events.Contract, error)
	prepare  func(*channels.Account, *events.Request, *channels.Call) (*channels.Call, error)
	judge    func(*channels.Account, channels.Step, *channels.Answer, channels.Verdict) channels.Verdict
	parse    func(*channels.Answer, *channels.Harvest) (*channels.Harvest, error)
}

func (*shop) Name() string { return "shop" }

func (s *shop) Traits() channels.Traits {
	t := channels.Traits{BaseURL: "https://shop.example/api", Settings: []string{"id"}, Secrets: []string{"token"}, Limits: channels.Limits{PerSecond: 1}}
	if s.traits != nil {
		return s.traits(t)
	}
	return t
}

func (s *shop) Contract(a *channels.Account) (events.Contract, error) {
	c := events.Contract{
		Provider: "shop", Account: a.Name,
		Sends:   []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
		Reports: []events.ReportForm{{Name: "shop.sales", Takes: []string{"filters.area"}}},
	}
	if s.contract != nil {
		return s.contract(a, c)
	}
	if a.Setting("id", "") == "" {
		return c, errors.New("setting id is missing")
	}
	return c, nil
}

func (s *shop) Prepare(a *channels.Account, r *events.Request, st channels.Step) (*channels.Call, error) {
	c := &channels.Call{Operation: "shop.sales", Method: "GET", Repeatable: true,
		URL:  a.BaseURL + "/sales?after=" + url.QueryEscape(st.Cursor),
		Auth: channels.Credential{In: channels.InQuery, Name: "token", Secret: "token"}}
	if r.Send != nil {
		body, _ := json.Marshal(map[string]string{"to": r.Send.Recipient.Value, "text": r.Send.Content.Text})
		c.Operation, c.Method, c.Repeatable, c.Body = "shop.send", "POST", false, body
		c.URL = a.BaseURL + "/people/" + url.PathEscape(r.Send.Recipient.Value)
		c.Auth = channels.Credential{In: channels.InBearer, Secret: "token"}
	}
	if s.prepare != nil {
		return s.prepare(a, r, c)
	}
	if r.Send != nil && (r.Send.Recipient.Value == "." || r.Send.Recipient.Value == "..") {
		return nil, channels.Refuse(r, "recipient.value", "is no phone number")
	}
	return c, nil
}

type sales struct {
	Success *bool           `json:"success"`
	Sold    json.RawMessage `json:"sold"`
	Next    string          `json:"next"`
	Area    json.RawMessage `json:"area"`
}

func (s *shop) Judge(a *channels.Account, r *events.Request, st channels.Step, ans *channels.Answer) channels.Verdict {
	v := judgeShop(r, ans)
	if s.judge != nil {
		return s.judge(a, st, ans, v)
	}
	return v
}

func judgeShop(r *events.Request, ans *channels.Answer) channels.Verdict {
	repeatable := r.Send == nil
	if v, decided := channels.JudgeTransport(repeatable, ans); decided {
		return v
	}
	v := channels.JudgeStatus(repeatable, ans)
	if v.Class != channels.OK {
		return v
	}
	var got sales
	if err := channels.DecodeJSON(ans.Body, &got); err != nil || got.Success == nil {
		v = channels.Verdict{Class: channels.Ambiguous, Reason: channels.ReasonUnexpectedAnswer, Detail: "the answer has no success"}
		if repeatable {
			v.Class = channels.Retry
		}
		return v
	}
	if r.Report != nil {
		v.Next = got.Next
	}
	return v
}

func (s *shop) Parse(a *channels.Account, r *events.Request, _ channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	h := new(channels.Harvest)
	var got sales
	if err := channels.DecodeJSON(ans.Body, &got); err != nil {
		return nil, err
	}
	if value, ok := channels.Decimal(got.Sold); ok && r.Report != nil && got.Sold != nil {
		h.Stats = append(h.Stats, events.Stat{Report: "shop.sales", Metric: "sold", Value: value, Raw: string(got.Sold),
			Unit: events.UnitCount, Agg: events.AggSum, Path: "/sold", Dims: map[string]string{"next": got.Next}})
	}
	if len(got.Area) > 0 && got.Area[0] == '{' && r.Report != nil {
		h.Records = append(h.Records, events.Record{Key: channels.RecordKey("shop", a.Name, "area", "1"),
			Report: "shop.sales", Kind: "area", ID: "1", Object: string(got.Area), Path: "/area"})
	}
	if s.parse != nil {
		return s.parse(ans, h)
	}
	return h, nil
}

// shopSuite is what the shop passes. Its golden files are written first.
func shopSuite(t *testing.T) Suite {
	t.Helper()
	dir := t.TempDir()
	s := Suite{
		Account:  channels.Account{Settings: map[string]string{"id": "7"}},
		Envelope: []string{"/success", "/next"},
		Cases: []Case{
			{Name: "send", Request: send("0900", "Hi"), Exchanges: []Exchange{{
				Want: Wire{Path: "/api/people/0900", Body: `{"text":"Hi", "to":"0900"}`}, Reply: Reply{Body: `{"success":true}`},
				Verdict: channels.Verdict{Class: channels.OK},
			}}},
			{Name: "sales", Request: events.Request{Report: &events.Report{Report: "shop.sales"}}, Exchanges: []Exchange{
				{
					Want: Wire{Method: "GET", Path: "/api/sales", Query: "after="}, Reply: Reply{Body: `{"success":true,"sold":"5","next":"p2","area":{"name":"north"}}`},
					Verdict: channels.Verdict{Class: channels.OK, Next: "p2"},
					Harvest: Harvest{Stats: 1, Records: 1, Golden: filepath.Join(dir, "1.golden")},
				},
				{
					Want: Wire{Method: "GET", Path: "/api/sales", Query: "after=p2"}, Reply: Reply{Body: `{"success":true,"sold":6}`},
					Verdict: channels.Verdict{Class: channels.OK},
					Harvest: Harvest{Stats: 1, Golden: filepath.Join(dir, "2.golden")},
				},
			}},
			{Name: "refused", Request: send("..", "Hi"), Refused: "recipient.value"},
		},
	}
	b := newBench(new(shop), s)
	for _, step := range b.steps(s.Cases[1]) {
		h, err := b.p.Parse(step.a, step.r, step.step, step.ex.Reply.answer())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(step.ex.Harvest.Golden, []byte(Describe(step.a, h)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func send(phone, text string) events.Request {
	return events.Request{Send: &events.Send{
		Recipient: events.Recipient{Kind: events.ByPhone, Value: phone}, Content: events.Content{Kind: events.ContentText, Text: text},
	}}
}
