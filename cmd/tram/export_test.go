package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

func TestExport(t *testing.T) {
	up := start(t, t.TempDir())
	if code, _, stderr := tram(t, "", "send", "caresoft/hotline", "-s", up.nats, "--phone", "0900000001", "--text", "Chào chị Bình", "--wait", "--id", "one"); code != 0 {
		t.Fatal(stderr)
	}
	key, short := filepath.Join(t.TempDir(), "mask.key"), filepath.Join(t.TempDir(), "short.key")
	for file, text := range map[string]string{key: "0123456789abcdef\n", short: "short\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exported := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := tram(t, "", append([]string{"export", "-s", up.nats}, args...)...)
		if code != 0 {
			t.Fatalf("%q: got %d, %s", args, code, stderr)
		}
		return stdout
	}
	rows := exported("TRAM_REQUESTS", "--from", "1h", "--key-file", key) + exported("TRAM_RESULTS", "--key-file", key) +
		exported("TRAM_EVENTS", "--subject", "tram.delivery.>", "--key-file", key)
	if strings.Count(rows, "\n") != 3 || strings.Count(rows, `"masked":true`) != 3 {
		t.Errorf("got %s", rows)
	}
	hides(t, "an export", rows, "0900000001", "Bình")
	revealed := exported("TRAM_REQUESTS", "--reveal", "--from-seq", "1", "--to-seq", "1")
	contains(t, "what is revealed", revealed, `"value":"0900000001"`, "Chào chị Bình")

	other := brokertest.Start(t)
	code, stdout, stderr := tram(t, rows, "import", "-", "-s", other.URL)
	if code != 0 || !strings.Contains(stdout, "3 rows imported in ") {
		t.Errorf("import: got %d, %q, %q", code, stdout, stderr)
	}
	for _, test := range []struct {
		name string
		args string
		code int
		says string
	}{
		{"into a relay", "import - -s " + up.nats, 1, "the stream is not empty"},
		{"a second time", "import - -s " + other.URL, 1, "the stream is not empty"},
		{"a second time, anyway", "import - --anyway -s " + other.URL, 0, ""},
		{"no stream", "export TRAM_NONE -s " + up.nats, 4, "there is no stream TRAM_NONE"},
		{"nothing there", "export TRAM_EVENTS --to 100h -s " + up.nats, 1, "TRAM_EVENTS has no messages in that window"},
		{"no file", "import none.jsonl -s " + up.nats, 1, "read export"},
		{"both", "export TRAM_EVENTS --reveal --key-file x", 2, "none of the others can be"},
		{"short key", "export TRAM_EVENTS --key-file " + short, 2, "is shorter than 16 bytes"},
	} {
		code, stdout, stderr := tram(t, rows, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: got %d, %q, %q", test.name, code, stdout, stderr)
		}
	}
}
