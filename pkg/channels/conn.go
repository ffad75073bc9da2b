package channels

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A conn is a connection to a provider that makes one call at a time.
type conn struct {
	net.Conn                  // with TLS, if it is encrypted
	encrypted bool            // by TLS
	socket    syscall.RawConn // below TLS; nil where there is none
	since     time.Time       // when its last call ended
	quiet     bool            // nothing had come since then, when it was asked

	// Of the call under way.
	in    *bufio.Reader
	stop  func() bool // watching for the end of the call's context
	left  int         // bytes that may still be read of the answer's head
	heard bool        // a byte of an answer came
}

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// begin readies c for a call that ends at until, or when ctx does.
func (c *conn) begin(ctx context.Context, until time.Time) {
	c.in = readers.Get().(*bufio.Reader)
	c.in.Reset(c)
	c.heard = false
	_ = c.SetDeadline(until) // one that is closed says so when it is used
	c.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
}

var longAgo = time.Unix(1, 0)

// end ends a call that was answered. It reports whether c can make another one.
func (c *conn) end() bool {
	clean := c.in.Buffered() == 0 // what nobody asked for is no answer to the next call
	c.release()
	return c.stop() && clean
}

func (c *conn) close() error {
	if c.stop != nil {
		c.stop()
	}
	c.release()
	return c.Close()
}

func (c *conn) release() {
	if c.in != nil {
		c.in.Reset(nil)
		readers.Put(c.in)
		c.in = nil
	}
}

// Read reads from the connection, of an answer's head no more than is left to it.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHugeHead
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	c.heard = c.heard || n > 0
	return n, err
}

var errHugeHead = errors.New("the answer's head has no end")

// readHead reads up to the answer's body. Interim answers are passed by.
func (c *conn) readHead(method string) (*http.Response, error) {
	var req *http.Request // nil is one whose answer has a body
	if method == http.MethodHead {
		req = headRequest
	}
	c.left = maxHeader
	for {
		resp, err := http.ReadResponse(c.in, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			c.left = math.MaxInt
			return resp, nil
		}
	}
}

var headRequest = &http.Request{Method: http.MethodHead}

// unpack replaces a body in gzip by what is in it.
func unpack(r *request, resp *http.Response) {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") || !r.acceptsGzip() {
		return
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
	resp.Body = &gzipBody{ReadCloser: resp.Body}
}

// A gzipBody reads nothing before it is read itself.
type gzipBody struct {
	io.ReadCloser
	plain *gzip.Reader
	err   error
}

func (b *gzipBody) Read(p []byte) (int, error) {
	if b.plain == nil && b.err == nil {
		b.plain, b.err = gzip.NewReader(b.ReadCloser)
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.plain.Read(p)
}
