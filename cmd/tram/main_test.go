package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/broker/brokertest"
)

// asTram makes the test binary tram itself, for tests that need it as a
// process.
const asTram = "TRAM_TEST_AS_TRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asTram) != "" {
		main() // it exits
	}
	os.Setenv("XDG_CONFIG_HOME", os.DevNull) // whoever runs the tests may have contexts of the nats command
	brokertest.VerifyTestMain(m)
}

// tram runs the command with args and returns what it printed.
func tram(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errs strings.Builder
	code = run(ctx, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// A running is a `tram up` in this process.
type running struct {
	nats, sandbox string
	stop          func() // and waits until it has
}

var readyLine = regexp.MustCompile(`^ready nats=(nats://127\.0\.0\.1:\d+) sandbox=(http://127\.0\.0\.1:\d+) ops=(http://127\.0\.0\.1:\d+)$`)

// start runs `tram up` on a free port until the test ends or stop is called.
func start(t *testing.T, dir string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--dir", dir, "--listen", "127.0.0.1:0"}, nil, w, t.Output())
		w.Close()
	}()
	up := &running{stop: func() {
		cancel()
		if code, more := <-ended; more && code != wiring.ExitOK {
			t.Errorf("tram up exits with %d", code)
		}
		close(ended)
	}}
	stopped := false
	stop := up.stop
	up.stop = func() {
		if !stopped {
			stopped = true
			stop()
		}
	}
	t.Cleanup(up.stop)
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		t.Fatal("tram up ended without being ready")
	}
	m := readyLine.FindStringSubmatch(lines.Text())
	if m == nil {
		t.Fatalf("tram up printed %q", lines.Text())
	}
	up.nats, up.sandbox = m[1], m[2]
	go io.Copy(io.Discard, r) //nolint:errcheck // ends with the pipe
	return up
}

func TestUp(t *testing.T) {
	dir := t.TempDir()
	up := start(t, dir)

	code, stdout, stderr := tram(t, "", "send", "caresoft/hotline", "-s", up.nats, "--phone", "0900000001", "--text", "hi", "--wait", "--id", "one")
	if code != 0 || !strings.Contains(stdout, "send stored as one, number 1\n") || !strings.Contains(stdout, " accepted evidence=strong  request one\n") {
		t.Errorf("send: got %d, %q, %q", code, stdout, stderr)
	}
	if strings.Contains(stdout, "0900000001") {
		t.Errorf("a line for people says who it went to: %q", stdout)
	}

	code, stdout, stderr = tram(t, "", "trace", "one", "--body", "-s", up.nats)
	if code != 0 || !strings.Contains(stdout, "ended as accepted, after ") || !strings.Contains(stdout, "HTTP 200") || !strings.Contains(stdout, `"09******01"`) {
		t.Errorf("trace: got %d, %q, %q", code, stdout, stderr)
	}
	var whats []string
	code, stdout, stderr = tram(t, "", "trace", "one", "--json", "-s", up.nats)
	for line := range strings.Lines(stdout) {
		var e struct{ What string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		whats = append(whats, e.What)
	}
	if code != 0 || strings.Join(whats, " ") != "request published intent call result event" {
		t.Errorf("trace: got %d, %q, %q", code, whats, stderr)
	}

	code, stdout, stderr = tram(t, "", "report", "momo/shop", "momo.messages_report", "-s", up.nats,
		"--preset", "DAY_AGO_30", "--filter", "condition_id=NO_ACTIVITIES_30", "--wait", "--json")
	if code != 0 {
		t.Fatalf("report: got %d, %q, %q", code, stdout, stderr)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(stdout) {
		var e struct{ Subject string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kinds[strings.Join(strings.Split(e.Subject+"..", ".")[:2], ".")]++
	}
	if kinds["."] != 1 || kinds["tram.outcome"] != 1 || kinds["tram.stat"] == 0 || kinds["tram.record"] != 57 {
		t.Errorf("report: got lines by kind %v, want a receipt, stats, 57 campaigns and an outcome", kinds)
	}

	code, stdout, stderr = tram(t, "", "setup", "-s", up.nats)
	if code != 0 || strings.Count(stdout, "unchanged ") != len(streamNames) {
		t.Errorf("setup: got %d, %q, %q", code, stdout, stderr)
	}
	for _, args := range []string{"setup", "lane pause caresoft/hotline", "lane resume caresoft/hotline", "status", "schedule list", "replay list", "dead list --summary"} {
		printsJSON(t, append(strings.Fields(args), "--json", "-s", up.nats)...)
	}
	printsJSON(t, "config", "--json")
	code, _, stderr = tram(t, "", "up", "--dir", dir, "--listen", "127.0.0.1:0")
	if code != wiring.ExitFailure || !strings.Contains(stderr, "is in use by another process") {
		t.Errorf("a second up in the directory: got %d, %q", code, stderr)
	}
	code, _, stderr = tram(t, "", "up", "--dir", t.TempDir(), "--listen", strings.TrimPrefix(up.nats, "nats://"))
	if code != wiring.ExitFailure || !strings.Contains(stderr, "takes a free port") {
		t.Errorf("a second up at the address: got %d, %q", code, stderr)
	}
}

// printsJSON makes sure that a command succeeds and prints JSON lines alone.
func printsJSON(t *testing.T, args ...string) {
	t.Helper()
	code, stdout, stderr := tram(t, "", args...)
	if code != 0 || stderr != "" {
		t.Errorf("%v: got %d, %q, %q", args, code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%v: %q is no JSON", args, line)
		}
	}
}

// patience is how long a test waits for what must happen: a busy machine is slow,
// and only a test that fails waits for so long.
const patience = time.Minute

// untilWell asks the doctor until nothing has failed, as it may while partitions
// have no owner yet, and returns what it printed.
func untilWell(t *testing.T, args ...string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		code, stdout, stderr := tram(t, "", append([]string{"doctor"}, args...)...)
		if code == 0 {
			return stdout
		}
		if time.Now().After(end) {
			t.Fatalf("doctor: got %d, %q, %q", code, stdout, stderr)
		}
	}
}

// TestUp_goesOn stops `tram up` while a send waits for its second attempt.
func TestUp_goesOn(t *testing.T) {
	dir := t.TempDir()
	up := start(t, dir)
	postFault(t, up.sandbox, `{"provider": "ahachat", "status": 429, "header": {"Retry-After": "1"}}`)
	args := []string{"send", "ahachat/fanpage", "--messenger-user-id", "12345", "--block", "welcome", "--id", "one", "-s"}
	if code, _, stderr := tram(t, "", append(args, up.nats)...); code != 0 {
		t.Fatalf("send: got %d, %q", code, stderr)
	}
	if lines := tail(t, up.nats, 1); !strings.Contains(lines[0], " deferred ") {
		t.Errorf("got %q, want the send deferred", lines)
	}
	up.stop()

	up = start(t, dir)
	code, stdout, stderr := tram(t, "", append(args, up.nats, "--wait")...)
	if code != 0 || !strings.Contains(stdout, "was stored before") || !strings.Contains(stdout, " accepted ") {
		t.Errorf("after the restart: got %d, %q, %q", code, stdout, stderr)
	}
}

// tail returns the first n lines of `tram tail --from all`.
func tail(t *testing.T, server string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"tail", "--from", "all", "-s", server}, nil, w, t.Output())
		w.Close()
	}()
	var lines []string
	for s := bufio.NewScanner(r); len(lines) < n && s.Scan(); {
		lines = append(lines, s.Text())
	}
	cancel()
	if code := <-ended; code != 0 || len(lines) < n {
		t.Fatalf("tail: got %q and exit code %d", lines, code)
	}
	return lines
}

func postFault(t *testing.T, sandbox, fault string) {
	t.Helper()
	resp, err := http.Post(sandbox+"/_sandbox/faults", "application/json", strings.NewReader(fault))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("fault refused: %s", body)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestRun_exitCodes(t *testing.T) {
	up := start(t, t.TempDir())
	untilWell(t, "-s", up.nats)
	phone := []string{"--phone", "0900000001", "--text", "hi"}
	tests := []struct {
		name, stdin string
		args        []string
		code        int
		says        string
	}{
		{"help", "", []string{"send", "--help"}, 0, ""},
		{"version", "", []string{"version"}, 0, ""},
		{"config", "", []string{"config"}, 0, ""},
		{"unknown command", "", []string{"sned"}, 2, `unknown command "sned"`},
		{"unknown flag", "", []string{"send", "caresoft/hotline", "--txt", "hi"}, 2, "unknown flag: --txt"},
		{"no account", "", append([]string{"send"}, phone...), 2, "accepts 1 arg(s), received 0"},
		{"account without provider", "", append([]string{"send", "hotline"}, phone...), 2, "must be provider/account"},
		{"no content", "", []string{"send", "caresoft/hotline", "--phone", "1"}, 2, "[text template block body] is required"},
		{"bad time", "", append([]string{"send", "caresoft/hotline", "--not-before", "soon"}, phone...), 2, "must be a time such as"},
		{"bad attribute", "", append([]string{"send", "caresoft/hotline", "--attribute", "vip"}, phone...), 2, "an attribute must be name=value"},
		{"no days", "", []string{"report", "pancake/page", "pancake.stats.page", "--days", "0"}, 2, "--days must be 1 or more"},
		{"days and dates", "", []string{"report", "pancake/page", "pancake.stats.page", "--days", "7", "--to-date", "2026-11-21"}, 2, "none of the others can be"},
		{"no report", "", []string{"report", "momo/shop"}, 2, "the name of the report is missing"},
		{"no command", "", []string{"command", "momo/shop"}, 2, "the name of the command is missing"},
		{"command of another provider", "", []string{"command", "momo/shop", "conversation.tag.add", "-s", up.nats}, 3, "invalid command"},
		{"body and flags", "{}", append([]string{"send", "caresoft/hotline", "--body", "-"}, phone...), 2, "none of the others can be"},
		{"body and tenant", "{}", []string{"report", "momo/shop", "--body", "-", "--tenant", "x", "--preset", "ALL"}, 2, "put what --preset, --tenant says into it"},
		{"misspelt body", `{"recipent": {}}`, []string{"send", "caresoft/hotline", "--body", "-"}, 2, `unknown field "recipent"`},
		{"bad kind", "", []string{"tail", "--kind", "send"}, 2, "must be delivery, stat, record, outcome or lane"},
		{"bad from", "", []string{"tail", "--from", "yesterday"}, 2, "must be a time such as"},
		{"no such account", "", append([]string{"send", "caresoft/nobody", "-s", up.nats}, phone...), 3, "there is hotline"},
		{"impossible", "", []string{"send", "ahachat/fanpage", "-s", up.nats, "--contact-id", "1", "--text", "hi"}, 3, "invalid send"},
		{"no lanes", "", []string{"lane", "pause"}, 2, "which accounts?"},
		{"nothing to do with a lane", "", []string{"lane"}, 2, "say what to do: pause, resume"},
		{"lane of no account", "", []string{"lane", "pause", "caresoft/hotlin", "-s", up.nats}, 3, "there is hotline: did you mean caresoft/hotline?"},
		{"lanes of no provider", "", []string{"lane", "resume", "--provider", "moomoo", "-s", up.nats}, 3, "moomoo is not configured"},
		{"trace of nothing", "", []string{"trace", "nobody", "-s", up.nats}, 1, `no such request was found: "nobody"; looked at TRAM_REQUESTS`},
		{"trace since ever", "", []string{"trace", "one", "--since", "ever"}, 2, "--since must be a time"},
		{"status of no name", "", []string{"status", "a b", "-s", up.nats}, 2, "must be provider or provider/account"},
		{"bad configuration", "", []string{"config", "--config", "testdata/misspelt.yaml"}, 3, "line 1: dispatchr is not a setting: did you mean dispatcher?"},
		{"doctor, and something is wrong", "", []string{"doctor", "-s", up.nats, "--config", "testdata/other.yaml"}, 1, "failed"},
		{"doctor of a bad configuration", "", []string{"doctor", "-s", up.nats, "--config", "testdata/misspelt.yaml"}, 3, "failed"},
		{"doctor without a broker", "", []string{"doctor", "-s", "127.0.0.1:1", "--connect-timeout", "50ms"}, 4, "1 check has failed"},
		{"doctor as a nurse", "", []string{"doctor", "--as", "nurse"}, 2, "--as must be dispatcher"},
		{"no broker", "", append([]string{"send", "caresoft/hotline", "-s", "127.0.0.1:1", "--connect-timeout", "50ms"}, phone...), 4, "the broker cannot be reached"},
		{"expired", "", append([]string{"send", "caresoft/hotline", "-s", up.nats, "--expires-at", "1ms", "--wait"}, phone...), 5, "the request ended as expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := tram(t, test.stdin, test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("got %d, %q, %q, want %d and %q", code, stdout, stderr, test.code, test.says)
			}
		})
	}
}
