package channels

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const userAgent = "tram"

// A request is a call as it will be written, but for its secret, which the flight
// carries to where that is done.
type request struct {
	ctx    context.Context
	flight *flight
	method string
	url    *url.URL
	header []field // by name
	body   []byte
}

// newRequest builds the request of a call. The secret goes to f.
func newRequest(ctx context.Context, f *flight, a *Account, call *Call) (*request, error) {
	if call.Auth.In != NoAuth {
		secret, ok := a.Secrets[call.Auth.Secret]
		if !ok || secret == "" {
			return nil, fmt.Errorf("the account has no secret %q", call.Auth.Secret)
		}
		f.credential = credential{call.Auth, secret}
	}
	method := cmp.Or(call.Method, http.MethodGet)
	u, err := url.Parse(call.URL)
	if err != nil || !httpguts.ValidHeaderFieldName(method) { // err quotes the URL, which may hold personal data
		return nil, errors.New("the call's method or URL is not one")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the call's URL has no http or https host")
	}
	u.User, u.Host = nil, strings.TrimSuffix(u.Host, ":")
	r := &request{ctx: ctx, flight: f, method: method, url: u, body: call.Body, header: make([]field, 0, len(call.Header)+1)}
	for name, value := range call.Header {
		r.set(http.CanonicalHeaderKey(name), value)
	}
	if r.get("User-Agent") == "" {
		r.set("User-Agent", userAgent)
	}
	if name := f.credential.header(); name != "" { // the secret's stands in its place
		r.del(http.CanonicalHeaderKey(name))
	}
	slices.SortFunc(r.header, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return r, nil
}

// acceptsGzip reports whether the answer may come in gzip, which then is unpacked:
// whoever asks for an encoding himself gets what comes.
func (r *request) acceptsGzip() bool {
	return r.method != http.MethodHead && r.get("Accept-Encoding") == "" && r.get("Range") == ""
}

// A credential is a secret on its way to where the request is written. Printed,
// it shows the secret's type only.
type credential struct {
	Credential
	secret Secret
}

// writeRequest writes r with the secret to w; with all of its URL if it is for a
// proxy. The secret is in nothing but w, so that whoever looks at r cannot see it.
func writeRequest(w *bytes.Buffer, r *request, secret credential, proxied bool) error {
	host, err := wireHost(r.url)
	if err != nil {
		return err
	}
	w.WriteString(r.method)
	w.WriteByte(' ')
	if proxied {
		w.WriteString("http://" + host)
	}
	w.WriteString(r.url.RequestURI())
	if secret.In == InQuery {
		switch {
		case r.url.RawQuery != "":
			w.WriteByte('&')
		case !r.url.ForceQuery:
			w.WriteByte('?')
		}
		w.WriteString(url.QueryEscape(secret.Name) + "=" + url.QueryEscape(secret.secret.Reveal()))
	}
	w.WriteString(" HTTP/1.1\r\nHost: ")
	w.WriteString(host)
	w.WriteString("\r\n")
	if err := writeHeaders(w, r.header, secret); err != nil {
		return err
	}
	if r.acceptsGzip() {
		w.WriteString("Accept-Encoding: gzip\r\n")
	}
	if len(r.body) > 0 || r.method == http.MethodPost || r.method == http.MethodPut || r.method == http.MethodPatch {
		w.WriteString("Content-Length: ")
		w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(len(r.body)), 10))
		w.WriteString("\r\n")
	}
	w.WriteString("\r\n")
	w.Write(r.body)
	return nil
}

// wireHost is host and port of u as they are written to it.
func wireHost(u *url.URL) (string, error) {
	host, err := hostname(u.Host)
	if err != nil || !httpguts.ValidHostHeader(host) {
		return "", errors.New("the host is not one")
	}
	return host, nil
}
