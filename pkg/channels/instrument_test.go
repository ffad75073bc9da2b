package channels

import (
	"context"
	"io"
	"net/http"
	"testing"
)

type traceKey struct{}

// An instrument sees a request and an answer as net/http has them, and what it puts
// around them and into them counts.
func TestDo_Instrument(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Traceparent") != "00-1" || r.Header.Get("Authorization") != "Bearer "+token || string(body) != `{"hello":"world"}` {
			t.Errorf("it got %v, %s", r.Header, body)
		}
		_, _ = io.WriteString(w, "ok")
	})
	read, closed := 0, false
	c := newTestClient(t, ClientConfig{Instrument: func(next http.RoundTripper) http.RoundTripper {
		return tripFunc(func(r *http.Request) (*http.Response, error) {
			if r.Method != "POST" || r.URL.String() != base+"/send?a=1" || r.Host != r.URL.Host || r.ContentLength != 17 ||
				r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") != userAgent {
				t.Errorf("it sees %+v", r)
			}
			traced := r.Clone(context.WithValue(r.Context(), traceKey{}, 1))
			traced.Header.Set("Traceparent", "00-1")
			traced.Body = countingBody{r.Body, &read, &closed}
			resp, err := next.RoundTrip(traced)
			if err != nil || resp.StatusCode != 200 || resp.Request != traced {
				t.Errorf("it is answered %+v, %v", resp, err)
			}
			return resp, err
		})
	}})
	if ans := c.Do(t.Context(), testAccount(base), testCall(base)); string(ans.Body) != "ok" || !ans.Written {
		t.Errorf("answer %+v", ans)
	}
	if read != 17 || !closed {
		t.Errorf("it saw %d bytes of the body go, closed %t", read, closed)
	}
}

// The context that an instrument gives the request ends the call, too.
func TestDo_InstrumentGivesUp(t *testing.T) {
	base := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	c := newTestClient(t, ClientConfig{Instrument: func(next http.RoundTripper) http.RoundTripper {
		return tripFunc(func(r *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			return next.RoundTrip(r.WithContext(ctx))
		})
	}})
	if ans := c.Do(t.Context(), testAccount(base), testCall(base)); ans.Failure == "" || ans.Written {
		t.Errorf("answer %+v", ans)
	}
}

type countingBody struct {
	io.ReadCloser
	read   *int
	closed *bool
}

func (b countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	*b.read += n
	return n, err
}

func (b countingBody) Close() error {
	*b.closed = true
	return b.ReadCloser.Close()
}
