package channels

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveTLS is serve with TLS; it counts the connections. The client is to trust
// its certificate, which is for example.com, too.
func serveTLS(t *testing.T, c *Client, h http.HandlerFunc) (base string, conns *atomic.Int32) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	conns = new(atomic.Int32)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c.transport.roots = srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return srv.URL, conns
}

func TestDo_TLS(t *testing.T) {
	c := newTestClient(t, ClientConfig{})
	base, conns := serveTLS(t, c, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("it got %s, %v", r.Proto, r.Header)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
	})
	for range 20 {
		if ans := c.Do(t.Context(), testAccount(base), testCall(base)); ans.Status != 200 || len(ans.Body) != 100<<10 {
			t.Fatalf("answer %+v", ans)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("20 calls used %d connections", n)
	}
}

func TestDo_Tunnel(t *testing.T) {
	var asked atomic.Pointer[string]
	c := newTestClient(t, ClientConfig{})
	base, conns := serveTLS(t, c, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host+r.RequestURI) })
	proxy := serveRaw(t, func(in net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(in))
		if err != nil {
			return
		}
		asked.Store(new(r.Method + " " + r.Host + " " + r.Header.Get("Authorization")))
		out, err := net.Dial("tcp", strings.TrimPrefix(base, "https://"))
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		_, _ = io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(out, in); out.Close() }()
		_, _ = io.Copy(in, out)
	})
	through := newTestClient(t, ClientConfig{Proxy: proxy})
	through.transport.roots = c.transport.roots
	for range 3 {
		ans := through.Do(t.Context(), testAccount(""), testCall("https://example.com"))
		if ans.Status != 200 || string(ans.Body) != "example.com/send?a=1" {
			t.Fatalf("answer %+v, %s", ans, ans.Body)
		}
	}
	if *asked.Load() != "CONNECT example.com:443 " || conns.Load() != 1 {
		t.Errorf("the proxy was asked %q, over %d connections", *asked.Load(), conns.Load())
	}
}

// What is written, byte for byte.
func TestWriteRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		call Call
		want string
	}{
		{"read", Call{Method: "GET", URL: "http://h/a%20b?x=%2F"},
			"GET /a%20b?x=%2F HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\nAccept-Encoding: gzip\r\n\r\n"},
		{"secret in an empty query", Call{Method: "GET", URL: "http://u:p@h:81", Auth: Credential{In: InQuery, Name: "t k", Secret: "token"}},
			"GET /?t+k=s3cr3t-t0ken%2F%2B%3D%26 HTTP/1.1\r\nHost: h:81\r\nUser-Agent: tram\r\nAccept-Encoding: gzip\r\n\r\n"},
		{"secret after a question mark", Call{Method: "GET", URL: "http://h/?", Auth: Credential{In: InQuery, Name: "t", Secret: "token"}},
			"GET /?t=s3cr3t-t0ken%2F%2B%3D%26 HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\nAccept-Encoding: gzip\r\n\r\n"},
		{"send without a body", Call{Method: "POST", URL: "http://h/"},
			"POST / HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\nAccept-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"},
		{"what is ours and what is not", Call{Method: "PUT", URL: "http://h/", Body: []byte("{}"),
			Header: map[string]string{"content-length": "9", "Transfer-Encoding": "chunked", "host": "x", "User-Agent": "me", "authorization": "other", "Accept-Encoding": "br"},
			Auth:   Credential{In: InBearer, Secret: "token"}},
			"PUT / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\nUser-Agent: me\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 2\r\n\r\n{}"},
		{"a name in other letters", Call{Method: "HEAD", URL: "http://Bücher.example/"},
			"HEAD / HTTP/1.1\r\nHost: xn--bcher-kva.example\r\nUser-Agent: tram\r\n\r\n"},
	} {
		f := &flight{}
		req, err := newRequest(t.Context(), f, testAccount(""), &tt.call)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var wire bytes.Buffer
		if err := writeRequest(&wire, req, f.credential, false); err != nil || wire.String() != tt.want {
			t.Errorf("%s: wrote %q, %v, want %q", tt.name, &wire, err, tt.want)
		}
	}
}

// A connection makes another call only if nothing is left on it of this one, and
// nothing came that nobody had asked for.
func TestTransport_Keeps(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct {
		name, answer string
		body         string
		kept         bool
	}{
		{"a length", ok, "ok", true},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", true},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
		{"interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, "ok", true},
		{"gzip", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(gzipped("ok")), gzipped("ok")), "ok", true},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nok", "ok", false},
		{"told to close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"an answer too much", ok + ok, "ok", false},
		{"too large to read on", "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000), strings.Repeat("x", headOfBody), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var conns atomic.Int32
			base := serveRaw(t, func(c net.Conn) {
				conns.Add(1)
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, tt.answer)
					if strings.HasSuffix(tt.name, "the end") {
						return
					}
				}
			})
			c := newTestClient(t, ClientConfig{MaxBody: 8000})
			for range 3 {
				ans := c.Do(t.Context(), testAccount(base), testCall(base))
				if string(ans.Body) != tt.body || ans.Status == 0 {
					t.Errorf("answer %+v", ans)
				}
			}
			want := int32(3)
			if tt.kept {
				want = 1
			}
			if n := conns.Load(); n != want {
				t.Errorf("3 calls used %d connections, want %d", n, want)
			}
		})
	}
}

// What the server says while nobody asks is no answer to the next call.
func TestTransport_Unasked(t *testing.T) {
	said := make(chan struct{})
	base := serveRaw(t, func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
			<-said // until the client has read it
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nothers")
			said <- struct{}{}
		}
	})
	c := newTestClient(t, ClientConfig{})
	for range 3 {
		if ans := c.Do(t.Context(), testAccount(base), testCall(base)); string(ans.Body) != "mine" {
			t.Fatalf("answer %+v, %s", ans, ans.Body)
		}
		said <- struct{}{}
		<-said
	}
}

func TestTransport_ClosesIdle(t *testing.T) {
	closed := make(chan time.Time, 1)
	base := serveRaw(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		_, _ = c.Read(make([]byte, 1))
		closed <- time.Now()
	})
	c := newTestClient(t, ClientConfig{IdleTimeout: 50 * time.Millisecond})
	start := time.Now()
	if ans := c.Do(t.Context(), testAccount(base), testCall(base)); ans.Status != 204 {
		t.Fatalf("answer %+v", ans)
	}
	if idle := (<-closed).Sub(start); idle < 50*time.Millisecond {
		t.Errorf("it was closed after %s", idle)
	}
	c.transport.mu.Lock()
	defer c.transport.mu.Unlock()
	if len(c.transport.idle) != 0 {
		t.Errorf("it keeps %v", c.transport.idle)
	}
}

// An instrument may close an answer's body more than once.
func TestTransport_ClosedTwice(t *testing.T) {
	c := newTestClient(t, ClientConfig{Instrument: func(next http.RoundTripper) http.RoundTripper { return closer{next} }})
	base, conns := serveTLS(t, c, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	for range 3 {
		if ans := c.Do(t.Context(), testAccount(base), testCall(base)); string(ans.Body) != "ok" {
			t.Fatalf("answer %+v", ans)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("3 calls used %d connections", n)
	}
}

type closer struct{ http.RoundTripper }

func (c closer) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = closesTwice{resp.Body}
	}
	return resp, err
}

type closesTwice struct{ io.ReadCloser }

func (b closesTwice) Close() error { return errors.Join(b.ReadCloser.Close(), b.ReadCloser.Close()) }
