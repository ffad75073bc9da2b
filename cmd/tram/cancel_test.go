package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tramhq/tram/cmd/internal/wiring"
)

func TestCancel(t *testing.T) {
	up := start(t, t.TempDir())
	send := func(args ...string) {
		t.Helper()
		code, stdout, stderr := tram(t, "", append([]string{"send", "caresoft/hotline", "-s", up.nats, "--phone", "0900000001", "--text", "hi"}, args...)...)
		if code != 0 {
			t.Fatalf("send: got %d, %q, %q", code, stdout, stderr)
		}
	}
	send("--id", "called", "--wait")
	send("--id", "planned", "--not-before", "1h")
	if code, stdout, stderr := tram(t, "", "lane", "pause", "caresoft/hotline", "-s", up.nats); code != 0 {
		t.Fatalf("pause: got %d, %q, %q", code, stdout, stderr)
	}
	send("--id", "held")
	send("--id", "other", "--source", "/acme/shop")

	code, stdout, stderr := tram(t, "called\n\nheld\n", "cancel", "caresoft/hotline", "-", "planned", "-s", up.nats, "--wait")
	for _, want := range []string{
		"cancel of held stored as ", "\ncancelled held\n", "\ncancelled planned\n",
		"\ntoo late called: ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("cancel: %q is not in %q", want, stdout)
		}
	}
	if code != wiring.ExitNotAccepted || !strings.Contains(stderr, "1 of 3 requests are not cancelled") {
		t.Errorf("cancel: got %d, %q", code, stderr)
	}

	code, stdout, stderr = tram(t, "", "cancel", "caresoft/hotline", "other", "--source", "/acme/shop", "-s", up.nats, "--wait", "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var receipt struct{ Cancels string }
	var outcome struct {
		Data struct{ Name, State, Reason string }
	}
	if code != 0 || len(lines) != 2 {
		t.Fatalf("cancel: got %d, %q, %q", code, stdout, stderr)
	}
	for i, v := range []any{&receipt, &outcome} {
		if err := json.Unmarshal([]byte(lines[i]), v); err != nil {
			t.Fatal(err)
		}
	}
	if receipt.Cancels != "other" || outcome.Data.Name != "other" || outcome.Data.State != "done" || outcome.Data.Reason != "taken_back" {
		t.Errorf("cancel: got %q", stdout)
	}

	if code, _, stderr = tram(t, "", "cancel", "caresoft/hotline", "-", "-s", up.nats); code != wiring.ExitUsage {
		t.Errorf("no id: got %d, %q", code, stderr)
	}
	if code, _, stderr = tram(t, "", "cancel", "caresoft/hotlin", "x", "-s", up.nats); code != wiring.ExitRefused || !strings.Contains(stderr, "there is hotline") {
		t.Errorf("unknown account: got %d, %q", code, stderr)
	}
	if code, _, stderr = tram(t, "", "cancel", "caresoft/hotline", "a b", "-s", up.nats); code != wiring.ExitRefused || !strings.Contains(stderr, "id: must be") {
		t.Errorf("bad id: got %d, %q", code, stderr)
	}
}
