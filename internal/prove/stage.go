package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
)

// A stage is where a proof plays: a broker with file storage and a sandbox in
// this process, and the programs that it starts and kills.
type stage struct {
	dir     string
	random  *rand.Rand
	broker  *broker.Embedded
	nc      *nats.Conn
	js      jetstream.JetStream
	sandbox *sandbox.Server
	log     *slog.Logger
	running []*process
}

const token = "prove-caresoft-token"

// newStage builds the programs and sets everything up in a directory that
// close removes.
func newStage(ctx context.Context, seed uint64) (s *stage, err error) {
	s = &stage{random: rand.New(rand.NewPCG(seed, 0)), log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if s.dir, err = os.MkdirTemp("", "tram-prove-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	build := exec.CommandContext(ctx, "go", "build", "-o", s.dir+string(filepath.Separator),
		"github.com/tramhq/tram/cmd/dispatcher", "github.com/tramhq/tram/cmd/collector")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	if s.broker, err = broker.StartEmbedded(broker.EmbeddedConfig{
		Dir: filepath.Join(s.dir, "broker"), Listen: "127.0.0.1:0", Log: s.log,
	}); err != nil {
		return nil, err
	}
	if s.nc, err = broker.Connect(ctx, broker.Config{URLs: []string{s.broker.URL()}, Name: "prove"}); err != nil {
		return nil, err
	}
	if s.js, err = broker.JetStream(s.nc); err != nil {
		return nil, err
	}
	if err = broker.Setup(ctx, s.js, broker.Streams{}); err != nil {
		return nil, err
	}
	s.sandbox = sandbox.New(sandbox.Options{
		Seed: seed, Latency: 20 * time.Millisecond, Jitter: 40 * time.Millisecond,
		Accounts: []sandbox.Account{{
			Provider: "caresoft", ID: "prove", Token: token, OAs: []string{"1600190000000000001"}, PerSecond: -1, PerHour: -1,
		}},
	})
	url, err := s.sandbox.Start("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`
nats: {url: %q}
http: {dial_timeout: 1s}
dispatcher: {call_timeout: 3s, grace: 5s}
accounts:
  - provider: caresoft
    name: prove
    base_url: %s/caresoft
    settings: {domain: prove, oa_id: "1600190000000000001"}
    limits: {per_second: 1000, concurrency: 64}
`, s.broker.URL(), url)
	return s, os.WriteFile(s.config(), []byte(config), 0o600)
}

func (s *stage) config() string { return filepath.Join(s.dir, "tram.yaml") }

func (s *stage) close() {
	for _, p := range s.running {
		p.kill()
	}
	if s.sandbox != nil {
		s.sandbox.Close()
	}
	if s.nc != nil {
		s.nc.Close()
	}
	if s.broker != nil {
		s.broker.Close()
	}
	os.RemoveAll(s.dir)
}

// A process is one of tram's programs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	log  *os.File
}

// start starts the named program. Its log is a file on the stage.
func (s *stage) start(program string) (*process, error) {
	log, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%s-%d.log", program, len(s.running))))
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(filepath.Join(s.dir, program), "--config", s.config()), done: make(chan struct{}), log: log}
	p.cmd.Env = append(os.Environ(), "TRAM_SECRET_CARESOFT_PROVE_TOKEN="+token)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	s.running = append(s.running, p)
	return p, nil
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be dead already
	<-p.done
	p.log.Close()
}

// dead returns an error with the end of the log when the process has ended by
// itself.
func (p *process) dead() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	log, _ := os.ReadFile(p.log.Name())
	return fmt.Errorf("%s died: %w\n%s", filepath.Base(p.cmd.Path), p.err, log[max(0, len(log)-4000):])
}

// rss is the process's resident memory in bytes.
func (p *process) rss() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kb int64
			_, err := fmt.Sscanf(rest, "%d kB", &kb)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// alive returns an error if any of the processes has ended by itself.
func alive(all ...*process) error {
	for _, p := range all {
		if err := p.dead(); err != nil {
			return err
		}
	}
	return nil
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
