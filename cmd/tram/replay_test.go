package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/momo"
	"github.com/tramhq/tram/pkg/events"
)

const momoConfig = `
accounts:
  - {provider: momo, name: shop, base_url: https://momo.example, settings: {business_page_id: "130035"}}
`

// hundredfold is MoMo's package with a parser that is wrong.
type hundredfold struct{ channels.Provider }

func (p hundredfold) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	h, err := p.Provider.Parse(a, r, s, ans)
	if err == nil {
		for i := range h.Stats {
			if v := &h.Stats[i]; v.Metric == "SENT" {
				v.Value, v.Raw = new(*v.Value+"00"), v.Raw+"00"
			}
		}
	}
	return h, err
}

// A shopfloor is a broker with one report of MoMo, collected with a wrong
// parser, and a downstream service that upserts by key.
type shopfloor struct {
	*brokertest.Broker
	t     *testing.T
	dir   string
	shell func(string) (string, error)

	mu   sync.Mutex
	rows map[string]string // of the service: metric and key, value
	ids  map[string]int
}

func newShopfloor(t *testing.T) *shopfloor {
	t.Helper()
	s := &shopfloor{Broker: brokertest.Start(t), t: t, dir: t.TempDir(), rows: map[string]string{}, ids: map[string]int{}}
	shell := newShell(t, s.URL)
	s.shell = func(line string) (string, error) { return shell("cd " + s.dir + " && " + line) }
	if err := os.WriteFile(filepath.Join(s.dir, "tram.yaml"), []byte(momoConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	takes, err := momo.New().Contract(&channels.Account{Provider: "momo", Name: "shop", Settings: map[string]string{"business_page_id": "130035"}})
	if err == nil {
		err = events.PutContract(t.Context(), s.JS, takes)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.report()
	c, err := collector.New(collector.Config{JS: s.JS, Providers: []channels.Provider{hundredfold{momo.New()}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		err := events.Subscribe(ctx, s.JS, events.SubscribeConfig{Durable: "bi", Log: slog.New(slog.DiscardHandler)}, s.upsert)
		if err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	s.eventually("the wrong numbers are there", func(rows map[string]string) bool { return rows["outcome"] != "" && rows["SENT"] == "500" })
	return s
}

func (s *shopfloor) upsert(_ context.Context, e *events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[e.ID]++
	switch {
	case e.Stat != nil:
		s.rows[e.Stat.Metric] = *e.Stat.Value // the one campaign has one key for each metric
	case e.Outcome != nil:
		s.rows["outcome"] = string(e.Outcome.State)
	}
	return nil
}

func (s *shopfloor) eventually(what string, ok func(rows map[string]string) bool) {
	s.t.Helper()
	brokertest.Eventually(s.t, what, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok(s.rows)
	})
}

// report stores the result of a report as a dispatcher does.
func (s *shopfloor) report() {
	s.t.Helper()
	body, err := os.ReadFile("../../pkg/channels/momo/testdata/messages_report.json")
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := events.EncodeRequest(&events.Request{
		Meta: events.Meta{ID: "nightly", Source: "/bi"},
		Kind: events.KindReport, Provider: "momo", Account: "shop", Class: events.Bulk,
		Report: &events.Report{Report: momo.MessagesReport, Range: events.Range{Preset: "ALL"}, Filters: map[string]string{"condition_id": "NO_ACTIVITIES_30"}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	data, err := ledger.EncodeResult(&ledger.Result{
		Seq: 1, Call: 1, Attempt: 1, Step: 1, Parse: true, State: events.StateDone, AtMS: now,
		Request: ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: now},
		Answer:  &channels.Answer{Status: 200, Body: body, StartedMS: now},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	result := nats.NewMsg(broker.ResultSubject(broker.Partition("momo", "shop", broker.DefaultPartitions), "momo", "shop"))
	result.Data = data
	s.Publish(result)
}

var block = regexp.MustCompile("(?ms)^```(sh|sh interrupted|sh elsewhere|go|js)\n(.*?)^```$")

// TestReplay_walkThrough does what docs/replay.md says, from its first line to
// its last.
func TestReplay_walkThrough(t *testing.T) {
	page, err := os.ReadFile("../../docs/replay.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("../../examples/node/node_modules"); err != nil {
		npm(t, "../../examples/node")
	}
	scripts, err := filepath.Abs("../../examples/node")
	if err != nil {
		t.Fatal(err)
	}
	s := newShopfloor(t)
	elsewhere := brokertest.StartEmpty(t)
	var said strings.Builder
	ran := 0
	for _, b := range block.FindAllStringSubmatch(string(page), -1) {
		switch b[1] {
		case "go":
			standsIn(t, b[2], "../../pkg/events/example_again_test.go")
			continue
		case "js":
			standsIn(t, b[2], "../../examples/node/again.mjs")
			continue
		case "sh interrupted":
			s.interrupt(&replay.Job{Name: "momo-sent", Target: broker.Events})
		}
		for line := range strings.Lines(b[2]) {
			ran++
			if b[1] == "sh elsewhere" {
				line = "NATS_URL=" + elsewhere.URL + " " + line
			}
			out, err := s.shell(strings.Replace(line, "node again.mjs", "node "+filepath.Join(scripts, "again.mjs"), 1))
			if err != nil {
				t.Fatalf("%s%v\n%s", line, err, out)
			}
			said.WriteString(out)
			if strings.Contains(line, "--live") {
				s.eventually("the right number is there", func(rows map[string]string) bool { return rows["SENT"] == "5" })
			}
		}
	}
	if ran < 16 {
		t.Errorf("%d commands were run", ran)
	}
	contains(t, "the walk-through", said.String(), `value: stored "500", made "5"`, "changed  stat      1", "momo-sent", "cleaned momo-sent", "1 row imported",
		"1 request to send again: 1 report to 0 recipients, for 1 account", "1 request published to TRAM_REQUESTS: 1 result read")
	for _, id := range []string{"events.jsonl", "all.jsonl"} {
		data, err := os.ReadFile(filepath.Join(s.dir, id))
		if err != nil || strings.Count(string(data), "\n") != len(s.ids) {
			t.Errorf("%s has %d events, %v, want %d", id, strings.Count(string(data), "\n"), err, len(s.ids))
		}
	}
	code, _, stderr := tram(t, "", "replay", "events", "-s", s.URL, "--diff", "--config", filepath.Join(s.dir, "tram.yaml"))
	if code != 0 {
		t.Errorf("in the end: got %d, %s", code, stderr)
	}
}

// standsIn makes sure that a file has a snippet, however it is indented there.
func standsIn(t *testing.T, snippet, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trim := func(text string) string {
		var lines []string
		for line := range strings.Lines(text) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.Join(lines, "\n")
	}
	if !strings.Contains(trim(string(data)), strings.TrimSpace(trim(snippet))) {
		t.Errorf("%s has not the snippet\n%s", file, snippet)
	}
}

// interrupt leaves a job as one that has not begun to publish.
func (s *shopfloor) interrupt(j *replay.Job) {
	s.t.Helper()
	jobs, err := replay.Open(s.t.Context(), s.JS)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := jobs.Clean(s.t.Context(), j.Name); err != nil && !errors.Is(err, replay.ErrNoJob) {
		s.t.Fatal(err)
	}
	if err := jobs.New(s.t.Context(), j); err != nil {
		s.t.Fatal(err)
	}
}

func TestReplay_refuses(t *testing.T) {
	s := newShopfloor(t)
	config := filepath.Join(s.dir, "tram.yaml")
	s.interrupt(&replay.Job{Name: "half", Keep: time.Hour})
	for _, test := range []struct {
		name string
		args string
		code int
		says string
	}{
		{"nothing said", "", 2, "say what to do: clean, events, list, requests"},
		{"bad kind", "events --kind lane", 2, "must be delivery, stat, record or outcome"},
		{"bad name", "events --job a.b", 2, "must be 1 to 64 of the characters"},
		{"bad time", "events --from yesterday", 2, "--from must be a time such as"},
		{"nothing between", "events --from 1h --to 2h", 2, "--from must be before --to"},
		{"live and diff", "events --live --diff", 2, "none of the others can be"},
		{"contradiction", "events --provider momo --account caresoft/a", 2, "contradict each other"},
		{"before all", "events --to 2020-01-01T00:00:00Z", 1, "no results were stored before 2020"},
		{"after all", "events --from-seq 100", 1, "no results are stored in that window"},
		{"not configured", "events --job other", 1, "replay answers of momo/shop: its settings are not known"},
		{"going on otherwise", "events --job half --from 1h", 2, "leave --from out"},
		{"no such job", "clean none", 1, "there is no such replay"},
		{"differs", "events --diff --config " + config, 1, "1 event is not as stored"},
		{"differs, in JSON", "events --diff --json --config " + config, 1, "1 event is not as stored"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"replay"}, strings.Fields(test.args)...)
			if test.args != "" {
				args = append(args, "-s", s.URL)
			}
			code, stdout, stderr := tram(t, "", args...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("got %d, %q, %q, want %d and %q", code, stdout, stderr, test.code, test.says)
			}
		})
	}
	code, stdout, _ := tram(t, "", "replay", "events", "--job", "half", "--config", config, "--json", "-s", s.URL)
	if code != 0 || !strings.Contains(stdout, `"name":"half"`) || !strings.Contains(stdout, `"ended":`) || !strings.Contains(stdout, `"results_per_second":`) {
		t.Errorf("got %d, %s", code, stdout)
	}
}
