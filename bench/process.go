package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is one that a run has started. Its output is a file.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	done  chan struct{}
	err   error
}

// launch starts cmd under a name, with its log in dir.
func launch(dir, name string, cmd *exec.Cmd) (*process, error) {
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: name, cmd: cmd, log: log.Name(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// myself is this program with a hidden command.
func myself(command string, args ...string) *exec.Cmd {
	return exec.Command("/proc/self/exe", append([]string{command}, args...)...)
}

// stop is SIGTERM, and after some grace SIGKILL. The process may be dead
// already.
func (p *process) stop() {
	const grace = 20 * time.Second
	p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// dead returns an error with the end of the log when the process has ended by
// itself.
func (p *process) dead() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	log, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, io.ErrUnexpectedEOF), log[max(0, len(log)-2000):])
}

// cpu is how long the process has computed, in user and in system mode.
func (p *process) cpu() time.Duration {
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "stat"))
	return ticks(string(stat[bytes.LastIndexByte(stat, ')')+1:]), 11, 13)
}

// peak is the most memory that the process has had, in bytes.
func (p *process) peak() int64 {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// machineCPU is how long all processors of this machine have computed.
func machineCPU() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	all, _, _ := strings.Cut(string(stat), "\n")
	return ticks(all, 1, 4) + ticks(all, 6, 9) // user, nice, system; interrupts, stolen
}

// ownCPU is how long this process has computed.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ticks sums fields of a line, in the kernel's hundredths of a second.
func ticks(line string, from, to int) (sum time.Duration) {
	fields := strings.Fields(line)
	for i := from; i < min(to, len(fields)); i++ {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// freeAddress returns a local address that nobody listens on, below those that
// the system gives to clients, so that none of them takes it meanwhile.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15_000+rand.N(15_000)))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

// listening returns when something listens at address, or p is dead.
func listening(ctx context.Context, address string, p *process) error {
	return until(ctx, time.Minute, p.name, func() (bool, error) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil, p.dead()
	})
}

// until polls check until it returns true, or fails after patience.
func until(ctx context.Context, patience time.Duration, what string, check func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %s for %s", patience, what))
	defer cancel()
	for {
		ok, err := check()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
