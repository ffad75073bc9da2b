package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A crew is processes of which each that is killed is replaced.
type crew struct {
	stage   *stage
	env     func(program string) []string // of the next process
	members []*member
	deaths  int
}

type member struct {
	*process
	program string
}

const (
	crashDispatchers = 3
	crashCollectors  = 2
)

// cast starts the crew. Each process gets the environment that env makes for it;
// nil is none.
func (r *crashRun) cast(env func(program string) []string) error {
	r.crew = &crew{stage: r.stage, env: env}
	for i := range crashDispatchers + crashCollectors {
		program := "dispatcher"
		if i >= crashDispatchers {
			program = "collector"
		}
		m := &member{program: program}
		r.crew.members = append(r.crew.members, m)
		if err := r.crew.start(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *crew) start(m *member) (err error) {
	var env []string
	if c.env != nil {
		env = c.env(m.program)
	}
	m.process, err = c.stage.start(m.program, env...)
	return err
}

// tend replaces who was killed. Who died of anything else has a fault.
func (c *crew) tend() error {
	for _, m := range c.members {
		if !m.ended() {
			continue
		}
		if !m.killedBy(syscall.SIGKILL) {
			return m.dead()
		}
		m.log.Close()
		c.deaths++
		if err := c.start(m); err != nil {
			return err
		}
	}
	return nil
}

// calm replaces everybody by processes that nothing happens to.
func (c *crew) calm() error {
	armed := c.env != nil
	c.env = nil
	if armed {
		if err := c.stop(); err != nil {
			return err
		}
	}
	for _, m := range c.members {
		if m.ended() {
			if err := c.start(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// stop ends everybody in good order. Who has yet to come to its fail-point may
// do so on the way out, and who has just been started may not listen to it yet
// or say that it has not started.
func (c *crew) stop() error {
	var all error
	for _, m := range c.members {
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, m := range c.members {
		<-m.done
		m.log.Close()
		if m.err != nil && !m.killedBy(syscall.SIGKILL) && !m.killedBy(syscall.SIGTERM) && m.cmd.ProcessState.ExitCode() != notStarted {
			all = errors.Join(all, m.dead())
		}
	}
	return all
}

// notStarted is the exit code of a process that did not come as far as its work.
const notStarted = 4

func (c *crew) alive() error {
	for _, m := range c.members {
		if err := m.dead(); err != nil {
			return err
		}
	}
	return nil
}

// some returns one of the members that run a program, any if it is "".
func (c *crew) some(program string) *member {
	for {
		m := c.members[c.stage.random.IntN(len(c.members))]
		if program == "" || m.program == program {
			return m
		}
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// killedBy reports whether a process that has ended was killed by sig.
func (p *process) killedBy(sig syscall.Signal) bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == sig
}

// keepLogs copies the logs of all processes out of the stage, which will be
// removed, and says where they are.
func (s *stage) keepLogs() string {
	dir, err := os.MkdirTemp("", "tram-prove-logs-")
	if err != nil {
		return err.Error()
	}
	for _, p := range s.running {
		data, err := os.ReadFile(p.log.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(p.log.Name())), data, 0o600)
		}
		if err != nil {
			return fmt.Sprintf("%s, but %v", dir, err)
		}
	}
	return dir
}
