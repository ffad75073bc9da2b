package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

const operationsPage = "../../docs/provider-operations.md"

// An operation is one of the twenty-two of the providers' documents.
type operation struct {
	id      string
	account string   // of `tram up`
	kind    string   // send, report or command
	names   []string // of reports and commands; recipient kinds of sends
	events  string   // kinds of events besides the final one
}

var operations = []operation{
	{"M1", "momo/shop", "report", []string{"momo.messages_report"}, "stat record"},
	{"A1", "ahachat/fanpage", "send", []string{"messenger_user_id"}, ""},
	{"A2", "ahachat/fanpage", "send", []string{"phone"}, ""},
	{"F1", "facebook/page", "report", []string{"facebook.page_insights"}, "stat record"},
	{"P1", "pancake/user", "report", []string{"pancake.pages"}, "record"},
	{"P2", "pancake/user", "command", []string{"page_token.generate"}, ""},
	{"P3", "pancake/page", "report", []string{"pancake.conversations"}, "record"},
	{"P4", "pancake/page", "command", []string{"conversation.tag.add", "conversation.tag.remove"}, ""},
	{"P5", "pancake/page", "command", []string{"conversation.assign"}, "record"},
	{"P6", "pancake/page", "command", []string{"conversation.mark_read"}, ""},
	{"P7", "pancake/page", "command", []string{"conversation.mark_unread"}, ""},
	{"P8", "pancake/page", "report", []string{"pancake.messages"}, "record"},
	{"P9", "pancake/page", "report", []string{"pancake.stats.ads_campaigns"}, "stat record"},
	{"P10", "pancake/page", "report", []string{"pancake.stats.engagement"}, "stat record"},
	{"P11", "pancake/page", "report", []string{"pancake.stats.page"}, "stat"},
	{"P12", "pancake/page", "report", []string{"pancake.stats.tags"}, "stat record"},
	{"P13", "pancake/page", "report", []string{"pancake.stats.staff"}, "stat record"},
	{"P14", "pancake/user", "report", []string{"pancake.stats.staff_multi"}, "stat record"},
	{"P15", "pancake/page", "report", []string{"pancake.stats.new_customers"}, "stat"},
	{"P16", "pancake/page", "report", []string{"pancake.page_customers"}, "record"},
	{"C1", "caresoft/hotline", "report", []string{"caresoft.zalo_user_status"}, "record"},
	{"C2", "caresoft/hotline", "send", []string{"phone", "contact_id"}, ""},
}

// aCommand is an operation's id in a comment and the command below it.
var aCommand = regexp.MustCompile(`(?m)^# ([A-Z]\d+): .*\n((?:.*\\\n)*.+)\n`)

// TestOperations_commands runs the commands of docs/provider-operations.md, and those of
// the providers' pages, as a reader would: in a shell, against a `tram up`.
func TestOperations_commands(t *testing.T) {
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, m := range aCommand.FindAllStringSubmatch(string(page), -1) {
		if commands[m[1]] != "" {
			t.Errorf("%s has two commands", m[1])
		}
		commands[m[1]] = m[2]
	}
	up := start(t, t.TempDir())
	shell := newShell(t, up.nats)
	var wg sync.WaitGroup
	lanes := map[string][]operation{}
	for _, op := range operations {
		lanes[op.account] = append(lanes[op.account], op)
	}
	if len(commands) != len(operations) {
		t.Errorf("%d commands in %s, want one for each of %d operations", len(commands), operationsPage, len(operations))
	}
	for _, lane := range lanes {
		wg.Go(func() {
			for _, op := range lane {
				op.checkOutput(t, shell, commands[op.id])
			}
		})
	}
	wg.Go(func() { checkPages(t, shell) })
	wg.Wait()
	checkNoDeadLetters(t, up.nats)
	checkCalls(t, up.sandbox)
}

// checkOutput runs the command and looks for what it must print: the receipt,
// events of each kind that is due, and one that is final and good.
func (op operation) checkOutput(t *testing.T, shell func(string) (string, error), command string) {
	out, err := shell(command)
	last, count := "", map[string]int{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 2 {
			count[f[1]]++
			last = line
		}
	}
	final := map[string]string{"send": " accepted ", "report": " done " + op.names[0], "command": " done " + op.names[0]}[op.kind]
	if err != nil || count["stored"] != 1 || !strings.Contains(last, final) {
		t.Errorf("%s: %s\nerror %v, ends with %q", op.id, command, err, last)
	}
	for _, kind := range []string{"stat", "record"} {
		if due := strings.Contains(op.events, kind); due != (count[kind] > 0) {
			t.Errorf("%s: printed %d events of the kind %s, due is %v", op.id, count[kind], kind, due)
		}
	}
}

// onPages is a command of a provider's page.
var onPages = regexp.MustCompile(`(?m)^tram (?:send|report|command) (?:.*\\\n)*.+\n`)

// checkPages runs the commands of the pages of all providers.
func checkPages(t *testing.T, shell func(string) (string, error)) {
	pages, err := filepath.Glob("../../docs/providers/*.md")
	if err != nil || len(pages) < 6 {
		t.Errorf("pages %q, error %v", pages, err)
	}
	ran := 0
	for _, file := range pages {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		for _, command := range onPages.FindAllString(string(page), -1) {
			ran++
			if out, err := shell(command); err != nil {
				t.Errorf("%s: %s%v\n%s", file, command, err, out[max(0, len(out)-500):])
			}
		}
	}
	if ran < 5 {
		t.Errorf("the pages have %d commands", ran)
	}
}

// newShell returns a function that runs a line in a shell which knows tram: it
// is this test's own binary.
func newShell(t *testing.T, server string) func(string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "tram")); err != nil {
		t.Fatal(err)
	}
	environ := append(os.Environ(), asTram+"=1", "NATS_URL="+server, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GORACE=atexit_sleep_ms=0") // a race detector would have each command wait a second before it exits
	return func(line string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", line)
		cmd.Env = environ
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

func checkNoDeadLetters(t *testing.T, server string) {
	t.Helper()
	nc, err := broker.Connect(t.Context(), broker.Config{URLs: []string{server}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := broker.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := js.Stream(t.Context(), broker.Dead)
	if err != nil {
		t.Fatal(err)
	}
	if n := dead.CachedInfo().State.LastSeq; n > 0 {
		t.Errorf("%d dead letters, want none", n)
	}
}

// checkCalls asks the sandbox whether each of its operations was called, and
// every time with success.
func checkCalls(t *testing.T, sandbox string) {
	t.Helper()
	resp, err := http.Get(sandbox + "/_sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	var stats struct {
		Operations    map[string]map[string]int
		Refused, Lost int
	}
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	delete(stats.Operations, "webhook.send")
	if len(stats.Operations) != len(operations) || stats.Refused+stats.Lost > 0 {
		t.Errorf("the sandbox was called with %d refused, %d lost and %d operations, want %d:\n%v",
			stats.Refused, stats.Lost, len(stats.Operations), len(operations), stats.Operations)
	}
}
