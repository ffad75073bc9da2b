package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func (f *fixture) get(path string, v any) {
	f.t.Helper()
	r := f.do("GET", adminPrefix+path, "", "", "")
	if r.err != nil || r.status != 200 {
		f.t.Fatalf("GET %s: %+v", path, r)
	}
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		f.t.Fatal(err)
	}
}

func TestAdminCalls(t *testing.T) {
	f := start(t, Options{})
	f.sendCaresoft(text("0900000001"))
	f.sendCaresoft(text("0900000002"))
	f.sendCaresoft("{}")
	f.do("POST", "/ahachat/api/bots/1001/users/7/send?ahachat_block_name=b&ahachat_token="+ahachatToken, "", "", "")
	for query, want := range map[string]int{
		"": 4, "?provider=caresoft": 3, "?provider=caresoft&recipient=0900000001": 1, "?account=1001": 1,
		"?outcome=refused": 1, "?operation=ahachat.send_to_user": 1, "?limit=2": 2, "?limit=0": 0, "?recipient=nobody": 0,
	} {
		var calls []Call
		f.get("calls"+query, &calls)
		if len(calls) != want || calls == nil {
			t.Errorf("calls%s: %d, want %d", query, len(calls), want)
		}
	}
	if r := f.do("GET", adminPrefix+"calls?limit=x", "", "", ""); r.status != 400 {
		t.Errorf("limit=x: %+v", r)
	}
	if r := f.do("GET", adminPrefix+"calls", "", "", ""); strings.Contains(r.body, "token") {
		t.Errorf("a token in the journal: %s", r.body)
	}
	c := f.Calls(Filter{Recipient: "0900000001"})[0]
	if c.Provider != "caresoft" || c.Account != "sandbox" || c.Connection == "" || c.Request == "" || c.Content == "" || c.At.IsZero() || c.Seq != 1 {
		t.Errorf("call %+v", c)
	}
	if other := f.Calls(Filter{Recipient: "0900000002"})[0]; other.Content != c.Content || other.Request == c.Request {
		t.Errorf("the same text to another recipient: %+v", other)
	}
}

func TestDigestLeavesTheTokenOut(t *testing.T) {
	f := start(t, Options{})
	path := "/ahachat/api/bots/1001/users/7/send?ahachat_block_name=b&ahachat_token="
	f.do("POST", path+ahachatToken, "", "", "")
	f.do("POST", path+"wrong", "", "", "")
	if calls := f.Calls(Filter{}); calls[0].Request != calls[1].Request {
		t.Error("the digest depends on the token")
	}
}

func TestAdminStats(t *testing.T) {
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	f := start(t, Options{Now: c.Now})
	f.fault(Fault{Recipient: "0900000009", Status: 503})
	for _, phone := range []string{"0900000001", "0900000002", "0900000001", "0900000009", "0900000001"} {
		f.sendCaresoft(text(phone))
		c.Add(300 * time.Millisecond)
	}
	f.sendCaresoft("{}")
	f.do("POST", "/caresoft/nobody/api/v1/zalo/send-message", "", "", "")

	var s Stats
	f.get("stats", &s)
	if s.Calls != 7 || s.Accepted != 4 || s.Refused != 2 || s.Lost != 1 || s.Duplicates != 2 {
		t.Errorf("stats %+v", s)
	}
	if got := fmt.Sprint(s.Operations["caresoft.send_message"]); got != "map[200:5 404:1 503:1]" {
		t.Errorf("operations %s", got)
	}
	a := s.Accounts["caresoft/sandbox"]
	if a.Calls != 6 || a.Accepted != 4 || a.MaxPerSecond != 4 || a.Last.Sub(a.First) != 1500*time.Millisecond {
		t.Errorf("account %+v", a)
	}
	if s.Accounts["caresoft/?"].Calls != 1 {
		t.Errorf("unknown account %+v", s.Accounts)
	}
	if len(s.DuplicateList) != 1 || s.DuplicateList[0].Recipient != "0900000001" || s.DuplicateList[0].Count != 3 {
		t.Errorf("duplicates %+v", s.DuplicateList)
	}

	if r := f.do("POST", adminPrefix+"reset", "", "", ""); r.status != 204 {
		t.Errorf("reset: %+v", r)
	}
	if s := f.Stats(); s.Calls != 0 || len(s.Accounts) != 0 || len(f.Calls(Filter{})) != 0 || len(f.Faults()) != 0 {
		t.Errorf("after reset: %+v", s)
	}
}

func TestAdminFaults(t *testing.T) {
	f := start(t, Options{})
	post := func(body string) reply { return f.do("POST", adminPrefix+"faults", "", "application/json", body) }
	r := post(`[{"provider":"caresoft","status":429,"header":{"Retry-After":"1"},"count":1},{"how":"html"}]`)
	if r.status != 200 || !strings.Contains(r.body, `"id": 2`) {
		t.Errorf("two faults: %+v", r)
	}
	if r := post(` {"delay_ms":1,"nth":2}`); r.status != 200 {
		t.Errorf("one fault: %+v", r)
	}
	for body, want := range map[string]string{
		`{"status":42}`:                "status 42",
		`[{"status":500},{"how":"x"}]`: "fault 2",
		`{"statu":500}`:                "unknown field",
		`nonsense`:                     "invalid character",
		``:                             "EOF",
	} {
		if r := post(body); r.status != 400 || !strings.Contains(r.body, want) {
			t.Errorf("POST %s: %d %s", body, r.status, r.body)
		}
	}
	f.want(f.sendCaresoft(text("0900000001")), 429, "", Lost)
	f.want(f.sendCaresoft(text("0900000001")), 200, "doctype", Lost)
	var list []Fault
	f.get("faults", &list)
	if len(list) != 3 || list[0].Hits != 1 || list[1].Hits != 1 {
		t.Errorf("faults %+v", list)
	}
	if r := f.do("DELETE", adminPrefix+"faults/2", "", "", ""); r.status != 204 {
		t.Errorf("delete: %+v", r)
	}
	if r := f.do("DELETE", adminPrefix+"faults/2", "", "", ""); r.status != 404 {
		t.Errorf("delete again: %+v", r)
	}
	if r := f.do("DELETE", adminPrefix+"faults", "", "", ""); r.status != 204 || len(f.Faults()) != 0 {
		t.Errorf("delete all: %+v", r)
	}
	if r := f.do("GET", adminPrefix+"nothing", "", "", ""); r.status != 404 {
		t.Errorf("unknown path: %+v", r)
	}
}

func TestJournalIsBounded(t *testing.T) {
	for limit, want := range map[int][]string{3: {"0900000005", "0900000006", "0900000007"}, -1: {}} {
		f := start(t, Options{Journal: limit})
		for i := range 8 {
			f.sendCaresoft(text(fmt.Sprintf("090000000%d", i)))
		}
		got := []string{}
		for _, c := range f.Calls(Filter{}) {
			got = append(got, c.Recipient)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || f.Stats().Calls != 8 {
			t.Errorf("journal of %d: %v, want %v", limit, got, want)
		}
	}
}

// TestParallel is for the race detector, and without a listener.
func TestParallel(t *testing.T) {
	s := New(Options{Accounts: []Account{{Provider: "caresoft", ID: "sandbox", Token: caresoftToken, OAs: []string{oa}, PerSecond: -1, PerHour: -1}}, Jitter: time.Millisecond})
	defer s.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 25 {
				r := httptest.NewRequest("POST", sendMessage, strings.NewReader(text(fmt.Sprintf("09%08d", i*25+j))))
				r.Header.Set("Authorization", "Bearer "+caresoftToken)
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				if _, err := s.AddFault(Fault{Recipient: "nobody", Status: 500}); err != nil {
					t.Error(err)
				}
				s.Stats()
				s.Calls(Filter{Recipient: "nobody"})
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.Accepted != 200 || st.Duplicates != 0 {
		t.Errorf("stats %+v", st)
	}
}
