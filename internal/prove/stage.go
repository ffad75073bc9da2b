package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
)

// A stage is where a proof plays: a broker with file storage, a sandbox in this
// process, and the programs that it starts and kills.
type stage struct {
	dir      string
	programs string // where they are
	self     string // this very program, to be the broker
	seed     uint64 // of random
	random   *rand.Rand
	address  string   // of the broker
	maxStore int64    // the same
	broker   *process // may be dead
	cluster  *cluster // instead of broker
	nc       *nats.Conn
	js       jetstream.JetStream
	sandbox  *sandbox.Server
	far      *wire // to the sandbox, if an account is wired
	log      *slog.Logger
	env      []string // of the programs
	running  []*process
	filled   int // numbers given to requests by fill
}

// newStage builds the programs and sets everything up in a directory that
// close removes.
func newStage(ctx context.Context, c scene) (_ *stage, err error) {
	if c.Accounts == nil {
		c.Accounts = []account{prover}
	}
	s := &stage{seed: c.Seed, random: rand.New(rand.NewPCG(c.Seed, 0)), log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if s.dir, err = os.MkdirTemp("", "tram-prove-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err = s.build(ctx, c); err != nil {
		return nil, err
	}
	s.maxStore = c.MaxStore
	replicas, start := 1, s.startBroker
	if c.Cluster {
		replicas, start = nodes, s.startCluster
	}
	if err = start(ctx); err != nil {
		return nil, err
	}
	if s.nc, err = broker.Connect(ctx, broker.Config{URLs: strings.Split(s.url(), ","), Name: "prove"}); err != nil {
		return nil, err
	}
	if s.js, err = broker.JetStream(s.nc); err != nil {
		return nil, err
	}
	options := sandbox.Options{
		Seed: c.Seed, Latency: 20 * time.Millisecond, Jitter: 40 * time.Millisecond, Journal: c.Journal,
	}
	for _, a := range c.Accounts {
		options.Accounts = append(options.Accounts, sandbox.Account{
			Provider: a.provider(), ID: a.Name, Token: token, OAs: []string{oa}, PerSecond: -1, PerHour: -1,
		})
	}
	s.sandbox = sandbox.New(options)
	url, err := s.sandbox.Start("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(c.Accounts, func(a account) bool { return a.Wired }) {
		if s.far, err = newWire(strings.TrimPrefix(url, "http://")); err != nil {
			return nil, err
		}
	}
	if err = s.configure(url, replicas, c); err != nil {
		return nil, err
	}
	if c.Cluster {
		return s, s.tramSetup(ctx)
	}
	if c.Bare {
		return s, nil
	}
	return s, broker.Setup(ctx, s.js, broker.Streams{Partitions: c.Partitions})
}

// setup runs `tram setup`.
func (s *stage) setup(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "tram"), "setup", "--config", s.config())
	cmd.Env = s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tram setup: %w\n%s", err, out)
	}
	return nil
}

func (s *stage) close() {
	for _, p := range s.running {
		_ = p.kill()
	}
	if s.far != nil {
		s.far.Stop()
	}
	if s.sandbox != nil {
		s.sandbox.Close()
	}
	if s.nc != nil {
		s.nc.Close()
	}
	if s.cluster != nil {
		s.cluster.close()
	}
	os.RemoveAll(s.dir)
}

// until polls check until it returns true, or fails after patience.
func until(ctx context.Context, patience time.Duration, what string, check func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := check()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pause returns after d, or earlier with the reason why ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// count returns how many messages of stream match filter.
func (s *stage) count(ctx context.Context, stream, filter string) (uint64, error) {
	st, err := s.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, c := range info.State.Subjects {
		n += c
	}
	return n, nil
}
