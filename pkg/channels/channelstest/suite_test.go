package channelstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// finds runs the suite until it says want, and returns what it said if it never
// does.
func finds(p channels.Provider, s Suite, want string) (bool, []string) {
	b := newBench(p, s)
	said := func() bool { return strings.Contains(strings.Join(b.problems, "\n"), want) }
	for _, c := range s.Cases {
		if b.checkCase(c); said() {
			return true, nil
		}
	}
	for _, a := range areas {
		if a.check(b); said() {
			return true, nil
		}
	}
	return false, b.problems
}

func TestRun_PassesAGoodProvider(t *testing.T) {
	Run(t, new(shop), shopSuite(t))
}

// Each provider here is broken in one way, which the suite must tell.
func TestRun_FailsBrokenProviders(t *testing.T) {
	ok := channels.Verdict{Class: channels.OK}
	for name, tt := range map[string]struct {
		want  string
		shop  shop
		suite func(*Suite)
	}{
		"a panic in Judge": {want: "Judge panics", shop: shop{judge: func(*channels.Account, channels.Step, *channels.Answer, channels.Verdict) channels.Verdict {
			panic("no")
		}}},
		"a panic on a hostile body": {want: "Parse panics", shop: shop{parse: func(ans *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			var v struct{ Sold any }
			_ = json.Unmarshal(ans.Body, &v)
			if v.Sold != nil {
				_ = v.Sold.(string)[0]
			}
			return h, nil
		}}},
		"no class": {want: "is none of the classes", shop: shop{judge: func(_ *channels.Account, _ channels.Step, ans *channels.Answer, v channels.Verdict) channels.Verdict {
			if ans.Status == 418 {
				return channels.Verdict{}
			}
			return v
		}}},
		"no reason": {want: "without reason", shop: shop{judge: func(_ *channels.Account, _ channels.Step, ans *channels.Answer, v channels.Verdict) channels.Verdict {
			v.Reason = ""
			return v
		}}},
		"everything is OK": {want: "passes for success", shop: shop{judge: func(*channels.Account, channels.Step, *channels.Answer, channels.Verdict) channels.Verdict { return ok }}},
		"a timeout is retried": {want: "timeout, written true", shop: shop{judge: func(_ *channels.Account, _ channels.Step, ans *channels.Answer, v channels.Verdict) channels.Verdict {
			if v.Class == channels.Ambiguous && ans.Failure != "" {
				v.Class = channels.Retry
			}
			return v
		}}},
		"a 502 is retried": {want: "status 502", shop: shop{judge: func(_ *channels.Account, _ channels.Step, ans *channels.Answer, v channels.Verdict) channels.Verdict {
			if ans.Status == 502 {
				v.Class = channels.Retry
			}
			return v
		}}},
		"an empty 200 passes": {want: "without a body is ok", shop: shop{judge: func(_ *channels.Account, _ channels.Step, ans *channels.Answer, v channels.Verdict) channels.Verdict {
			if ans.Status == 200 && len(ans.Body) == 0 && ans.Failure == "" {
				return ok
			}
			return v
		}}},
		"a deaf throttle": {want: "429 with Retry-After", shop: shop{judge: func(_ *channels.Account, _ channels.Step, _ *channels.Answer, v channels.Verdict) channels.Verdict {
			v.Cooldown = 0
			return v
		}}},
		"a moody verdict": {want: "the verdict is not deterministic", shop: func() shop {
			n := 0
			return shop{judge: func(_ *channels.Account, _ channels.Step, _ *channels.Answer, v channels.Verdict) channels.Verdict {
				n++
				v.ProviderCode = fmt.Sprint(n)
				return v
			}}
		}()},
		"a moody harvest": {want: "parse is not deterministic", shop: func() shop {
			n := 0
			return shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
				n++
				h.Result = fmt.Sprint(n)
				return h, nil
			}}
		}()},
		"OK, yet not to be parsed": {want: "is OK, but cannot be parsed", shop: shop{parse: func(ans *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			if !strings.Contains(string(ans.Body), `"p2"`) {
				return nil, errors.New("no next")
			}
			return h, nil
		}}},
		"a lost number": {want: "/sold", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			h.Stats = nil
			return h, nil
		}}},
		"a record that lacks a part": {want: "/area/name", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			for i := range h.Records {
				h.Records[i].Object = "{}"
			}
			return h, nil
		}}},
		"a record key of its own": {want: "the key is not RecordKey's", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			for i := range h.Records {
				h.Records[i].Key = "1"
			}
			return h, nil
		}}},
		"a rounded number": {want: "the value is not that of", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			for i := range h.Stats {
				h.Stats[i].Value = new("4.99")
			}
			return h, nil
		}}},
		"a path to nowhere": {want: "nothing is at", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			for i := range h.Stats {
				h.Stats[i].Path = "/elsewhere"
			}
			return h, nil
		}}},
		"two points of one key": {want: "have the same key", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			for i := range h.Stats {
				h.Stats[i].Dims = nil // which tell the pages apart
			}
			return h, nil
		}}},
		"a harvest that has changed": {want: "differs from", shop: shop{parse: func(_ *channels.Answer, h *channels.Harvest) (*channels.Harvest, error) {
			for i := range h.Stats {
				h.Stats[i].Unit = events.UnitRatio
			}
			return h, nil
		}}},
		"a path that can be left": {want: "the call's path has other parts", shop: shop{prepare: func(a *channels.Account, r *events.Request, c *channels.Call) (*channels.Call, error) {
			if r.Send != nil {
				c.URL = a.BaseURL + "/people/" + strings.ReplaceAll(url.QueryEscape(r.Send.Recipient.Value), "%2F", "/")
			}
			return c, nil
		}}},
		"a query that can be added to": {want: "the call's query has other parts", shop: shop{prepare: func(a *channels.Account, r *events.Request, c *channels.Call) (*channels.Call, error) {
			if r.Send != nil {
				c.URL += "?text=" + strings.ReplaceAll(r.Send.Content.Text, " ", "+")
			}
			return c, nil
		}}},
		"a body that is pasted": {want: "the call's body is not JSON", shop: shop{prepare: func(_ *channels.Account, r *events.Request, c *channels.Call) (*channels.Call, error) {
			if r.Send != nil {
				c.Body = []byte(`{"to":"` + r.Send.Recipient.Value + `","text":"` + r.Send.Content.Text + `"}`)
			}
			return c, nil
		}}},
		"a secret in the body": {want: "a secret is where it should not be", shop: shop{prepare: func(a *channels.Account, r *events.Request, c *channels.Call) (*channels.Call, error) {
			if r.Send != nil {
				c.Body = []byte(a.Secrets["token"].Reveal())
			}
			return c, nil
		}}},
		"a secret in the URL": {want: "the call has a secret in it", shop: shop{prepare: func(a *channels.Account, r *events.Request, c *channels.Call) (*channels.Call, error) {
			c.URL += "&t=" + url.QueryEscape(a.Secrets["token"].Reveal())
			return c, nil
		}}},
		"a secret in a verdict": {want: "gives a secret away", shop: shop{judge: func(a *channels.Account, _ channels.Step, _ *channels.Answer, v channels.Verdict) channels.Verdict {
			v.Detail += a.Secrets["token"].Reveal()
			return v
		}}},
		"another body":    {want: "body\n got", suite: func(s *Suite) { s.Cases[0].Exchanges[0].Want.Body = "{}" }},
		"another path":    {want: "path\n got", suite: func(s *Suite) { s.Cases[0].Exchanges[0].Want.Path = "/api/people/0901" }},
		"another query":   {want: "query\n got", suite: func(s *Suite) { s.Cases[1].Exchanges[1].Want.Query = "after=p3" }},
		"another verdict": {want: "verdict\n got", suite: func(s *Suite) { s.Cases[0].Exchanges[0].Verdict.Evidence = events.Strong }},
		"an exchange that is not used": {want: "1 scripted exchanges are not used", suite: func(s *Suite) {
			s.Cases[0].Exchanges = append(s.Cases[0].Exchanges, s.Cases[0].Exchanges[0])
		}},
		"an expected refusal that does not come": {want: "want a refusal of content.text", suite: func(s *Suite) {
			s.Cases[0].Refused = "content.text"
		}},
		"a request that is refused": {want: "the contract refuses the request", suite: func(s *Suite) {
			s.Cases[0].Request.Send.Content.Kind = events.ContentBlock
		}},
		"a case of nothing": {want: "has no exchanges", suite: func(s *Suite) { s.Cases[0].Exchanges = nil }},
		"a golden file that is not there": {want: "read golden file", suite: func(s *Suite) {
			s.Cases[1].Exchanges[0].Harvest.Golden = "testdata/no.golden"
		}},
		"a harvest that nobody looks at": {want: "names no golden file", suite: func(s *Suite) { s.Cases[1].Exchanges[0].Harvest.Golden = "" }},
		"a send without a case":          {want: "no case sends text to phone", suite: func(s *Suite) { s.Cases = s.Cases[1:] }},
		"a report without a case":        {want: "no case fetches the report shop.sales", suite: func(s *Suite) { s.Cases = s.Cases[:1] }},
		"a command without a case": {want: "no case carries out the command shop.open", shop: shop{contract: func(_ *channels.Account, c events.Contract) (events.Contract, error) {
			c.Commands = []events.CommandForm{{Name: "shop.open"}}
			return c, nil
		}}},
		"a report of another provider": {want: "does not begin with shop.", shop: shop{contract: func(_ *channels.Account, c events.Contract) (events.Contract, error) {
			c.Reports = append(c.Reports, events.ReportForm{Name: "market.sales"})
			return c, nil
		}}},
		"a setting that is missing, unnamed": {want: "does not name it", shop: shop{contract: func(a *channels.Account, c events.Contract) (events.Contract, error) {
			if a.Settings["id"] == "" {
				return c, errors.New("something is missing")
			}
			return c, nil
		}}},
		"no limit":           {want: "have no limit", shop: shop{traits: func(t channels.Traits) channels.Traits { t.Limits = channels.Limits{}; return t }}},
		"an insecure base":   {want: "is no https URL", shop: shop{traits: func(t channels.Traits) channels.Traits { t.BaseURL = "http://shop.example/api"; return t }}},
		"undeclared setting": {want: "which the traits do not", shop: shop{traits: func(t channels.Traits) channels.Traits { t.Settings = nil; return t }}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shopSuite(t)
			if tt.suite != nil {
				tt.suite(&s)
			}
			if found, said := finds(&tt.shop, s, tt.want); !found {
				t.Errorf("the suite does not say %q, but\n%s", tt.want, strings.Join(said[:min(len(said), 5)], "\n"))
			}
		})
	}
}

func TestLeaked(t *testing.T) {
	secret := canary("token").Reveal()
	for _, form := range append(echoForms(secret), fmt.Sprintf("%q", secret)) {
		inJSON, _ := json.Marshal(form)
		for _, text := range []string{form, fmt.Sprintf("%#v", form), string(inJSON)} {
			if leaked("x "+text+" y") == "" {
				t.Errorf("%s is not found", text)
			}
		}
	}
	if leaked("[REDACTED] and cnry") != "" {
		t.Error("what is no secret is found")
	}
}

func TestLeaves(t *testing.T) {
	body := []byte(`{"a":[1,{"b/c":null}],"d":{},"e":"x"}`)
	want := []leaf{{"/a/0", "1"}, {"/a/1/b~1c", "null"}, {"/e", `"x"`}}
	if got := leaves(body); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("leaves %v", got)
	}
	if got := replaced(body, "/a/1/b~1c", "[2]"); got != `{"a":[1,{"b/c":[2]}],"d":{},"e":"x"}` {
		t.Error(got)
	}
	if raw, ok := lookup(body, "/a/1"); !ok || string(raw) != `{"b/c":null}` {
		t.Errorf("lookup %s %t", raw, ok)
	}
	if _, ok := lookup(body, "/a/2"); ok {
		t.Error("what is not there is found")
	}
	if !matches("/a/*/x", "/a/b/x") || matches("/a/*", "/a/b/x") || below("/ab", "/a") || !below("/a/b", "/a") {
		t.Error("patterns match wrongly")
	}
}
