package channels

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ClientConfig configures a [Client]. The zero value is a working one.
type ClientConfig struct {
	// Timeout bounds one call, from looking the name up to the last byte of
	// the answer. Defaults to 30 seconds.
	Timeout time.Duration

	// DialTimeout bounds looking the name up and connecting, and once more the
	// TLS handshake. Defaults to 5 seconds.
	DialTimeout time.Duration

	// MaxBody bounds an answer's body in bytes after it was decompressed.
	// Defaults to 768 KiB, which leaves room for the request and the headers
	// in a message of 1 MiB, the broker's own limit.
	MaxBody int

	// Proxy is the URL of the proxy that all calls go through, such as
	// http://proxy:3128. "" is none: the environment is never asked.
	Proxy string

	// AllowPrivate are networks that may be called although they are not
	// public. A URL that names loopback itself may be called anyhow. Defaults to
	// none. Through a Proxy, only hosts that are addresses can be judged.
	AllowPrivate []netip.Prefix

	// MaxIdleConnsPerHost bounds the connections kept open to one host between
	// calls. More calls at a time than this work, but dial. Defaults to 512.
	MaxIdleConnsPerHost int

	// IdleTimeout is how long a connection is kept open without a call.
	// Defaults to 4 seconds: below the 5 after which common servers close it
	// (Node, Apache), because a send that is written while the server closes
	// is one of which nobody knows whether it arrived.
	IdleTimeout time.Duration

	// Instrument, if set, is put around the round trip, for spans and metrics.
	// What it sees, and what is told to it, has no secret in it.
	Instrument func(http.RoundTripper) http.RoundTripper
}

func (c ClientConfig) withDefaults() ClientConfig {
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.DialTimeout = cmp.Or(c.DialTimeout, 5*time.Second)
	c.MaxBody = cmp.Or(c.MaxBody, 768<<10)
	c.MaxIdleConnsPerHost = cmp.Or(c.MaxIdleConnsPerHost, 512)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 4*time.Second)
	return c
}

// A Client makes the HTTP calls of all providers. It follows no redirect, asks
// the environment for no proxy, repeats no call that may have arrived, adds
// the secrets below everything that could print them and takes them out of
// everything that comes back. It is safe for concurrent use.
type Client struct {
	cfg       ClientConfig
	guard     *guard
	transport *transport
	trip      http.RoundTripper // the instrument around transport; nil for none
	scrubbers *scrubbers
}

// NewClient returns a client that c configures. It fails on a proxy that is no
// URL and on values below zero.
func NewClient(c ClientConfig) (*Client, error) {
	c = c.withDefaults()
	if c.Timeout < 0 || c.DialTimeout < 0 || c.IdleTimeout < 0 || c.MaxBody < 0 || c.MaxIdleConnsPerHost < 0 {
		return nil, errors.New("configure client: a time or bound is below zero")
	}
	g := &guard{allow: c.AllowPrivate, dial: net.Dialer{Timeout: c.DialTimeout, KeepAlive: 15 * time.Second}}
	t := &transport{
		dialer:  dialer{guard: g, timeout: c.DialTimeout},
		maxIdle: c.MaxIdleConnsPerHost, idleTimeout: c.IdleTimeout, idle: map[target][]*conn{},
	}
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || u.Host == "" {
			return nil, errors.New("configure client: the proxy is not a URL such as http://proxy:3128")
		}
		t.proxy = u
	}
	client := &Client{cfg: c, guard: g, transport: t, scrubbers: new(scrubbers)}
	if c.Instrument != nil {
		client.trip = c.Instrument(t)
	}
	return client, nil
}

// WithTimeout returns a client on the same connections whose calls end within d,
// whatever [ClientConfig.Timeout] says.
func (c *Client) WithTimeout(d time.Duration) *Client {
	other := *c
	other.cfg.Timeout = d
	return &other
}

// Close closes the connections that no call is using.
func (c *Client) Close() { c.transport.closeIdle() }

const (
	maxHeader  = 64 << 10 // bytes of an answer's header
	headOfBody = 4 << 10  // bytes kept of a body that is too large
)

// Do makes the call and returns what became of it, whatever that is. It
// returns as soon as ctx is done.
//
// A call is written once, whatever its method and headers.
func (c *Client) Do(ctx context.Context, a *Account, call *Call) *Answer {
	start := time.Now()
	ans := &Answer{StartedMS: start.UnixMilli()}
	clean := c.scrubber(a)
	c.roundTrip(ctx, start, a, call, ans)

	ans.Body = clean.bytes(ans.Body)
	ans.Detail = clean.text(ans.Detail)
	for name, value := range ans.Header {
		if c := clean.text(value); c != value {
			ans.Header[name] = c
		}
	}
	ans.TookUS = time.Since(start).Microseconds()
	return ans
}

func (c *Client) roundTrip(ctx context.Context, start time.Time, a *Account, call *Call, ans *Answer) {
	f := &flight{ctx: ctx, ans: ans, until: start.Add(c.cfg.Timeout), proxied: c.cfg.Proxy != ""}
	if until, ok := ctx.Deadline(); ok && until.Before(f.until) {
		f.until = until
	}
	req, err := newRequest(ctx, f, a, call)
	if err != nil {
		f.set(FailCall, err.Error())
		return
	}
	f.https = req.url.Scheme == "https"
	f.host = req.url.Host
	if f.proxied && c.guard.refuses(req.url.Hostname()) {
		f.set(FailConnect, f.privately())
		return
	}

	// A round tripper rather than an http.Client: that one follows redirects
	// unless told not to, parses Location even then, and puts the URL into
	// every error.
	resp, err := c.send(req)
	ans.Written = f.connected
	if err != nil {
		f.fail(err)
		return
	}
	defer resp.Body.Close()
	ans.Status = resp.StatusCode
	ans.Header = keepHeaders(resp.Header)
	if resp.StatusCode == http.StatusSwitchingProtocols { // its body is the raw connection
		return
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		f.set(FailMalformed, "the answer is in an encoding that was not asked for")
		return
	}
	c.readBody(f, resp.Body)
}

// byteOrderMark is put before their JSON by servers whose source files begin with
// one. It says nothing in UTF-8, and a send must not end as unknown for it.
var byteOrderMark = []byte("\uFEFF")

// readBody reads at most one byte over the limit, so that neither a huge
// answer nor one that unpacks to be huge is ever held in memory.
func (c *Client) readBody(f *flight, body io.Reader) {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	f.body = io.LimitedReader{R: body, N: int64(c.cfg.MaxBody) + 1}
	_, err := buf.ReadFrom(&f.body)
	switch {
	case err != nil:
		f.failBody(err)
	case buf.Len() > c.cfg.MaxBody:
		f.set(FailTooLarge, fmt.Sprintf("the answer is over %d bytes", c.cfg.MaxBody))
		buf.Truncate(min(headOfBody, buf.Len()))
	}
	if buf.Len() > 0 {
		f.ans.Body = bytes.Clone(bytes.TrimPrefix(buf.Bytes(), byteOrderMark))
	}
}

// kept are the answer's headers that mean something to a provider package or
// to a person: from canonical to lower case.
var kept = func(names ...string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		all[name] = strings.ToLower(name)
	}
	return all
}(
	"Content-Type", "Date", "Retry-After", "X-Request-Id",
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
	"X-App-Usage", "X-Business-Use-Case-Usage", "X-Page-Usage",
)

func keepHeaders(h http.Header) map[string]string {
	out := make(map[string]string, 4)
	for name, values := range h {
		if as, ok := kept[name]; ok {
			out[as] = strings.Join(values, ", ")
		}
	}
	return out
}
