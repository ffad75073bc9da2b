// Package sandbox is the providers, emulated over HTTP: strict about what their
// documents demand, with faults on demand, and a judge of what was called.
//
// One listener serves them all; an account's base URL is the listener's plus
// the provider's name:
//
//	http://127.0.0.1:PORT/caresoft/{domain}/api/v1/zalo/send-message
//	http://127.0.0.1:PORT/ahachat/api/bots/{bot}/users/{user}/send
//	http://127.0.0.1:PORT/momo/v1/business-pages/{id}/chat/messages/report
//	http://127.0.0.1:PORT/pancake/public_api/v2/pages/{id}/conversations
//	http://127.0.0.1:PORT/facebook/v25.0/{page}/insights
//
// What no document says, such as the status of a refusal, is the sandbox's own
// assumption and marked so where it is made. Whoever relies on it relies on
// nothing. The judge's side is under /_sandbox/ and in the methods of [Server]:
// see docs/sandbox.md for using it by hand.
package sandbox

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options are the settings of a sandbox; the zero value is a good one.
type Options struct {
	Accounts []Account // Defaults to [DefaultAccounts]

	Seed    uint64           // of data and jitter: the same seed gives the same answers
	Now     func() time.Time // Defaults to time.Now
	Latency time.Duration    // before every answer
	Jitter  time.Duration    // added to Latency: evenly from 0 to this

	// Journal is how many calls are kept, the newest ones. Defaults to 100,000;
	// negative keeps none. Counts go on regardless.
	Journal int
}

// A Server is the sandbox. Its methods are safe for concurrent use.
type Server struct {
	options  Options
	apis     map[string]*api // by name
	accounts map[accountKey]*state
	journal  *journal
	faults   faults
	admin    http.Handler

	mu       sync.Mutex // guards what follows
	random   *rand.Rand
	http     *http.Server
	url      string
	closed   bool
	done     chan struct{} // closed by Close: whoever hangs lets go
	inflight sync.WaitGroup
}

// maxBody bounds what is read of a request; no documented one comes near it.
const maxBody = 1 << 20

// New returns a sandbox that serves through its ServeHTTP; see [Server.Start]
// for a listener.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Accounts == nil {
		o.Accounts = DefaultAccounts()
	}
	s := &Server{
		options: o,
		apis:    map[string]*api{},
		journal: newJournal(o.Journal),
		random:  rand.New(rand.NewPCG(o.Seed, 0)),
		done:    make(chan struct{}),
	}
	for _, a := range []*api{caresoft(o), ahachat(), momo(o), facebook(o), pancake(o), webhook()} {
		s.apis[a.name] = a
	}
	s.accounts = newStates(o.Accounts, s.apis)
	s.admin = s.adminHandler()
	return s
}

// Start listens on addr, such as "127.0.0.1:0", and returns the base URL.
func (s *Server) Start(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("start sandbox: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.http != nil {
		l.Close()
		return "", errors.New("start sandbox: started before")
	}
	s.url = "http://" + l.Addr().String()
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // broken connections are its trade
	}
	server := s.http
	s.inflight.Go(func() { _ = server.Serve(l) })
	return s.url, nil
}

// URL returns the base URL of the listener, "" before [Server.Start].
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Close breaks all connections and returns when every handler has.
func (s *Server) Close() error {
	s.mu.Lock()
	server, first := s.http, !s.closed
	s.closed = true
	if first {
		close(s.done)
	}
	s.mu.Unlock()
	var err error
	if server != nil {
		err = server.Close()
	}
	s.inflight.Wait()
	return err
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, "sandbox is closed", http.StatusServiceUnavailable)
		return
	}
	s.inflight.Add(1)
	s.mu.Unlock()
	defer s.inflight.Done()

	if strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.admin.ServeHTTP(w, r)
		return
	}
	s.serve(w, &request{Request: r, at: s.options.Now()})
}

// serve plays the provider, or the fault that was asked for.
func (s *Server) serve(w http.ResponseWriter, r *request) {
	s.route(r)
	early := s.faults.pick(r, true)
	if early != nil {
		s.journal.add(r.call(answer{}, early), r.op.send)
		s.sleep(r, early.delay())
		reset(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	r.body = body
	var own answer
	if err != nil {
		own = r.api.refuse(http.StatusRequestEntityTooLarge, "Request body cannot be read")
	} else {
		own = s.answer(r)
	}
	fault := s.faults.pick(r, false)
	ans := fault.answer(r.Request, own)
	if ans.accepted && own.apply != nil {
		own.apply()
	}
	s.journal.add(r.call(ans, fault), r.op.send)
	s.sleep(r, s.latency()+fault.delay())
	s.deliver(w, r, ans, fault)
}

// route finds who is called: provider, operation and account.
func (s *Server) route(r *request) {
	r.api, r.op = nowhere, &operation{name: "unknown"}
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	a := s.apis[segments[0]]
	if a == nil {
		return
	}
	r.api = a
	// Not r.URL.Query, which drops what it cannot parse.
	r.query, r.queryErr = url.ParseQuery(r.URL.RawQuery)
	for i := range a.operations {
		op := &a.operations[i]
		if vars, ok := match(op.path, segments[1:]); ok {
			r.op, r.vars = op, vars
			r.state = s.accounts[accountKey{a.name, a.accountOf(r)}]
			return
		}
	}
}

// answer is the provider's own.
func (s *Server) answer(r *request) answer {
	switch {
	case r.op.serve == nil:
		return r.api.refuse(http.StatusNotFound, "Not Found")
	case r.op.method != "" && r.Method != r.op.method:
		return r.api.refuse(http.StatusMethodNotAllowed, "Method Not Allowed")
	case r.queryErr != nil:
		return r.api.refuse(http.StatusBadRequest, "Query string is not valid")
	case r.state == nil:
		return r.api.refuse(http.StatusNotFound, r.api.noAccount)
	}
	ok, streak := r.state.admit(r.at)
	ans := r.op.serve(r) // also tells the journal who was to get what
	if !ok {
		return r.api.throttled(streak)
	}
	return ans
}

func (s *Server) latency() time.Duration {
	d := s.options.Latency
	if s.options.Jitter > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		d += time.Duration(s.random.Int64N(int64(s.options.Jitter)))
	}
	return d
}

// sleep waits for d, or until nobody is interested any more.
func (s *Server) sleep(r *request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.done:
	}
}
