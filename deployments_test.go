package tram

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestByHand runs the deployment that is described step by step: three brokers,
// two dispatchers of which one is killed, two collectors.
func TestByHand(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "deployments/by-hand.sh")
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", freePorts(t)))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`delivery caresoft/hotline accepted .* request second`,
		`outcome  momo/shop        done momo.messages_report answers=4 stats=399 records=57`,
		`does not permit this user .*pancake\.page"`,
		`delivery caresoft/hotline accepted .* request fourth`,
		`(?m)^\S{22} .* 64 `,
		`== done`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("it prints nothing like %q:\n%s", want, out)
		}
	}
}

// freePorts returns a number after which the ports are free that the script
// takes. They are below those that systems give to connections by themselves.
func freePorts(t *testing.T) int {
	t.Helper()
	const first, last, step = 20_000, 32_000, 100
	for i := range (last - first) / step {
		base := first + (os.Getpid()+i)*step%(last-first)
		if allFree(base) {
			return base
		}
	}
	t.Fatal("no ports are free")
	return 0
}

func allFree(base int) bool {
	for port := base + 1; port <= base+52; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// TestByHand_documented makes sure that by-hand.sh does what by-hand.md says, in
// the same order. The script may repeat a command that needs patience.
func TestByHand_documented(t *testing.T) {
	page, err := os.ReadFile("deployments/by-hand.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("deployments/by-hand.sh")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(page, -1)
	rest := strings.ReplaceAll(string(script), "patiently ", "")
	for _, b := range blocks {
		for line := range strings.Lines(string(b[1])) {
			_, after, ok := strings.Cut(rest, "\n"+line)
			if !ok {
				t.Fatalf("the script does not have, or not at this place:\n%s", line)
			}
			rest = "\n" + after
		}
	}
	if len(blocks) < 11 {
		t.Errorf("the page has %d steps", len(blocks))
	}
}

// TestSystemd has systemd judge the units, where it is installed: that it
// understands each line, and how much a process in them could do.
func TestSystemd(t *testing.T) {
	const mostExposed = "20" // of 100; systemd calls up to 19 "OK"
	for process, secrets := range map[string]bool{"dispatcher": true, "collector": false} {
		name := "tram-" + process + "@.service"
		unit, err := os.ReadFile("deployments/systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"ExecStart=/usr/local/bin/" + process + " ", "NATS_INBOX_PREFIX=_INBOX_" + process + "\n", "/users/" + process + ".nk\n",
			"RestartPreventExitStatus=2 3\n", "DynamicUser=yes\n",
		} {
			if !strings.Contains(string(unit), want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		if strings.Contains(string(unit), "tram-accounts") != secrets {
			t.Errorf("%s: reads accounts %v, want %v", name, !secrets, secrets)
		}
		if _, err := exec.LookPath("systemd-analyze"); err != nil {
			t.Logf("nobody here can verify %s: %v", name, err)
			continue
		}
		file := t.TempDir() + "/" + name
		installed := strings.ReplaceAll(string(unit), "/usr/local/bin/"+process, "/bin/sh") // it wants to see a program
		if err := os.WriteFile(file, []byte(installed), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify", file}, {"security", "--offline=true", "--threshold=" + mostExposed, file}} {
			if out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput(); err != nil {
				t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
			}
		}
	}
}
