package channels

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// A transport makes HTTP/1.1 calls, each on a connection that no other call uses
// meanwhile. It writes a call once, whatever happens, and knows whether it has
// written anything: that is what net/http's does not tell, and why this one is
// here (docs/adr/0010-transport.md). Answers are parsed by net/http.
//
// It is an [http.RoundTripper] for what instruments make of its requests, and for no
// others.
type transport struct {
	dialer
	maxIdle     int // connections to one host
	idleTimeout time.Duration

	mu       sync.Mutex
	idle     map[target][]*conn // the one used last at the end
	sweeping bool               // a sweep is due
}

// A target is whom a connection reaches.
type target struct{ scheme, host string }

func (r *request) target() target { return target{r.url.Scheme, r.url.Host} }

// send writes r with its secret, and returns the answer with its head read. Its
// errors do not say what they are to those who only print them.
func (t *transport) send(r *request) (*http.Response, error) {
	f := r.flight
	wire := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(wire)
	wire.Reset()
	if err := writeRequest(wire, r, f.credential, t.proxy != nil && r.url.Scheme == "http"); err != nil {
		return nil, &quietError{err}
	}
	f.asked = true
	c, err := t.connection(r.ctx, f.until, r.target())
	if err != nil {
		return nil, &quietError{err}
	}
	resp, err := t.exchange(c, r, wire.Bytes())
	if err != nil {
		c.close()
		return nil, &quietError{err}
	}
	return resp, nil
}

// buffers are for requests as they are written and for bodies as they are read.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// exchange writes a request on c and reads the head of its answer. The answer's
// body then is what returns c.
func (t *transport) exchange(c *conn, r *request, wire []byte) (*http.Response, error) {
	f := r.flight
	c.begin(r.ctx, f.until)
	if err := f.over(); err != nil {
		return nil, err
	}
	f.connected = true
	n, err := c.Write(wire)
	if err != nil {
		f.connected = n > 0 || c.encrypted // TLS does not say what has left
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(r.ctx); trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	resp, err := c.readHead(r.method)
	f.answered = c.heard
	if err == nil {
		err = f.over()
	}
	if err != nil {
		return nil, err
	}
	held := &heldBody{ReadCloser: resp.Body, t: t, c: c, ended: resp.Body == http.NoBody,
		reusable: !resp.Close && resp.StatusCode != http.StatusSwitchingProtocols, to: r.target()}
	resp.Body = held
	unpack(r, resp)
	return resp, nil
}

// A heldBody is an answer's body that holds the connection it comes from.
type heldBody struct {
	io.ReadCloser
	t        *transport
	c        *conn
	to       target
	ended    bool // it was read to its end
	reusable bool
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// Close keeps the connection for another call if that would not be given
// anything of this one. Closing again does nothing: the connection may be in
// another call by then.
func (b *heldBody) Close() error {
	c := b.c
	b.c = nil
	switch {
	case c == nil:
		return nil
	case b.ended && b.reusable && c.end():
		b.t.keep(b.to, c)
		return nil
	}
	return c.close()
}

// connection returns one that is open, or opens one.
func (t *transport) connection(ctx context.Context, until time.Time, to target) (*conn, error) {
	for {
		c := t.take(to)
		if c == nil {
			return t.open(ctx, until, to)
		}
		if c.alive() {
			return c, nil
		}
		c.close()
	}
}

func (t *transport) take(to target) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[to]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	t.idle[to] = list[:len(list)-1]
	if time.Since(c.since) > t.idleTimeout { // the others are older; the sweep is on its way
		go c.close()
		return nil
	}
	return c
}

func (t *transport) keep(to target, c *conn) {
	c.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[to]) >= t.maxIdle {
		go c.close()
		return
	}
	t.idle[to] = append(t.idle[to], c)
	if !t.sweeping {
		t.sweeping = true
		time.AfterFunc(t.idleTimeout, t.sweep)
	}
}

// sweep closes what nobody has used for the idle timeout.
func (t *transport) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for to, list := range t.idle {
		fresh := slices.IndexFunc(list, func(c *conn) bool { return time.Since(c.since) < t.idleTimeout })
		if fresh < 0 {
			fresh = len(list)
		}
		for _, c := range list[:fresh] {
			go c.close()
		}
		if list = slices.Delete(list, 0, fresh); len(list) == 0 {
			delete(t.idle, to)
		} else {
			t.idle[to] = list
		}
	}
	if t.sweeping = len(t.idle) > 0; t.sweeping {
		time.AfterFunc(t.idleTimeout, t.sweep)
	}
}

// closeIdle closes the connections that no call is using.
func (t *transport) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.idle {
		for _, c := range list {
			c.close()
		}
	}
	clear(t.idle)
}

// A quietError does not say what it is to those who only print it: net/http
// quotes what the provider sent, and that may be our secret. The [Answer] has
// it in our own words.
type quietError struct{ err error }

func (*quietError) Error() string   { return "no usable answer" }
func (e *quietError) Unwrap() error { return e.err }
