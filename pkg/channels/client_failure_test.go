package channels

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

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
