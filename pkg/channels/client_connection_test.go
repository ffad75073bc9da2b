package channels

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

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
