package telemetry

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A client posts spans as OTLP in protobuf. It implements [otlptrace.Client].
// OpenTelemetry's own, otlptracehttp, links all of gRPC: 12 MB of program and 5
// MiB of memory, a twelfth of what a dispatcher may take, whether there is an
// endpoint or not.
type client struct {
	url     string
	http    http.Client
	headers http.Header
	gzip    bool
	timeout time.Duration // of one try
}

// option returns a standard variable of the exporter, such as HEADERS: that of
// traces or, without it, that of all signals.
func option(name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

// newClient returns a client as the standard variables say.
func newClient(endpoint string) (*client, error) {
	c := &client{url: endpoint, headers: http.Header{}, timeout: exportTime}
	if ms := option("TIMEOUT"); ms != "" {
		n, err := strconv.Atoi(ms)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT must be milliseconds above 0, it is %q", ms)
		}
		c.timeout = time.Duration(n) * time.Millisecond
	}
	switch how := option("COMPRESSION"); how {
	case "gzip":
		c.gzip = true
	case "", "none":
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_COMPRESSION must be gzip or none, it is %q", how)
	}
	for pair := range strings.SplitSeq(option("HEADERS"), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil { // they are credentials: none is quoted
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS must be pairs such as api-key=abc, with commas between them")
		}
		c.headers.Set(strings.TrimSpace(name), value)
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var err error
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute}
	t.TLSClientConfig, err = tlsConfig()
	c.http.Transport = t
	return c, err
}

func tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := option("CERTIFICATE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("use OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("use OTEL_EXPORTER_OTLP_CERTIFICATE: %s has no certificate", file)
		}
	}
	if cert, key := option("CLIENT_CERTIFICATE"), option("CLIENT_KEY"); cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("use OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _KEY: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (c *client) Start(context.Context) error { return nil }

func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces posts spans, again while the endpoint says that it is busy, until
// ctx is done.
func (c *client) UploadTraces(ctx context.Context, spans []*otlp.ResourceSpans) error {
	body, err := proto.Marshal(&otlp.TracesData{ResourceSpans: spans}) // in the wire format an export request is the same
	if err != nil {
		return err
	}
	if c.gzip {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // into memory
		_ = w.Close()
		body = b.Bytes()
	}
	for wait := time.Second; ; wait *= 2 {
		status, err := c.post(ctx, body)
		switch {
		case err != nil:
			return err
		case status >= 200 && status <= 299:
			return nil
		case !slices.Contains([]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, status):
			return fmt.Errorf("the endpoint answers %d %s", status, http.StatusText(status))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the endpoint answers %d %s", status, http.StatusText(status))
		case <-time.After(wait):
		}
	}
}

func (c *client) post(ctx context.Context, body []byte) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = c.headers.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "tram")
	if c.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok { // it quotes the URL, whose path may be a credential
		return 0, fmt.Errorf("post to %s: %w", req.URL.Host, wrapped.Err)
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again
	return resp.StatusCode, nil
}
