package channels

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
)

// send makes the round trip of r, with what [ClientConfig.Instrument] has put around
// it.
func (c *Client) send(r *request) (*http.Response, error) {
	if c.trip == nil {
		return c.transport.send(r)
	}
	return c.trip.RoundTrip(r.http())
}

type flightKey struct{}

// http is r as an instrument knows requests. The flight is in its context.
func (r *request) http() *http.Request {
	req := &http.Request{Method: r.method, URL: r.url, Host: r.url.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	for _, f := range r.header {
		req.Header.Add(f.name, f.value)
	}
	if len(r.body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(r.body))
		req.ContentLength = int64(len(r.body))
	}
	return req.WithContext(context.WithValue(r.ctx, flightKey{}, r.flight))
}

// RoundTrip sends what an instrument has made of a request, which may have more
// headers and another context.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	r := &request{ctx: req.Context(), flight: req.Context().Value(flightKey{}).(*flight), method: req.Method, url: req.URL}
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		for _, value := range req.Header[name] {
			r.header = append(r.header, field{name, value})
		}
	}
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if r.body, err = io.ReadAll(req.Body); err != nil {
			return nil, &quietError{err}
		}
	}
	resp, err := t.send(r)
	if err == nil {
		resp.Request = req
	}
	return resp, err
}
