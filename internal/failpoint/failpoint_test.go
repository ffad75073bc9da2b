package failpoint

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build builds a package and returns the program.
func build(t *testing.T, pkg string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	args := append([]string{"build", "-o", file}, flags...)
	if out, err := exec.CommandContext(t.Context(), "go", append(args, pkg)...).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return file
}

func TestPoints(t *testing.T) {
	program := build(t, "./testdata/hits", "-tags", "failpoints")
	const all = "read called read called read called"
	tests := []struct {
		name, env, seed string
		want            string // what it says, before it ends or is killed
		killed          bool
		frozen          time.Duration // how long it takes at least
		refused         string        // instead of all that
	}{
		{name: "nothing", want: all},
		{name: "kill at the second hit", env: "before_call=kill@2", want: "read called read", killed: true},
		{name: "the first of two", env: "before_call=kill@1,request_read=kill@2", want: "read", killed: true},
		{name: "hit never reached", env: "before_call=kill@4", want: all},
		{name: "a point of another program", env: "before_ack=kill@1", want: all},
		{name: "always", env: "request_read=kill@100%", killed: true},
		{name: "freeze", env: "request_read=freeze:300ms@3", want: all, frozen: 300 * time.Millisecond},
		{name: "no such point", env: "before_cal=kill@1", refused: `there is no point "before_cal"`},
		{name: "no such action", env: "before_call=stop@1", refused: "the action is kill or freeze:<time>"},
		{name: "no hit", env: "before_call=kill", refused: "at which hit"},
		{name: "no time", env: "before_call=freeze:soon@1", refused: "freeze for how long"},
		{name: "too likely", env: "before_call=kill@101%", refused: "want a share of the hits"},
		{name: "no seed", env: "before_call=kill@1", seed: "x", refused: "invalid syntax"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Stdout, cmd.Stderr = &out, &errs
			cmd.Env = append(os.Environ(), Variable+"="+test.env, SeedVariable+"="+test.seed)
			start := time.Now()
			err := cmd.Run()
			if test.refused != "" {
				if err == nil || !strings.Contains(errs.String(), test.refused) {
					t.Errorf("got %v, %s, want a refusal with %q", err, errs.String(), test.refused)
				}
				return
			}
			if got := strings.Join(strings.Fields(out.String()), " "); got != test.want {
				t.Errorf("it said %q, want %q", got, test.want)
			}
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if killed := status.Signaled() && status.Signal() == syscall.SIGKILL; killed != test.killed || err == nil == killed {
				t.Errorf("it ended with %v, killed must be %v", err, test.killed)
			}
			if took := time.Since(start); took < test.frozen {
				t.Errorf("it took %s, want %s at least", took, test.frozen)
			}
		})
	}
}

// Equal seeds, equal fates.
func TestPoints_seed(t *testing.T) {
	program := build(t, "./testdata/hits", "-tags", "failpoints")
	fates := map[string]bool{}
	for seed := range 10 {
		var first []byte
		for range 2 {
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = append(os.Environ(), Variable+"=before_call=kill@50%", SeedVariable+"="+strconv.Itoa(seed))
			out, _ := cmd.Output() // killed or not is what it is about
			if first == nil {
				first = out
			} else if !bytes.Equal(first, out) {
				t.Errorf("seed %d: got %q, then %q", seed, first, out)
			}
		}
		fates[string(first)] = true
	}
	if len(fates) < 2 {
		t.Errorf("all seeds had the same fate %v", fates)
	}
}

// What ships has neither the points nor what makes them work.
func TestAnOrdinaryBinaryHoldsNothingOfIt(t *testing.T) {
	text, err := os.ReadFile(build(t, "github.com/tramhq/tram/cmd/dispatcher"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("TRAM_SECRET_")) {
		t.Error("a variable that the program does know is not found in it")
	}
	for _, part := range append([]string{Variable}, names()...) {
		if bytes.Contains(text, []byte(part)) {
			t.Errorf("%q is in the program", part)
		}
	}
}

func names() (all []string) {
	for _, points := range [][]Point{Dispatcher, Collector} {
		for _, p := range points {
			all = append(all, string(p))
		}
	}
	return all
}
