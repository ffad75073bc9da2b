package channelstest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// An accident is a way in which a call can go, with an eye to the secrets in
// it.
type accident struct {
	name    string
	failure channels.Failure
	host    func(*stage) string // defaults to the plain server
	serve   func(http.ResponseWriter, *http.Request)
}

// nobody is where no server listens. The port of one that was closed might be
// another's by now.
const nobody = "http://127.0.0.1:1"

// A stage has the servers of checkSecrets.
type stage struct{ plain, tls *httptest.Server }

var accidents = []accident{
	{name: "an echo", serve: echo(200)},
	{name: "a refusal that echoes", serve: echo(401)},
	{name: "a server error that echoes", serve: echo(500)},
	{name: "a redirect that echoes", serve: echo(302)},
	{name: "a body over the limit", failure: channels.FailTooLarge, serve: func(w http.ResponseWriter, r *http.Request) {
		echo(200)(w, r)
		_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
	}},
	{name: "a reset", failure: channels.FailReset, serve: hijack("")},
	{name: "no HTTP", failure: channels.FailMalformed, serve: hijack("SSH-2.0-%s\r\n\r\n")},
	{name: "a cut", failure: channels.FailCutOff, serve: hijack("HTTP/1.1 200 OK\r\nX-Request-Id: %[1]s\r\nContent-Length: 9999\r\n\r\n%[1]s")},
	{name: "a bad chunk", failure: channels.FailMalformed, serve: hijack("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n")},
	{name: "no gzip", failure: channels.FailMalformed, serve: hijack("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n%s padded to more than a header")},
	{name: "silence", failure: channels.FailTimeout, serve: func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}},
	{name: "nobody there", failure: channels.FailConnect, host: func(*stage) string { return nobody }},
	{name: "no such name", failure: channels.FailDNS, host: func(*stage) string { return "http://no..name" }},
	{name: "no TLS", failure: channels.FailTLS, host: func(s *stage) string { return strings.Replace(s.plain.URL, "http:", "https:", 1) }},
	{name: "an unknown certificate", failure: channels.FailCertificate, host: func(s *stage) string { return s.tls.URL }},
}

// checkSecrets makes every operation's call under every accident and looks for
// the account's secrets in all that comes of it, and in what a span around the
// call would see.
func (b *bench) checkSecrets() {
	var serve atomic.Pointer[accident]
	var strayed atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/strayed") {
			strayed.Add(1)
			return
		}
		serve.Load().serve(w, r)
	})
	quiet := log.New(io.Discard, "", 0)
	st := &stage{httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)}
	st.plain.Config.ErrorLog, st.tls.Config.ErrorLog = quiet, quiet
	st.plain.Start()
	st.tls.StartTLS()
	defer st.plain.Close()
	defer st.tls.Close()

	var seen spans
	patient, err := channels.NewClient(channels.ClientConfig{MaxBody: 32 << 10, Instrument: seen.around})
	if err != nil {
		b.failf("client: %v", err)
		return
	}
	defer patient.Close()
	hasty, err := channels.NewClient(channels.ClientConfig{Timeout: 100 * time.Millisecond, Instrument: seen.around})
	if err != nil {
		b.failf("client: %v", err)
		return
	}
	defer hasty.Close()
	for _, s := range b.samples() {
		for _, ac := range accidents {
			serve.Store(&ac)
			host := st.plain.URL
			if ac.host != nil {
				host = ac.host(st)
			}
			client := patient
			if ac.failure == channels.FailTimeout {
				client = hasty
			}
			b.checkAccident(client, s, ac, at(s.a, host))
		}
	}
	if n := strayed.Load(); n > 0 {
		b.failf("%d redirects were followed", n)
	}
	if found := leaked(seen.text()); found != "" {
		b.failf("what is above the client sees a secret: %s", found)
	}
}

func (b *bench) checkAccident(client *channels.Client, s sample, ac accident, a *channels.Account) {
	what := s.call.Operation + " and " + ac.name
	call, err := b.prepare(a, s.r, s.step)
	if err != nil {
		b.failf("%s: prepare: %v", what, err)
		return
	}
	ans := b.redact(s.r, s.step, client.Do(context.Background(), a, call))
	if ans.Failure != ac.failure {
		b.failf("%s is %q (%s), want %q", what, ans.Failure, ans.Detail, ac.failure)
	}
	v := b.judge(a, s.r, s.step, ans)
	b.sound(what, v)
	out := []any{ans, v, call, a}
	if v.Class == channels.OK {
		h, err := b.parse(a, s.r, s.step, ans)
		out = append(out, h, err)
	}
	var all strings.Builder
	for _, o := range out {
		inJSON, _ := json.Marshal(o)
		fmt.Fprintf(&all, "%v\n%+v\n%#v\n%s\n", o, o, o, inJSON)
	}
	fmt.Fprintf(&all, "%s %s", ans.Body, ans.Header)
	if found := leaked(all.String()); found != "" {
		b.failf("%s gives a secret away: %s", what, found)
	}
}

// hijack answers with raw bytes that hold the secret in place of each verb,
// and closes.
func hijack(format string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		if format == "" {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			return
		}
		_, _ = fmt.Fprintf(conn, format, strings.Map(func(c rune) rune {
			if c < ' ' {
				return -1
			}
			return c
		}, secretOf(r)))
	}
}

// secretOf finds the secret wherever the request has it.
func secretOf(r *http.Request) string {
	for _, values := range r.Header {
		for _, v := range values {
			if i := strings.Index(v, canaryCore); i >= 0 {
				return v[i:]
			}
		}
	}
	for _, values := range r.URL.Query() {
		for _, v := range values {
			if strings.HasPrefix(v, canaryCore) {
				return v
			}
		}
	}
	return "none"
}

// spans keeps what an instrumentation around the client is shown.
type spans struct {
	mu  sync.Mutex
	all strings.Builder
}

func (s *spans) around(next http.RoundTripper) http.RoundTripper { return &span{s, next} }

func (s *spans) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

type span struct {
	*spans
	next http.RoundTripper
}

func (s *span) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.all, "%s %v %+v %v %v\n", r.URL, r.Header, r, r.Context(), err)
	if resp != nil {
		fmt.Fprintf(&s.all, "%s %v\n", resp.Request.URL, resp.Request.Header)
	}
	return resp, err
}
