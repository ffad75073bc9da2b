// Package ops is how whoever runs the relay looks at a process: one HTTP
// listener with its health and its metrics.
//
//	/livez    200 while the process is not wedged
//	/readyz   200 while it can do its work, 503 with what is in the way
//	/metrics  for Prometheus
//
// All of it is for reading. It has no authentication, and tells names of
// accounts and counts, nothing of what is in events.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Ops is the health and the metrics of one process.
type Ops struct {
	*Health
	*Metrics

	url     string
	server  *http.Server
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Start serves the health and metrics of a process of the given version at
// listen, host:port, where port 0 takes a free one; where listen is "" nobody
// can look, and no health is looked at. The caller closes it.
func Start(listen, version string, log *slog.Logger) (*Ops, error) {
	o := &Ops{Health: newHealth(log), stop: func() {}}
	o.Metrics = newMetrics(version, o.Ready)
	if listen == "" {
		return o, nil
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("serve health and metrics: %w: ops.listen must be another one for each process of a host", err)
	}
	o.serve(l)
	log.Info("health and metrics are served", "url", o.url)
	return o, nil
}

func (o *Ops) serve(l net.Listener) {
	o.url = "http://" + l.Addr().String()
	o.server = &http.Server{
		Handler: o.handler(), ErrorLog: log.New(io.Discard, "", 0), // it would quote what strangers send
		ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	var ctx context.Context
	ctx, o.stop = context.WithCancel(context.Background())
	o.running.Go(func() { o.watch(ctx) })
	o.running.Go(func() { _ = o.server.Serve(l) }) // ends with Close
}

// URL returns where it is served, "" if it is not.
func (o *Ops) URL() string { return o.url }

// Close ends the listener and all looking.
func (o *Ops) Close() error {
	o.stop()
	var err error
	if o.server != nil {
		err = o.server.Close()
	}
	o.running.Wait()
	return err
}

func (o *Ops) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, o.Alive() == nil, map[string]string{"alive": text(o.Alive())})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := o.Ready()
		answer(w, r.Ready, r)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true,
	}))
	return mux
}

func answer(w http.ResponseWriter, ok bool, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(v) // a caller that is gone
}

func text(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

var errNotLooked = errors.New("not looked at yet")
