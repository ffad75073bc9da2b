package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/config"
)

// writeContexts writes contexts as the nats command does, and what it has selected.
func writeContexts(t *testing.T, selected string, contexts map[string]string) (base string) {
	t.Helper()
	base = t.TempDir()
	dir := filepath.Join(base, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range contexts {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if selected != "" {
		if err := os.WriteFile(filepath.Join(base, "nats", "context.txt"), []byte(selected+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

func TestNATSEnviron(t *testing.T) {
	base := "XDG_CONFIG_HOME=" + writeContexts(t, "prod", map[string]string{
		"prod":  `{"description": "", "url": "nats://prod:4222", "creds": "~/prod.creds", "ca": "$PKI/ca.pem", "inbox_prefix": "_INBOX_operator", "token": ""}`,
		"stage": `{"url": "nats://stage:4222", "user": "ops", "password": "x"}`,
	})
	for _, test := range []struct {
		name    string
		environ []string
		context string
		named   bool
		want    config.NATS
	}{
		{name: "selected", environ: []string{base, "HOME=/home/a", "PKI=/pki"}, want: config.NATS{
			URL: "nats://prod:4222", Creds: "/home/a/prod.creds", CA: "/pki/ca.pem", InboxPrefix: "_INBOX_operator"}},
		{name: "named", environ: []string{base, "NATS_CONTEXT=prod"}, context: "stage", want: config.NATS{
			URL: "nats://stage:4222", User: "ops", Password: "x", InboxPrefix: "_INBOX"}},
		{name: "by the environment", environ: []string{base, "NATS_CONTEXT=stage"}, named: true, want: config.NATS{
			URL: "nats://stage:4222", User: "ops", Password: "x", InboxPrefix: "_INBOX"}},
		{name: "the environment holds", environ: []string{base, "NATS_CONTEXT=stage", "NATS_URL=nats://here:4222", "NATS_TOKEN=t"}, want: config.NATS{
			URL: "nats://here:4222", Token: "t", InboxPrefix: "_INBOX"}},
		{name: "a file is not overridden by what is selected", environ: []string{base}, named: true, want: config.NATS{
			URL: "nats://127.0.0.1:4222", InboxPrefix: "_INBOX"}},
		{name: "no contexts", environ: []string{"HOME=" + t.TempDir()}, want: config.NATS{URL: "nats://127.0.0.1:4222", InboxPrefix: "_INBOX"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			environ, err := natsEnviron(test.environ, test.context, test.named)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.LoadBroker("", environ)
			if err != nil || c.NATS != test.want {
				t.Errorf("got %+v and %v, want %+v", c.NATS, err, test.want)
			}
		})
	}
}

func TestNATSEnviron_refuses(t *testing.T) {
	base := "XDG_CONFIG_HOME=" + writeContexts(t, "", map[string]string{
		"edge": `{"url": "nats://hub:4222", "jetstream_domain": "edge"}`, "broken": `{`, "good": `{}`,
	})
	for name, says := range map[string]string{
		"god": "there is no NATS context \"god\": broken, edge, good", "edge": "has jetstream_domain, which tram cannot do",
		"broken": "read NATS context broken", "../edge": "must be a name",
	} {
		_, err := natsEnviron([]string{base}, name, false)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", name, err, says)
		}
		if _, bad := errors.AsType[*usageError](err); !bad && name != "broken" {
			t.Errorf("%s: %v is not about the command line", name, err)
		}
	}
}

// TestCompletion asks as a shell does, for what a relay knows.
func TestCompletion(t *testing.T) {
	up := start(t, t.TempDir())
	completionWait = time.Minute // a test has more patience than a person
	t.Cleanup(func() { completionWait = time.Second })
	t.Setenv("XDG_CONFIG_HOME", writeContexts(t, "here", map[string]string{"here": `{"url": "` + up.nats + `"}`, "there": `{}`}))
	t.Setenv("NATS_TIMEOUT", "10s")
	if code, _, stderr := tram(t, "", "schedule", "add", "daily", "--account", "momo/shop", "--report", "momo.messages_report",
		"--preset", "DAY_AGO_30", "--filter", "condition_id=NO_ACTIVITIES_30", "--every", "24h"); code != 0 {
		t.Fatalf("by the selected context: got %d, %q", code, stderr)
	}
	for line, want := range map[string]string{
		"send ": "caresoft/hotline", "lane pause momo/shop ": "webhook/sms", "report momo/shop ": "momo.messages_report",
		"command pancake/page ": "conversation.tag.add", "trace x --account ": "momo/shop", "schedule show ": "daily", "dead list --reason ": "quota",
		"status --context ": "there", "send x/y --class ": "urgent", "export ": "TRAM_RESULTS", "tail --kind ": "delivery", "dead list --provider ": "ahachat",
	} {
		words := strings.Split(line, " ")
		code, stdout, stderr := tram(t, "", append([]string{"__complete"}, words...)...)
		if code != 0 || !slices.Contains(strings.Split(stdout, "\n"), want) {
			t.Errorf("tram %s: got %d, %q, %q, want %s", line, code, stdout, stderr, want)
		}
	}
	t.Setenv("NATS_TIMEOUT", "soon")
	if code, _, stderr := tram(t, "", "status"); code != 2 || !strings.Contains(stderr, "NATS_TIMEOUT must be a duration") {
		t.Errorf("got %d, %q", code, stderr)
	}
}
