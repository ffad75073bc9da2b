package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/cmd/internal/wiring"
)

// dead runs `tram dead` and returns what it printed. It must succeed.
func dead(t *testing.T, server string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := tram(t, "", append(append([]string{"dead"}, args...), "-s", server)...)
	if code != wiring.ExitOK {
		t.Fatalf("tram dead %s: exit code %d, %s", strings.Join(args, " "), code, stderr)
	}
	return stdout, stderr
}

// sendTo publishes a send under an id and waits for its end.
func sendTo(t *testing.T, server, phone, id string) {
	t.Helper()
	code, _, stderr := tram(t, "", "send", "caresoft/hotline", "-s", server, "--phone", phone, "--text", "Mã OTP: 123456", "--id", id, "--wait")
	if code != wiring.ExitOK && code != wiring.ExitNotAccepted {
		t.Fatalf("send: exit code %d, %s", code, stderr)
	}
}

// letters waits until n dead letters are listed, and returns them.
func letters(t *testing.T, server string, n int) (all []listed) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		stdout, _ := dead(t, server, "list", "--json")
		all = nil
		for line := range strings.Lines(stdout) {
			var l listed
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all = append(all, l)
		}
		if len(all) == n {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("%d dead letters, want %d: %+v", len(all), n, all)
		}
	}
}

func contains(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s has no %q:\n%s", what, want, text)
		}
	}
}

func hides(t *testing.T, what, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s tells %q:\n%s", what, secret, text)
		}
	}
}

func TestDead(t *testing.T) {
	up := start(t, t.TempDir())
	postFault(t, up.sandbox, `[
		{"provider": "caresoft", "recipient": "0900000001", "status": 400, "body": "{\"code\":\"errors\",\"message\":\"0900000001 is out of quota\"}"},
		{"provider": "caresoft", "recipient": "0900000002", "how": "reset"},
		{"provider": "caresoft", "recipient": "0900000003", "how": "reset"}]`)
	sendTo(t, up.nats, "0900000001", "refused")
	sendTo(t, up.nats, "0900000002", "sent")
	sendTo(t, up.nats, "0900000003", "again")
	all := letters(t, up.nats, 3)
	number := map[string]string{}
	for _, l := range all {
		number[l.RequestID] = strconv.FormatUint(l.ID, 10)
	}

	table, _ := dead(t, up.nats, "list", "--account", "caresoft/hotline")
	contains(t, "the list", table, "NUMBER", `quota   caresoft/hotline  send  "refused"`, `unknown  reset`)
	summary, _ := dead(t, up.nats, "list", "--summary")
	contains(t, "the summary", summary, "1      refused  quota", "2      unknown  reset", "allowance of messages is used up")
	shown, _ := dead(t, up.nats, "show", number["refused"])
	contains(t, "what is shown", shown, `"refused" of "/tram/cli"`, "HTTP 400", "buy more", "09******01", "(14 characters)", "tram dead redrive "+number["refused"])
	for what, text := range map[string]string{"the list": table, "the summary": summary, "what is shown": shown} {
		hides(t, what, text, "0900000001", "123456", "OTP")
	}
	masked, _ := dead(t, up.nats, "show", number["refused"], "--json")
	hides(t, "the JSON", masked, "0900000001", "123456")
	revealed, _ := dead(t, up.nats, "show", number["refused"], "--reveal")
	contains(t, "what is revealed", revealed, "0900000001", "Mã OTP: 123456", "is out of quota")

	plan, _ := dead(t, up.nats, "redrive", "--all", "--dry-run")
	contains(t, "the plan", plan, "1 request of 3 letters to publish: 1 send to 1 recipient, for 1 account", "2 letters left alone: nobody knows")
	letters(t, up.nats, 3)

	told, _ := dead(t, up.nats, "redrive", number["refused"], "--json", "--rate", "500")
	contains(t, "the redrive", told, `"as":"redriven"`, `"new_request_id":"redrive-`)
	again := ""
	for _, l := range letters(t, up.nats, 3) { // it is refused again
		if l.AncestorID == "refused" {
			again = l.RequestID
		}
	}
	if !strings.HasPrefix(again, "redrive-") {
		t.Errorf("the letter of the redriven request is of %q", again)
	}

	resolved, _ := dead(t, up.nats, "resolve", "--sent", number["sent"])
	contains(t, "what is resolved", resolved, "1 letter resolved")
	resent, _ := dead(t, up.nats, "resolve", "--resend", "--request", "again")
	contains(t, "what is resent", resent, "1 redriven")
	dropped, _ := dead(t, up.nats, "drop", "--request", again, "--yes")
	contains(t, "what is dropped", dropped, "1 letter dropped")
	if left := letters(t, up.nats, 1); left[0].AncestorID != "again" { // resent, and unknown again
		t.Errorf("left: %+v", left)
	}
	events := tail(t, up.nats, 6)
	contains(t, "the events", strings.Join(events, "\n"), "accepted evidence=operator  request sent")
}

func TestDead_refuses(t *testing.T) {
	up := start(t, t.TempDir())
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"nothing", nil, 2, "say what to do: drop, list, redrive, resolve, show"},
		{"unknown flag", []string{"list", "--grp", "x"}, 2, "unknown flag: --grp"},
		{"bad group", []string{"list", "--group", "lost"}, 2, `the group "lost" must be event, refused, unknown or answer`},
		{"bad number", []string{"show", "first"}, 2, `"first" is not the number of a dead letter`},
		{"no such letter", []string{"show", "7"}, 1, "there is no such dead letter"},
		{"two providers", []string{"list", "--provider", "momo", "--account", "caresoft/hotline"}, 2, "contradict each other"},
		{"redrive of anything", []string{"redrive"}, 2, "or all with --all"},
		{"redrive in no class", []string{"redrive", "--all", "--class", "slow"}, 2, `the class "slow" must be`},
		{"redrive at no rate", []string{"redrive", "--all", "--rate", "0"}, 2, "--rate must be above 0"},
		{"redrive of what expires at once", []string{"redrive", "--all", "--expires-in", "0s"}, 2, "--expires-in must be a second or more"},
		{"resume of something else", []string{"redrive", "--resume", "--group", "refused"}, 2, "leave --group out"},
		{"resume of nothing", []string{"redrive", "--resume"}, 1, "there is no unfinished redrive"},
		{"resume of what is not there", []string{"redrive", "--resume", "abc"}, 1, "resume abc: there is no such unfinished redrive"},
		{"resolve without an answer", []string{"resolve", "7"}, 2, "[sent not-sent resend] is required"},
		{"resolve with two answers", []string{"resolve", "7", "--sent", "--not-sent"}, 2, "none of the others can be"},
		{"resolve of what is known", []string{"resolve", "--sent", "--group", "refused"}, 2, "only letters of the group unknown"},
		{"resolve of nothing", []string{"resolve", "--sent", "7"}, 1, "no dead letter of an unknown end is chosen"},
		{"drop of anything", []string{"drop", "--yes"}, 2, "or all with --all"},
		{"drop without a terminal", []string{"drop", "7"}, 2, "there is no terminal to ask on"},
		{"drop of nothing", []string{"drop", "7", "--yes"}, 1, "no dead letter is chosen"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"dead"}, test.args...)
			if test.args != nil {
				args = append(args, "-s", up.nats)
			}
			code, stdout, stderr := tram(t, "", args...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("got %d, %q, %q, want %d and %q", code, stdout, stderr, test.code, test.says)
			}
		})
	}
	if stdout, _ := dead(t, up.nats, "redrive", "--all"); stdout != "" {
		t.Errorf("a redrive of nothing prints %q", stdout)
	}
}

func TestProgress(t *testing.T) {
	p := &progress{total: 200, done: 50}
	if got, want := p.line(10*time.Second), "\r\x1b[K["+strings.Repeat("=", 7)+strings.Repeat(" ", 23)+"] 50 of 200, 5/s, 30s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if quiet := newProgress(&strings.Builder{}, 1, false); quiet.w != nil {
		t.Error("a progress line is shown where there is no terminal")
	}
}
