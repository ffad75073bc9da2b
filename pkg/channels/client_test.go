package channels

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "s3cr3t-t0ken/+=&"

func testAccount(base string) *Account {
	return &Account{Provider: "shop", Name: "main", BaseURL: base, Secrets: map[string]Secret{"token": token}}
}

func testCall(base string) *Call {
	return &Call{Operation: "shop.send", Method: "POST", URL: base + "/send?a=1", Body: []byte(`{"hello":"world"}`),
		Header: map[string]string{"Content-Type": "application/json"}, Auth: Credential{In: InBearer, Secret: "token"}}
}

func newTestClient(t testing.TB, c ClientConfig) *Client {
	t.Helper()
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// serveRaw gives each connection to handle.
func serveRaw(t testing.TB, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { defer c.Close(); handle(c) })
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return "http://" + l.Addr().String()
}

// raw answers one request with these bytes and closes.
func raw(t testing.TB, answer string) string {
	return serveRaw(t, func(c net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, answer)
		}
	})
}

func TestDo(t *testing.T) {
	var got *http.Request
	var body []byte
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, body = r, nil
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Request-Id", "r-1")
		w.Header().Set("Set-Cookie", "not=kept")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	c := newTestClient(t, ClientConfig{})
	for _, tt := range []struct {
		auth          Credential
		query, header string
	}{
		{Credential{In: InBearer, Secret: "token"}, "a=1", "Authorization"},
		{Credential{In: InHeader, Name: "X-Api-Key", Secret: "token"}, "a=1", "X-Api-Key"},
		{Credential{In: InQuery, Name: "tok en", Secret: "token"}, "a=1&tok+en=" + url.QueryEscape(token), ""},
		{Credential{}, "a=1", ""},
	} {
		call := testCall(base)
		call.Auth = tt.auth
		before := time.Now().UnixMilli()
		ans := c.Do(t.Context(), testAccount(base), call)
		if ans.Status != 201 || string(ans.Body) != `{"ok":true}` || ans.Failure != "" || !ans.Written {
			t.Errorf("%+v: answer %+v", tt.auth, ans)
		}
		if ans.StartedMS < before || ans.TookUS <= 0 {
			t.Errorf("started %d, took %d", ans.StartedMS, ans.TookUS)
		}
		if len(ans.Header) != 4 || ans.Header["x-request-id"] != "r-1" || ans.Header["retry-after"] != "7" || ans.Header["date"] == "" {
			t.Errorf("headers %v", ans.Header)
		}
		if got.URL.RawQuery != tt.query || string(body) != string(call.Body) || got.Method != "POST" || got.ContentLength != int64(len(body)) {
			t.Errorf("request %s %s %q", got.Method, got.URL, body)
		}
		if v := got.Header.Get(tt.header); tt.header != "" && v != token && v != "Bearer "+token {
			t.Errorf("header %s is %q", tt.header, v)
		}
	}
}

func TestDo_EveryStatus(t *testing.T) {
	var hits atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Location", "http://127.0.0.1:1/%zz") // which no URL parser takes
		w.WriteHeader(status)
	})
	c := newTestClient(t, ClientConfig{})
	want := int32(0)
	for status := 200; status <= 599; status++ {
		for _, method := range []string{"GET", "POST"} {
			ans := c.Do(t.Context(), testAccount(base), &Call{Method: method, URL: fmt.Sprintf("%s/%d", base, status)})
			if want++; ans.Status != status || ans.Failure != "" {
				t.Errorf("%s %d: %+v", method, status, ans)
			}
		}
	}
	if hits.Load() != want {
		t.Errorf("%d requests came for %d calls", hits.Load(), want)
	}
	switching := raw(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	if ans := c.Do(t.Context(), testAccount(switching), testCall(switching)); ans.Status != 101 || ans.Failure != "" {
		t.Errorf("101: %+v", ans)
	}
}

func TestDo_Failures(t *testing.T) {
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	silentAfter := func(head string) string {
		return serveRaw(t, func(c net.Conn) {
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(c, head)
				silent(c)
			}
		})
	}
	tlsServer := httptest.NewUnstartedServer(nil)
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	https := func(base string) string { return strings.Replace(base, "http:", "https:", 1) }
	zipped := gzipped(strings.Repeat("hello ", 1000))
	chunk := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

	for name, tt := range map[string]struct {
		base    string
		failure Failure
		status  int
		written bool
	}{
		"no such name":              {"http://no..name", FailDNS, 0, false},
		"refused":                   {"http://127.0.0.1:1", FailConnect, 0, false},
		"http for https":            {https(raw(t, "HTTP/1.1 400 Bad Request\r\n\r\n")), FailTLS, 0, false},
		"silent TLS handshake":      {https(serveRaw(t, silent)), FailTLS, 0, false},
		"closed TLS handshake":      {https(serveRaw(t, func(net.Conn) {})), FailTLS, 0, false},
		"unknown certificate":       {tlsServer.URL, FailCertificate, 0, false},
		"silent":                    {serveRaw(t, silent), FailTimeout, 0, true},
		"silent after the head":     {silentAfter("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), FailTimeout, 200, true},
		"closed after the request":  {raw(t, ""), FailReset, 0, true},
		"closed within the head":    {raw(t, "HTTP/1.1 200 OK\r\nX: y\r\n"), FailReset, 0, true},
		"closed within the body":    {raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), FailCutOff, 200, true},
		"closed within a chunk":     {raw(t, chunk+"a\r\nhello"), FailCutOff, 200, true},
		"closed within gzip":        {raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+zipped[:len(zipped)/2]), FailCutOff, 200, true},
		"a refusal, cut off":        {raw(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhello"), FailCutOff, 403, true},
		"no HTTP":                   {raw(t, "220 mail.example ESMTP\r\n"), FailMalformed, 0, true},
		"a bad status line":         {raw(t, "HTTP/1.1 abc\r\n\r\n"), FailMalformed, 0, true},
		"a bad length":              {raw(t, "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"), FailMalformed, 0, true},
		"a bad chunk":               {raw(t, chunk+"zz\r\n"), FailMalformed, 200, true},
		"no gzip":                   {raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nhello, this is plain text"), FailMalformed, 200, true},
		"broken gzip":               {raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+zipped[:12]+"\xff\xff\xff"+zipped[15:]), FailMalformed, 200, true},
		"an encoding not asked for": {raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nxx"), FailMalformed, 200, true},
		"a huge head":               {raw(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n"), FailMalformed, 0, true},
		"a large body":              {raw(t, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 70<<10)), FailTooLarge, 200, true},
		"a body that unpacks large": {raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+gzipped(strings.Repeat("x", 70<<10))), FailTooLarge, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := ClientConfig{MaxBody: 64 << 10}
			switch { // short only where the time must run out: elsewhere the machine may be slow
			case tt.failure == FailTimeout:
				cfg.Timeout = 300 * time.Millisecond
			case name == "silent TLS handshake":
				cfg.DialTimeout = 300 * time.Millisecond
			}
			c := newTestClient(t, cfg)
			ans := c.Do(t.Context(), testAccount(tt.base), testCall(tt.base))
			if ans.Failure != tt.failure || ans.Status != tt.status || ans.Written != tt.written || ans.Detail == "" {
				t.Errorf("got %q status %d written %t (%s), want %q status %d written %t",
					ans.Failure, ans.Status, ans.Written, ans.Detail, tt.failure, tt.status, tt.written)
			}
			if tt.failure == FailTooLarge && len(ans.Body) != headOfBody {
				t.Errorf("kept %d bytes", len(ans.Body))
			}
		})
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func TestDo_GivenUp(t *testing.T) {
	base := serveRaw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	c := newTestClient(t, ClientConfig{})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ans := c.Do(ctx, testAccount(base), testCall(base)); ans.Failure != FailCancelled || ans.Written {
		t.Errorf("given up before: %+v", ans)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if ans := c.Do(ctx, testAccount(base), testCall(base)); ans.Failure != FailTimeout || !ans.Written {
		t.Errorf("the caller's deadline: %+v", ans)
	}
}

func TestDo_BadCall(t *testing.T) {
	base := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	c := newTestClient(t, ClientConfig{})
	for name, change := range map[string]func(*Account, *Call){
		"no such secret":         func(_ *Account, c *Call) { c.Auth.Secret = "other" },
		"an empty secret":        func(a *Account, _ *Call) { a.Secrets["token"] = "" },
		"a secret of two lines":  func(a *Account, _ *Call) { a.Secrets["token"] = "line1\r\nX-Evil: 1" },
		"no URL":                 func(_ *Account, c *Call) { c.URL = "http://[::1/09812345678" },
		"no host":                func(_ *Account, c *Call) { c.URL = "/send" },
		"another scheme":         func(_ *Account, c *Call) { c.URL = "file:///etc/passwd" },
		"no method":              func(_ *Account, c *Call) { c.Method = "PO ST" },
		"a header of two lines":  func(_ *Account, c *Call) { c.Header["X-A"] = "a\nb" },
		"a header without words": func(_ *Account, c *Call) { c.Header["X A"] = "a" },
	} {
		a, call := testAccount(base), testCall(base)
		change(a, call)
		ans := c.Do(t.Context(), a, call)
		if ans.Failure != FailCall || ans.Written || ans.Detail == "" {
			t.Errorf("%s: %+v", name, ans)
		}
		if strings.Contains(ans.Detail, "0981") || strings.Contains(ans.Detail, "line1") {
			t.Errorf("%s: the detail quotes the call: %s", name, ans.Detail)
		}
	}
}

// A server answers the first request on a connection and closes it when the
// second has come. Whether that one was carried out nobody knows, and whether
// to repeat it, within the account's limits, is for the dispatcher to decide.
func TestDo_RepeatsNothing(t *testing.T) {
	for name, call := range map[string]Call{
		"send with a body":    {Method: "POST", Body: []byte("{}")},
		"send without a body": {Method: "POST"},
		"send with a key":     {Method: "POST", Header: map[string]string{"Idempotency-Key": "1", "x-idempotency-key": "2"}},
		"repeatable POST":     {Method: "POST", Body: []byte("{}"), Repeatable: true},
		"repeatable with key": {Method: "POST", Body: []byte("{}"), Repeatable: true, Header: map[string]string{"Idempotency-Key": "1"}},
		"GET that changes":    {Method: "GET"},
		"GET with a body":     {Method: "GET", Body: []byte("{}"), Repeatable: true},
		"read":                {Method: "GET", Repeatable: true},
	} {
		t.Run(name, func(t *testing.T) {
			var came atomic.Int32
			base := serveRaw(t, func(c net.Conn) {
				b := bufio.NewReader(c)
				for i := 0; ; i++ {
					r, err := http.ReadRequest(b)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if n := came.Add(1); i > 0 || n > 2 {
						return
					}
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			c := newTestClient(t, ClientConfig{})
			call.URL = base
			if ans := c.Do(t.Context(), testAccount(base), &call); ans.Status != 200 {
				t.Fatalf("first call: %+v", ans)
			}
			ans := c.Do(t.Context(), testAccount(base), &call)
			if ans.Failure != FailReset || !ans.Written {
				t.Errorf("second call: %+v", ans)
			}
			if n := came.Load(); n != 2 {
				t.Errorf("%d requests came for 2 calls", n)
			}
		})
	}
}

// Calls are given up at any moment, on new connections and on used ones that
// the server may just have closed. What arrived must have been told as written,
// and nothing arrives twice.
func TestDo_WrittenIsNeverDenied(t *testing.T) {
	const calls = 600
	var arrived [calls]atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var id int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &id)
		arrived[id].Add(1)
		if id%7 == 0 {
			w.Header().Set("Connection", "close")
		}
		time.Sleep(time.Duration(id%3) * time.Millisecond)
	})
	c := newTestClient(t, ClientConfig{})
	var answers [calls]*Answer
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for id := w; id < calls; id += 8 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(id%40)*100*time.Microsecond)
				call := &Call{Method: "POST", URL: fmt.Sprintf("%s/%d", base, id), Body: []byte(strings.Repeat("x", id%5*2000))}
				answers[id] = c.Do(ctx, testAccount(base), call)
				cancel()
			}
		})
	}
	workers.Wait()
	answered := 0
	for id, ans := range answers {
		n := arrived[id].Load()
		if n > 1 || n == 1 && !ans.Written {
			t.Errorf("call %d arrived %d times and ended as %q, written %t", id, n, ans.Failure, ans.Written)
		}
		if ans.Status == 200 {
			answered++
		}
	}
	if answered == 0 || answered == calls {
		t.Errorf("%d of %d calls were answered: the test shows nothing", answered, calls)
	}
}

// A connection that the server closed while nobody used it costs no call.
func TestDo_DeadConnection(t *testing.T) {
	closed := make(chan struct{}, 10)
	base := serveRaw(t, func(c net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			c.Close()
			closed <- struct{}{}
		}
	})
	c := newTestClient(t, ClientConfig{})
	for range 5 {
		if ans := c.Do(t.Context(), testAccount(base), testCall(base)); ans.Status != 200 {
			// The close can still be on its way; then the call may have arrived,
			// and the answer says so.
			if ans.Failure != FailReset || !ans.Written {
				t.Fatalf("answer %+v", ans)
			}
			continue
		}
		<-closed
	}
}

func TestDo_ReusesConnections(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := newTestClient(t, ClientConfig{})
	for range 100 {
		c.Do(t.Context(), testAccount(srv.URL), testCall(srv.URL))
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("100 calls used %d connections", n)
	}
}

func TestDo_GzipBombIsBounded(t *testing.T) {
	bomb := []byte(strings.Repeat(gzipped(string(make([]byte, 1<<20))), 256)) // gzip allows many in one
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb)
	})
	c := newTestClient(t, ClientConfig{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ans := c.Do(t.Context(), testAccount(base), testCall(base))
	runtime.ReadMemStats(&after)
	if ans.Failure != FailTooLarge {
		t.Errorf("answer %q %d", ans.Failure, ans.Status)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes were allocated for 256 MiB of zeros", n)
	}
}

func TestDo_ProxyOnlyWhenConfigured(t *testing.T) {
	var seen atomic.Pointer[string]
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(new(r.Method + " " + r.RequestURI))
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusProxyAuthRequired)
		}
	})
	c := newTestClient(t, ClientConfig{Proxy: proxy})
	call := testCall("http://shop.invalid")
	if ans := c.Do(t.Context(), testAccount(""), call); ans.Status != 200 || *seen.Load() != "POST http://shop.invalid/send?a=1" {
		t.Errorf("through the proxy: %+v, it saw %s", ans, *seen.Load())
	}
	call.URL = "https://shop.invalid/send"
	if ans := c.Do(t.Context(), testAccount(""), call); ans.Failure != FailConnect || ans.Written {
		t.Errorf("refused by the proxy: %+v", ans)
	}
	t.Setenv("HTTP_PROXY", proxy)
	if direct := newTestClient(t, ClientConfig{}); direct.transport.proxy != nil {
		t.Error("the environment is asked for a proxy")
	}
	if _, err := NewClient(ClientConfig{Proxy: "user:pass@proxy"}); err == nil || strings.Contains(err.Error(), "pass") {
		t.Errorf("a proxy that is no URL: %v", err)
	}
	if _, err := NewClient(ClientConfig{Timeout: -1}); err == nil {
		t.Error("a timeout below zero is taken")
	}
}

type tripFunc func(*http.Request) (*http.Response, error)

func (f tripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDo_InstrumentSeesNoSecret(t *testing.T) {
	base := raw(t, "SSH-2.0-"+token+"\r\n\r\n")
	var seen string
	c := newTestClient(t, ClientConfig{Instrument: func(next http.RoundTripper) http.RoundTripper {
		return tripFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			seen = fmt.Sprintf("%v %+v %s", r.Header, r, err)
			if _, ok := errors.AsType[*quietError](err); !ok {
				t.Errorf("error %v", err)
			}
			return resp, err
		})
	}})
	if ans := c.Do(t.Context(), testAccount(base), testCall(base)); ans.Failure != FailMalformed {
		t.Errorf("answer %+v", ans)
	}
	if strings.Contains(seen, "s3cr3t") {
		t.Errorf("instrumentation sees %s", seen)
	}
}

func BenchmarkDo(b *testing.B) {
	base := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"code":"ok","message":"Tạo thành công!"}`)
	})
	a, call := testAccount(base), testCall(base)
	b.Run("client", func(b *testing.B) {
		c := newTestClient(b, ClientConfig{})
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if ans := c.Do(b.Context(), a, call); ans.Status != 200 {
					b.Errorf("answer %+v", ans)
				}
			}
		})
	})
	b.Run("bare net/http", func(b *testing.B) { // what there is to lose
		tr := &http.Transport{MaxIdleConnsPerHost: 512}
		defer tr.CloseIdleConnections()
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req, _ := http.NewRequestWithContext(b.Context(), "POST", call.URL, bytes.NewReader(call.Body))
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := tr.RoundTrip(req)
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
		})
	})
}
