package channels

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

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

func TestDo_ByteOrderMark(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\uFEFF{\"ok\":\"\uFEFF\"}") })
	ans := newTestClient(t, ClientConfig{}).Do(t.Context(), testAccount(base), testCall(base))
	if ans.Failure != "" || string(ans.Body) != "{\"ok\":\"\uFEFF\"}" {
		t.Errorf("answer %+v", ans)
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
