package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A stub is the provider, as cheap as it can be made: it answers every call as
// CareSoft does, and remembers when each recipient was called.
type stub struct {
	latency  time.Duration
	arrivals []atomic.Int64 // by recipient, unix nanoseconds of the first call
	calls    atomic.Int64
	repeated atomic.Int64
	underway atomic.Int64
	most     atomic.Int64 // that underway has been
	first    atomic.Int64 // unix nanoseconds
}

// Calls is what a stub has seen.
type Calls struct {
	Calls, Repeated, Most int64
	First                 int64 // unix nanoseconds
}

// serveProvider is the hidden command `bench provider`.
func serveProvider(args []string) error {
	flags := flag.NewFlagSet("provider", flag.ExitOnError)
	listen := flags.String("listen", "", "host:port")
	n := flags.Int("n", 0, "recipients")
	latency := flags.Duration("latency", 0, "of an answer")
	_ = flags.Parse(args) // exits on an error
	s := &stub{latency: *latency, arrivals: make([]atomic.Int64, *n)}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &fasthttp.Server{Handler: s.serve, NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true}
	go func() {
		untilParentEnds()
		l.Close()
	}()
	return server.Serve(l)
}

func (s *stub) serve(c *fasthttp.RequestCtx) {
	switch string(c.Path()) {
	case "/calls":
		body, _ := json.Marshal(Calls{s.calls.Load(), s.repeated.Load(), s.most.Load(), s.first.Load()})
		c.SetBody(body)
		return
	case "/arrivals":
		all := make([]int64, len(s.arrivals))
		for i := range all {
			all[i] = s.arrivals[i].Load()
		}
		body, _ := json.Marshal(all)
		c.SetBody(body)
		return
	}
	now := time.Now().UnixNano()
	s.first.CompareAndSwap(0, now)
	s.calls.Add(1)
	underway := s.underway.Add(1)
	defer s.underway.Add(-1)
	for most := s.most.Load(); underway > most && !s.most.CompareAndSwap(most, underway); {
		most = s.most.Load()
	}
	i, ok := recipientIn(c.PostBody())
	if !ok || i >= len(s.arrivals) {
		c.Error(`{"code":"errors","message":"no such phone_no"}`, fasthttp.StatusBadRequest)
		return
	}
	if !s.arrivals[i].CompareAndSwap(0, now) {
		s.repeated.Add(1)
	}
	if s.latency > 0 {
		time.Sleep(s.latency)
	}
	c.SetContentType("application/json")
	c.SetBodyString(`{"code":"ok","message":"created","id":123456}`)
}

// phone is recipient number i, and recipientIn finds it in a call.
func phone(i int) string { return fmt.Sprintf("09%08d", i) }

func recipientIn(body []byte) (i int, ok bool) {
	_, rest, ok := bytes.Cut(body, []byte(`"phone_no":"09`))
	if !ok {
		return 0, false
	}
	return digits(rest)
}

// digits reads the eight that text begins with.
func digits(text []byte) (i int, ok bool) {
	if len(text) < 8 {
		return 0, false
	}
	for _, c := range text[:8] {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = 10*i + int(c-'0')
	}
	return i, true
}
