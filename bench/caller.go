package main

import (
	"bytes"
	"io"
	"net/http"

	"github.com/valyala/fasthttp"
)

// A caller posts JSON to the provider and returns the status and the answer.
type caller func(url string, body []byte) (status int, answer []byte, err error)

// stdCaller is net/http as one tunes it for many calls to one host.
func stdCaller(inflight int) caller {
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: inflight, MaxConnsPerHost: inflight, DisableCompression: true,
	}}
	return func(url string, body []byte) (int, []byte, error) {
		r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(r)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		return resp.StatusCode, answer, err
	}
}

// fastCaller is the fastest client there is.
func fastCaller(inflight int) caller {
	client := &fasthttp.Client{
		MaxConnsPerHost: inflight, NoDefaultUserAgentHeader: true,
		DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true,
	}
	return func(url string, body []byte) (int, []byte, error) {
		q, a := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(q)
		defer fasthttp.ReleaseResponse(a)
		q.SetRequestURI(url)
		q.Header.SetMethod(fasthttp.MethodPost)
		q.Header.SetContentType("application/json")
		q.Header.Set("Authorization", "Bearer "+token)
		q.SetBodyRaw(body)
		if err := client.Do(q, a); err != nil {
			return 0, nil, err
		}
		return a.StatusCode(), bytes.Clone(a.Body()), nil
	}
}
