package channels

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"golang.org/x/net/idna"
)

// A dialer opens connections to providers, past the guard, and through the proxy
// if there is one.
type dialer struct {
	guard   *guard
	proxy   *url.URL       // nil for none
	timeout time.Duration  // of looking the name up and connecting, and once more of the TLS handshake
	roots   *x509.CertPool // nil for those of the system
}

// open opens a connection before until, and before ctx ends.
func (d *dialer) open(ctx context.Context, until time.Time, to target) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	u := &url.URL{Scheme: to.scheme, Host: to.host}
	var nc net.Conn
	var err error
	if d.proxy != nil {
		nc, err = d.throughProxy(ctx, u)
	} else {
		nc, err = connect(ctx, u, d.guard.dialContext)
	}
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc}
	if s, ok := nc.(syscall.Conn); ok {
		c.socket, _ = s.SyscallConn()
	}
	if to.scheme == "https" {
		if c.Conn, err = d.handshake(ctx, nc, u.Hostname()); err != nil {
			return nil, err
		}
		c.encrypted = true
	}
	return c, nil
}

// connect connects to the host of u.
func connect(ctx context.Context, u *url.URL, dial func(context.Context, string, string) (net.Conn, error)) (net.Conn, error) {
	addr, err := address(u)
	if err != nil {
		return nil, err
	}
	return dial(ctx, "tcp", addr)
}

// address returns host and port of u, as DNS knows the host.
func address(u *url.URL) (string, error) {
	host, err := hostname(u.Hostname())
	if err != nil {
		return "", err
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return net.JoinHostPort(host, cmp.Or(u.Port(), port)), nil
}

// hostname returns a host's name in the letters of DNS.
func hostname(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= 0x80 {
			return idna.Lookup.ToASCII(host)
		}
	}
	return host, nil
}

// handshake puts TLS over nc, which it closes on an error.
func (d *dialer) handshake(ctx context.Context, nc net.Conn, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	host, err := hostname(host)
	if err != nil {
		nc.Close()
		return nil, err
	}
	c := tls.Client(nc, &tls.Config{ServerName: host, RootCAs: d.roots, NextProtos: []string{"http/1.1"}})
	if err := c.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// throughProxy connects to the proxy, and through it to u if that is encrypted.
func (d *dialer) throughProxy(ctx context.Context, u *url.URL) (net.Conn, error) {
	nc, err := connect(ctx, d.proxy, d.guard.dial.DialContext)
	if err != nil {
		return nil, err
	}
	if d.proxy.Scheme == "https" {
		if nc, err = d.handshake(ctx, nc, d.proxy.Hostname()); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "http" {
		return nc, nil
	}
	if err := tunnel(ctx, nc, u); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// tunnel asks the proxy at the other end of nc for a connection to u.
func tunnel(ctx context.Context, nc net.Conn, u *url.URL) error {
	addr, err := address(u)
	if err != nil {
		return err
	}
	c := &conn{Conn: nc}
	until, _ := ctx.Deadline()
	c.begin(ctx, until)
	defer c.release()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{"User-Agent": {userAgent}}}
	if err := req.Write(nc); err != nil {
		return err
	}
	resp, err := c.readHead(req.Method)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !c.end() {
		return errProxy
	}
	return nc.SetDeadline(time.Time{})
}

var errProxy = errors.New("the proxy does not connect")
