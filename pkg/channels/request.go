package channels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/net/http/httpguts"
)

const userAgent = "tram"

// newRequest builds the call without its secret, which f carries to where it is
// written.
func newRequest(ctx context.Context, f *flight, a *Account, call *Call) (*http.Request, error) {
	if call.Auth.In != NoAuth {
		secret, ok := a.Secrets[call.Auth.Secret]
		if !ok || secret == "" {
			return nil, fmt.Errorf("the account has no secret %q", call.Auth.Secret)
		}
		f.credential = credential{call.Auth, secret}
	}
	req, err := http.NewRequestWithContext(context.WithValue(ctx, flightKey{}, f), call.Method, call.URL, nil)
	if err != nil { // it quotes the URL, which may hold personal data
		return nil, errors.New("the call's method or URL is not one")
	}
	if s := req.URL.Scheme; s != "http" && s != "https" || req.URL.Host == "" {
		return nil, errors.New("the call's URL has no http or https host")
	}
	req.URL.User = nil
	for name, value := range call.Header {
		req.Header.Set(name, value)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	if name, _ := f.credential.header(); name != "" { // the secret's stands in its place
		req.Header.Del(name)
	}
	if len(call.Body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(call.Body))
		req.ContentLength = int64(len(call.Body))
	}
	return req, nil
}

// A credential is a secret on its way to where the request is written. Printed,
// it shows the secret's type only.
type credential struct {
	Credential
	secret Secret
}

type flightKey struct{}

// flightOf returns what newRequest has put into req.
func flightOf(req *http.Request) *flight { return req.Context().Value(flightKey{}).(*flight) }

// writeRequest writes req with the secret to w; with all of its URL if it is for
// a proxy. The secret is in nothing but w, so that whoever looks at req cannot
// see it.
func writeRequest(w *bytes.Buffer, req *http.Request, secret credential, proxied bool) error {
	host, err := wireHost(req.URL)
	if err != nil {
		return err
	}
	name, value := secret.header()
	if err := checkHeaders(req.Header, name, value); err != nil {
		return err
	}
	w.WriteString(req.Method)
	w.WriteByte(' ')
	if proxied {
		w.WriteString("http://" + host)
	}
	w.WriteString(req.URL.RequestURI())
	if secret.In == InQuery {
		switch {
		case req.URL.RawQuery != "":
			w.WriteByte('&')
		case !req.URL.ForceQuery:
			w.WriteByte('?')
		}
		w.WriteString(url.QueryEscape(secret.Name) + "=" + url.QueryEscape(secret.secret.Reveal()))
	}
	w.WriteString(" HTTP/1.1\r\nHost: ")
	w.WriteString(host)
	w.WriteString("\r\n")
	_ = req.Header.WriteSubset(w, ours) // to a buffer
	if name != "" {
		w.WriteString(name + ": " + value + "\r\n")
	}
	if acceptsGzip(req) {
		w.WriteString("Accept-Encoding: gzip\r\n")
	}
	if req.ContentLength > 0 || slices.Contains([]string{"POST", "PUT", "PATCH"}, req.Method) {
		w.WriteString("Content-Length: ")
		w.Write(strconv.AppendInt(w.AvailableBuffer(), req.ContentLength, 10))
		w.WriteString("\r\n")
	}
	w.WriteString("\r\n")
	if req.Body != nil {
		_, err = w.ReadFrom(req.Body)
	}
	return err
}

// ours are the headers that are written by what the request is.
var ours = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true}

// header returns the header that the secret is in, if it is in one.
func (c credential) header() (name, value string) {
	switch c.In {
	case InBearer:
		return "Authorization", "Bearer " + c.secret.Reveal()
	case InHeader:
		return c.Name, c.secret.Reveal()
	default:
		return "", ""
	}
}

// wireHost is host and port of u as they are written to it.
func wireHost(u *url.URL) (string, error) {
	host, err := hostname(u.Host)
	if err != nil || !httpguts.ValidHostHeader(host) {
		return "", errors.New("the host is not one")
	}
	return host, nil
}

// checkHeaders refuses what would end a line or be no header at all.
func checkHeaders(h http.Header, name, value string) error {
	for name, values := range h {
		for _, value := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return errors.New("a header is not one")
			}
		}
	}
	if name != "" && (!httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value)) {
		return errors.New("the header of the secret is not one")
	}
	return nil
}
