package sandbox

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A clock is time that a test moves by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A fixture is a sandbox on a real socket and a client that follows nothing.
type fixture struct {
	*Server
	t      *testing.T
	client *http.Client
}

func start(t *testing.T, o Options) *fixture {
	t.Helper()
	s := New(o)
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	f := &fixture{s, t, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
	})
	return f
}

// A reply is what a caller got to hear.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (f *fixture) do(method, path, token, contentType, body string) reply {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.URL()+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), err}
}

// want checks a reply and what the journal says about its call.
func (f *fixture) want(r reply, status int, body string, outcome Outcome) {
	f.t.Helper()
	if r.err != nil || r.status != status || !strings.Contains(r.body, body) {
		f.t.Errorf("got %d %s (%v), want %d with %s", r.status, r.body, r.err, status, body)
	}
	calls := f.Calls(Filter{})
	if last := calls[len(calls)-1]; last.Outcome != outcome || last.Status != status {
		f.t.Errorf("journal says %+v, want %s with status %d", last, outcome, status)
	}
}

const (
	caresoftToken = "sandbox-caresoft-token"
	ahachatToken  = "sandbox-ahachat-token"
	momoToken     = "sandbox-momo-token"
	oa            = "1600190000000000001"
	sendMessage   = "/caresoft/sandbox/api/v1/zalo/send-message"
	userStatus    = "/caresoft/sandbox/api/v1/zalo/user-status"
	report        = "/momo/v1/business-pages/130035/chat/messages/report"
)

func (f *fixture) sendCaresoft(body string) reply {
	f.t.Helper()
	return f.do("POST", sendMessage, caresoftToken, "application/json", body)
}

// text is a good CareSoft message to a phone number.
func text(phone string) string {
	return `{"zalo":{"phone_no":"` + phone + `","oa_id":"` + oa + `","message":"Xin chào"}}`
}

func TestUnknownPlaces(t *testing.T) {
	f := start(t, Options{})
	f.want(f.do("POST", "/nobody/x", "", "", ""), 404, "Not Found", Refused)
	f.want(f.do("POST", "/caresoft/sandbox/api/v1/zalo/zns", caresoftToken, "application/json", "{}"), 404, `"code":"errors"`, Refused)
	f.want(f.do("POST", "/ahachat/api/bots/1001/users//send?ahachat_token="+ahachatToken, "", "", ""), 404, `"success":false`, Refused)
	for _, c := range f.Calls(Filter{}) {
		if c.Operation != "unknown" || c.Account != "?" {
			t.Errorf("journal says %+v", c)
		}
	}
}

func TestStartTwiceAndAfterClose(t *testing.T) {
	s := New(Options{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start("127.0.0.1:0"); err == nil {
		t.Error("started twice")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	if _, err := s.Start("127.0.0.1:0"); err == nil {
		t.Error("started after Close")
	}
	if _, err := New(Options{}).Start("127.0.0.1:999999"); err == nil {
		t.Error("started on no port")
	}
}

func TestCloseLetsGoOfThoseWhoHang(t *testing.T) {
	f := start(t, Options{Latency: time.Hour})
	done := make(chan reply)
	go func() { done <- f.sendCaresoft(text("0900000001")) }()
	for deadline := time.Now().Add(10 * time.Second); len(f.Calls(Filter{})) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the call never arrived")
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

func TestLatency(t *testing.T) {
	f := start(t, Options{Latency: 30 * time.Millisecond, Jitter: 10 * time.Millisecond})
	began := time.Now()
	f.want(f.sendCaresoft(text("0900000001")), 200, "ok", Accepted)
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
}
