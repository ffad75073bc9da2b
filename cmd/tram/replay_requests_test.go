package main

import (
	"strings"
	"testing"
	"time"
)

func TestReplayRequests(t *testing.T) {
	up := start(t, t.TempDir())
	for _, id := range []string{"one", "two"} {
		if code, _, stderr := tram(t, "", "send", "caresoft/hotline", "-s", up.nats, "--phone", "0900000001", "--text", "Chào chị Bình", "--wait", "--id", id); code != 0 {
			t.Fatal(stderr)
		}
	}
	for _, test := range []struct {
		name string
		args string
		code int
		says string
	}{
		{"not asked for", "--state accepted", 2, "at least one of the flags in the group [resend dry-run] is required"},
		{"both", "--state accepted --resend --dry-run", 2, "none of the others can be"},
		{"nobody to ask", "--state accepted --resend", 2, "there is no terminal to ask on"},
		{"no state", "--dry-run", 2, "say how the requests have ended"},
		{"unknown ends", "--dry-run --state unknown", 2, "must be accepted, done, failed"},
		{"bad class", "--dry-run --state failed --class asap", 2, "must be urgent, normal or bulk"},
		{"too fast", "--dry-run --state failed --rate 0", 2, "--rate must be above 0"},
		{"none", "--resend --yes --state failed", 1, "no request is to be sent again"},
	} {
		code, stdout, stderr := tram(t, "", append([]string{"replay", "requests", "-s", up.nats}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: got %d, %q, %q", test.name, code, stdout, stderr)
		}
	}
	requests := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := tram(t, "", append([]string{"replay", "requests", "-s", up.nats, "--from", "1h", "--account", "caresoft/hotline", "--state", "accepted"}, args...)...)
		if code != 0 {
			t.Fatalf("%q: got %d, %s", args, code, stderr)
		}
		return stdout
	}
	contains(t, "the plan", requests("--dry-run"), "2 requests to send again: 2 sends to 1 recipient, for 1 account")
	contains(t, "the plan in JSON", requests("--dry-run", "--json"), `"requests":2`, `"recipients":1`)
	contains(t, "the job", requests("--resend", "--yes", "--rate", "500", "--job", "again"), "2 requests published to TRAM_REQUESTS: 2 results read")

	// They are sent: their deliveries name their ancestors.
	seen := ""
	for deadline := time.Now().Add(patience); strings.Count(seen, `"ancestor_id":"`) < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not sent again within %v: %s", patience, seen)
		}
		code, stdout, _ := tram(t, "", "export", "TRAM_EVENTS", "--subject", "tram.delivery.>", "-s", up.nats)
		if seen = stdout; code != 0 {
			t.Fatal("no export")
		}
	}
	contains(t, "the deliveries", seen, `"ancestor_id":"one"`, `"ancestor_id":"two"`, `"request_id":"resend-`)
	code, _, stderr := tram(t, "", "replay", "requests", "--resend", "--yes", "--job", "again", "-s", up.nats)
	if code != 1 || !strings.Contains(stderr, "was done at") {
		t.Errorf("a second time: got %d, %s", code, stderr)
	}
}
