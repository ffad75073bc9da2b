package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// A scene is what a stage is set up with.
type scene struct {
	Seed     uint64    // of everything random
	Accounts []account // defaults to prover
	Groups   []group   // of them
	Journal  int       // calls that the sandbox keeps. Defaults to its own default
	Skew     bool      // dispatchers can be started with a clock that is wrong

	Failpoints bool          // the programs pass fail-points
	Brittle    bool          // a provider package of theirs panics at some recipients; not with Skew
	Partitions int           // defaults to broker.DefaultPartitions
	Lease      time.Duration // of the dispatchers. Defaults to their own default
	MaxStore   int64         // bytes that the broker may keep. Defaults to its own default
	Cluster    bool          // three servers and streams with three replicas, instead of a broker
	Bare       bool          // the streams are not set up
}

// An account is one at CareSoft or AhaChat. The sandbox has no limit for it.
type account struct {
	Provider string // defaults to caresoft
	Name     string
	Limits   string // as the configuration has them
	Breaker  string // the same
	Wired    bool   // its provider is reached over the stage's far wire
}

// A group is accounts with a limit that they share.
type group struct {
	name     string
	accounts []account
	limits   string // as the configuration has them
}

// prover is called as fast as it goes.
var prover = account{Name: "prove", Limits: "{per_second: 1000, concurrency: 64}"}

func (a account) provider() string { return cmp.Or(a.Provider, "caresoft") }

func (a account) partition() int {
	return broker.Partition(a.provider(), a.Name, broker.DefaultPartitions)
}

const (
	token = "prove-token"
	oa    = "1600190000000000001"
)

// newStage builds the programs and sets everything up in a directory that
// close removes.
func newStage(ctx context.Context, c scene) (_ *stage, err error) {
	if c.Accounts == nil {
		c.Accounts = []account{prover}
	}
	s := &stage{random: rand.New(rand.NewPCG(c.Seed, 0)), log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
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

// configure writes the configuration of the programs, and their environment.
func (s *stage) configure(url string, replicas int, c scene) error {
	var b strings.Builder
	fmt.Fprintf(&b, `
nats: {url: %q}
http: {dial_timeout: 1s}
streams: {partitions: %d, replicas: %d}
dispatcher: {call_timeout: 3s, grace: 5s, lease: %s}
accounts:
`, s.url(), cmp.Or(c.Partitions, broker.DefaultPartitions), replicas, cmp.Or(c.Lease, 3*time.Second))
	s.env = os.Environ()
	for _, a := range c.Accounts {
		base := url
		if a.Wired {
			base = "http://" + s.far.Listen
		}
		settings := fmt.Sprintf("{domain: %s, oa_id: %q}", a.Name, oa)
		if a.provider() == "ahachat" {
			settings = fmt.Sprintf("{bot_id: %q}", a.Name)
		}
		fmt.Fprintf(&b, `
  - provider: %s
    name: %s
    base_url: %s
    settings: %s
    limits: %s
    breaker: %s
`, a.provider(), a.Name, base+"/"+a.provider(), settings, a.Limits, cmp.Or(a.Breaker, "{}"))
		s.env = append(s.env, strings.ToUpper("TRAM_SECRET_"+a.provider()+"_"+a.Name+"_TOKEN=")+token)
	}
	b.WriteString("groups:\n")
	for _, g := range c.Groups {
		fmt.Fprintf(&b, "  - {name: %s, limits: %s, accounts: [", g.name, g.limits)
		for i, a := range g.accounts {
			fmt.Fprintf(&b, "%s%s/%s", strings.Repeat(", ", min(i, 1)), a.provider(), a.Name)
		}
		b.WriteString("]}\n")
	}
	return os.WriteFile(s.config(), []byte(b.String()), 0o600)
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

func (s *stage) config() string { return filepath.Join(s.dir, "tram.yaml") }

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

// A process is one of tram's programs, or the broker.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	log  *os.File
}

// start starts the named program, with env besides what all have. Its log is a
// file on the stage.
func (s *stage) start(program string, env ...string) (*process, error) {
	cmd := exec.Command(filepath.Join(s.programs, program), "--config", s.config())
	cmd.Env = slices.Concat(s.env, env)
	return s.launch(program, cmd)
}

// launch starts cmd under a name.
func (s *stage) launch(name string, cmd *exec.Cmd) (*process, error) {
	log, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%s-%d.log", name, len(s.running))))
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{}), log: log}
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

// kill is kill -9. The process may be dead already.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill()
	<-p.done
	p.log.Close()
	return nil
}

// stop is SIGTERM, and returns when the process has ended.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.done
	p.log.Close()
	if p.err != nil {
		return fmt.Errorf("%s was stopped: %w", filepath.Base(p.cmd.Path), p.err)
	}
	return nil
}

// member is the name under which a dispatcher owns partitions, "" before it
// has joined.
func (p *process) member() (member string, err error) {
	log, err := os.ReadFile(p.log.Name())
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(log)) {
		if _, id, found := strings.Cut(line, "msg=joined member="); found {
			member = strings.TrimSpace(id)
		}
	}
	return member, nil
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

// rss is the process's resident memory in bytes, and peak the most it has been.
func (p *process) rss() (int64, error)  { return p.memory("VmRSS:") }
func (p *process) peak() (int64, error) { return p.memory("VmHWM:") }

func (p *process) memory(what string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, what); ok {
			var kb int64
			_, err := fmt.Sscanf(rest, "%d kB", &kb)
			return kb << 10, err
		}
	}
	return 0, errors.New("no " + what)
}

// cpuOf returns how many seconds of a core a process has used, 0 if it is gone.
func cpuOf(pid int) float64 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return ticks(string(stat[bytes.LastIndexByte(stat, ')')+1:]), 11, 13) // user, system
}

// cpuOfAll returns how many seconds of a core were used on this machine.
func cpuOfAll() float64 {
	stat, _ := os.ReadFile("/proc/stat")
	all, _, _ := strings.Cut(string(stat), "\n")
	return ticks(all, 1, 4) + ticks(all, 6, 9) // user, nice, system; interrupts, stolen
}

// ticks sums fields of a line in the kernel's hundredths of a second.
func ticks(line string, from, to int) (seconds float64) {
	fields := strings.Fields(line)
	for i := from; i < min(to, len(fields)); i++ {
		n, _ := strconv.ParseFloat(fields[i], 64)
		seconds += n / 100
	}
	return seconds
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
