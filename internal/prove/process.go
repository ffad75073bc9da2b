package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

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

// startBoth starts a dispatcher and a collector.
func (s *stage) startBoth() (dispatcher, collector *process, err error) {
	if dispatcher, err = s.start("dispatcher"); err != nil {
		return nil, nil, err
	}
	collector, err = s.start("collector")
	return dispatcher, collector, err
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
