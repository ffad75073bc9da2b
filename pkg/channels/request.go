package channels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// newRequest builds the call without its secret, which travels in the context
// to the credentialTripper.
func newRequest(ctx context.Context, a *Account, call *Call) (*http.Request, error) {
	if call.Auth.In != NoAuth {
		secret, ok := a.Secrets[call.Auth.Secret]
		if !ok || secret == "" {
			return nil, fmt.Errorf("the account has no secret %q", call.Auth.Secret)
		}
		ctx = context.WithValue(ctx, credentialKey{}, &credential{call.Auth, secret})
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, call.URL, nil)
	if err != nil { // it quotes the URL, which may hold personal data
		return nil, errors.New("the call's method or URL is not one")
	}
	if s := req.URL.Scheme; s != "http" && s != "https" || req.URL.Host == "" {
		return nil, errors.New("the call's URL has no http or https host")
	}
	req.URL.User = nil
	for name, value := range call.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Idempotency-Key", "X-Idempotency-Key":
			// net/http repeats by itself what has one of these, past the
			// limiter. It looks for this spelling; servers take any.
			req.Header[strings.ToLower(name)] = []string{value}
		default:
			req.Header.Set(name, value)
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "tram")
	}
	read := slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, call.Method)
	switch {
	case len(call.Body) > 0:
		req.Body = io.NopCloser(bytes.NewReader(call.Body))
		req.ContentLength = int64(len(call.Body))
		if !read { // for the case that nothing was written
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(call.Body)), nil }
		}
	case read: // one that cannot be rewound, so that net/http does not repeat it by itself
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	return req, nil
}

// A credential is a secret on its way to the credentialTripper. Printed, it
// shows the secret's type only.
type credential struct {
	Credential
	secret Secret
}

type credentialKey struct{}

// A credentialTripper adds the secret to a copy of the request, so that
// nothing above it can see it, and hands the answer back as one to the request
// without it.
type credentialTripper struct{ next http.RoundTripper }

func (t credentialTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	c, _ := req.Context().Value(credentialKey{}).(*credential)
	sent := *req
	switch {
	case c == nil: // no secret needed
	case c.In == InQuery:
		u := *req.URL
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += url.QueryEscape(c.Name) + "=" + url.QueryEscape(c.secret.Reveal())
		sent.URL = &u
	default:
		name, value := c.Name, c.secret.Reveal()
		if c.In == InBearer {
			name, value = "Authorization", "Bearer "+value
		}
		sent.Header = maps.Clone(req.Header)
		sent.Header.Set(name, value)
	}
	resp, err := t.next.RoundTrip(&sent)
	if err != nil {
		return nil, &quietError{err}
	}
	resp.Request = req
	return resp, nil
}

// A quietError does not say what it is to those who only print it: net/http
// quotes what the provider sent, and that may be our secret. The [Answer] has
// it in our own words.
type quietError struct{ err error }

func (*quietError) Error() string   { return "no usable answer" }
func (e *quietError) Unwrap() error { return e.err }
