package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/ops"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

// A guarded is the relay on a broker where everybody may do what
// deployments/nats/tram-users.conf says, and nothing else.
type guarded struct {
	*brokertest.Guarded
	t      *testing.T
	box    *sandbox.Server
	config string // file
	load   wiring.Loader
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{Guarded: brokertest.StartGuarded(t, "../../deployments/nats/tram-users.conf", true), t: t}
	var err error
	if g.box, err = startSandbox(upOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.box.Close() })
	for name, secret := range map[string]string{
		"CARESOFT_HOTLINE_TOKEN": "caresoft", "AHACHAT_FANPAGE_TOKEN": "ahachat", "MOMO_SHOP_TOKEN": "momo", "FACEBOOK_PAGE_TOKEN": "facebook",
		"PANCAKE_PAGE_PAGE_TOKEN": "pancake-page", "PANCAKE_USER_USER_TOKEN": "pancake-user", "WEBHOOK_SMS_TOKEN": "webhook",
	} {
		t.Setenv("TRAM_SECRET_"+name, "sandbox-"+secret+"-token")
	}
	g.config = t.TempDir() + "/tram.yaml"
	file := strings.ReplaceAll(sample, "SANDBOX/", g.box.URL()+"/") + `
groups:
  - {name: app, accounts: [caresoft/hotline, momo/shop], limits: {per_second: 1000}}
`
	if err := os.WriteFile(g.config, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	g.load = func() (*config.Config, error) { return upConfig(upOptions{config: g.config}, nil) }
	return g
}

// connect returns the JetStream of a user. Being refused anything fails the
// test, unless told takes it.
func (g *guarded) connect(user string, told func(error)) jetstream.JetStream {
	g.t.Helper()
	if told == nil {
		told = func(err error) { g.t.Errorf("%s: %v", user, err) }
	}
	nc := g.Connect("TRAM_"+strings.ToUpper(user), "_INBOX_"+user, told)
	js, err := jetstream.New(nc)
	if err != nil {
		g.t.Fatal(err)
	}
	return js
}

// run runs a process as user until the function it returns is called.
func (g *guarded) run(user string, work wiring.Run) (stop func()) {
	g.t.Helper()
	c, err := g.load()
	if err != nil {
		g.t.Fatal(err)
	}
	log := wiring.Logger(g.t.Output(), c.Log)
	o, err := ops.Start("", "test", log)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	p := wiring.Process{Config: c, Load: g.load, JS: g.connect(user, nil), Log: log, Ops: o}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := work(ctx, p); err != nil {
			g.t.Errorf("%s: %v", user, err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		o.Close()
	})
	g.t.Cleanup(stop)
	return stop
}

// user makes the command tram log in as a user.
func (g *guarded) user(user string) {
	g.t.Helper()
	g.t.Setenv("NATS_URL", g.URL)
	g.t.Setenv("NATS_NKEY", g.SeedFile("TRAM_"+strings.ToUpper(user)))
	g.t.Setenv("NATS_INBOX_PREFIX", "_INBOX_"+user)
}

// as runs the command tram as a user, and fails the test unless it succeeds.
func (g *guarded) as(user string, args ...string) (stdout string) {
	g.t.Helper()
	g.user(user)
	code, stdout, stderr := tram(g.t, "", args...)
	if code != wiring.ExitOK && code != wiring.ExitNotAccepted {
		g.t.Fatalf("%s: tram %s: exit code %d\n%s%s", user, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// await waits until the dispatchers have said what an account can do. A producer
// that looks before asks what else there is, which it may not.
func (g *guarded) await(provider, account string) {
	g.t.Helper()
	directory := events.NewDirectory(g.connect("operator", nil))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := directory.Contract(g.t.Context(), provider, account)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			g.t.Fatal(err)
		}
	}
}

// TestUsers does everything that the relay does with nobody allowed more than
// the users' file says, and nobody refused anything.
func TestUsers(t *testing.T) {
	g := newGuarded(t)
	contains(t, "setup", g.as("setup", "setup"), "created   TRAM_REQUESTS")
	contains(t, "setup again", g.as("setup", "setup"), "unchanged TRAM_REQUESTS")
	first := g.run("dispatcher", wiring.RunDispatcher)
	g.run("dispatcher", wiring.RunDispatcher)
	g.run("collector", wiring.RunCollector)
	g.await("caresoft", "hotline")
	g.await("momo", "shop")

	// A service publishes, and another one reads what became of it.
	shop := g.connect("producer_shop", nil)
	publisher := events.NewPublisher(shop, events.PublisherConfig{Source: "/acme/shop", Directory: events.NewDirectory(shop)})
	g.ready(publisher)
	requests := []*events.Request{
		send("now", 0), send("soon", 200*time.Millisecond), send("later", 1500*time.Millisecond),
		{Meta: events.Meta{ID: "report"}, Kind: events.KindReport, Provider: "momo", Account: "shop", Class: events.Normal, Report: &events.Report{
			Report: "momo.messages_report", Range: events.Range{Preset: "DAY_AGO_30"}, Filters: map[string]string{"condition_id": "NO_ACTIVITIES_30"},
		}},
	}
	for _, r := range requests {
		if _, err := publisher.Publish(t.Context(), r); err != nil {
			t.Fatalf("publish %s: %v", r.ID, err)
		}
	}
	g.read(map[string]bool{"now": true, "soon": true, "later": true, "report": true})

	// An operator has something to do.
	postFault(t, g.box.URL(), `[
		{"provider": "caresoft", "recipient": "0900000001", "status": 400, "body": "{\"code\":\"errors\",\"message\":\"out of quota\"}"},
		{"provider": "caresoft", "recipient": "0900000002", "how": "reset"},
		{"provider": "caresoft", "recipient": "0900000003", "how": "reset"}]`)
	for i, id := range []string{"refused", "sent", "again"} {
		g.as("operator", "send", "caresoft/hotline", "--phone", fmt.Sprintf("090000000%d", i+1), "--text", "hi", "--id", id, "--wait")
	}
	g.as("operator", "status")
	well := untilWell(t, "--config", g.config)
	contains(t, "doctor", well, "ok    permissions    the user may do all that the role operator needs")
	contains(t, "doctor", well, "ok    hosts          1 host can be reached")
	g.as("operator", "lane", "pause", "caresoft/hotline", "--reason", "test")
	g.until("paused", func(e *events.Event) bool { return e.Lane != nil && e.Lane.State == events.LanePaused })
	contains(t, "status", g.as("operator", "status", "--json"), `"paused"`)
	g.as("operator", "lane", "resume", "caresoft/hotline")
	g.until("working", func(e *events.Event) bool { return e.Lane != nil && e.Lane.State == events.LaneWorking })
	if _, err := publisher.Publish(t.Context(), send("never", time.Hour)); err != nil {
		t.Fatal(err)
	}
	contains(t, "cancel", g.as("operator", "cancel", "caresoft/hotline", "never", "--source", "/acme/shop", "--wait"), "cancelled")
	g.as("operator", "schedule", "add", "daily", "--account", "momo/shop", "--report", "momo.messages_report",
		"--preset", "DAY_AGO_30", "--filter", "condition_id=NO_ACTIVITIES_30", "--every", "24h")
	g.doubt("daily")
	g.as("operator", "schedule", "run", "daily", "--wait")
	g.as("operator", "schedule", "pause", "daily")
	g.as("operator", "schedule", "resume", "daily")
	g.as("operator", "schedule", "list")
	g.as("operator", "schedule", "show", "daily")
	g.as("operator", "schedule", "remove", "daily")
	g.as("operator", "schedule", "add", "follow", "--account", "momo/shop", "--report", "momo.messages_report",
		"--preset", "DAY_AGO_30", "--filter", "condition_id=NO_ACTIVITIES_30", "--every", "6h")
	contains(t, "schedules", g.as("operator", "schedule", "list"), "follow")
	g.as("operator", "schedule", "run", "follow", "--wait")
	g.as("operator", "schedule", "remove", "follow")
	g.awaitLetters(3)
	list := g.as("operator", "dead", "list", "--json")
	g.as("operator", "dead", "show", number(t, list, "refused"))
	contains(t, "trace", g.as("operator", "trace", "refused"), "group refused")
	g.as("operator", "dead", "redrive", "--request", "refused", "--rate", "500")
	g.as("operator", "dead", "resolve", "--sent", "--request", "sent")
	g.as("operator", "dead", "resolve", "--resend", "--request", "again")
	g.awaitLetters(2) // of the two that were published anew
	g.as("operator", "dead", "drop", "--all", "--yes")
	g.as("operator", "replay", "events", "--config", g.config, "--job", "own")
	g.as("operator", "replay", "events", "--config", g.config, "--job", "live", "--live", "--kind", "stat")
	g.as("operator", "replay", "events", "--config", g.config, "--diff")
	g.as("operator", "replay", "list")
	g.as("operator", "replay", "clean", "own")
	g.as("operator", "replay", "requests", "--resend", "--yes", "--account", "caresoft/hotline", "--state", "accepted", "--expires-in", "1h")
	g.as("operator", "export", "TRAM_RESULTS")
	contains(t, "trace", g.as("operator", "trace", "report", "--since", "1h"), "replayed ")
	contains(t, "trace", g.as("operator", "trace", "sent"), "by a person")

	// One dispatcher goes, and the other takes everything over.
	first()
	if _, err := publisher.Publish(t.Context(), send("after", 0)); err != nil {
		t.Fatal(err)
	}
	g.read(map[string]bool{"after": true})
	if refused := g.Violations(); len(refused) > 0 {
		t.Errorf("refused:\n%s", strings.Join(refused, "\n"))
	}
}

// TestUsers_refused shows how a service is told that an account is not its own.
func TestUsers_refused(t *testing.T) {
	g := newGuarded(t)
	g.as("setup", "setup")
	told := make(chan error, 10)
	js := g.connect("producer_shop", func(err error) { told <- err })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r := send("x", 0)
	r.Source, r.Provider, r.Account = "/acme/shop", "webhook", "sms"
	m, err := events.EncodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(ctx, m); err == nil {
		t.Error("published to an account of others")
	}
	select {
	case err := <-told:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+m.Subject+`"`) {
			t.Errorf("told %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
}

// TestUsers_tram shows how a person is told the same, and soon.
func TestUsers_tram(t *testing.T) {
	g := newGuarded(t)
	g.as("setup", "setup")
	g.user("producer_shop")
	for _, test := range []struct{ args, says string }{
		{"send pancake/page --contact-id 1 --text hi", `"$JS.API.DIRECT.GET.KV_TRAM_ACCOUNTS.$KV.TRAM_ACCOUNTS.pancake.page"`},
		{"tail", `"$JS.API.STREAM.INFO.TRAM_EVENTS"`},
		{"tail --from all", `"$JS.API.CONSUMER.CREATE.TRAM_EVENTS.`},
		{"status", `"$JS.API.STREAM.INFO.TRAM_REQUESTS"`},
		{"dead list", `"$JS.API.STREAM.INFO.TRAM_DEAD"`},
		{"lane pause caresoft/hotline", `"$JS.API.STREAM.INFO.KV_TRAM_CONTROL"`},
	} {
		code, _, stderr := tram(t, "", strings.Fields(test.args)...)
		if code != wiring.ExitUnreachable || !strings.Contains(stderr, "does not permit this user") || !strings.Contains(stderr, test.says) {
			t.Errorf("tram %s: got %d, %s, want it to name %s", test.args, code, stderr, test.says)
		}
	}
}

func send(id string, in time.Duration) *events.Request {
	r := &events.Request{
		Meta: events.Meta{ID: id}, Kind: events.KindSend, Provider: "caresoft", Account: "hotline", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000009"},
			Content:   events.Content{Kind: events.ContentText, Text: "hi"},
		},
	}
	if in > 0 {
		r.Send.NotBeforeMS = time.Now().Add(in).UnixMilli()
	}
	return r
}

// ready waits until dispatchers have said what the accounts can do.
func (g *guarded) ready(p *events.Publisher) {
	g.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := p.Publish(g.t.Context(), send("ready", 0))
		if err == nil {
			return
		}
		if time.Now().After(end) {
			g.t.Fatal(err)
		}
	}
}

// read reads events as a service until each of the requests has ended.
func (g *guarded) read(requests map[string]bool) {
	g.t.Helper()
	g.until(fmt.Sprint("the ends of ", slices.Collect(maps.Keys(requests))), func(e *events.Event) bool {
		if e.Delivery != nil && e.Delivery.Final || e.Outcome != nil && e.Outcome.Final {
			delete(requests, e.About().RequestID)
		}
		return len(requests) == 0
	})
}

// until reads events as a service, on from the last one, until done.
func (g *guarded) until(what string, done func(*events.Event) bool) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 30*time.Second)
	defer cancel()
	met := false
	err := events.Subscribe(ctx, g.connect("downstream_shop", nil), events.SubscribeConfig{Durable: "shop"}, func(_ context.Context, e *events.Event) error {
		if met = met || done(e); met {
			cancel()
		}
		return nil
	})
	if err != nil || !met {
		g.t.Fatalf("%s: not told, %v", what, err)
	}
}

// doubt leaves a run of a schedule of which nobody knows whether it was
// published, and waits until a dispatcher has found that out.
func (g *guarded) doubt(name string) {
	g.t.Helper()
	store := schedule.NewStore(g.connect("operator", nil))
	e, err := store.Get(g.t.Context(), name)
	if err == nil {
		run := &schedule.Run{AtMS: time.Now().UnixMilli(), ID: "lost", Provider: "momo", Account: "shop", Class: events.Bulk}
		err = store.Record(g.t.Context(), e, schedule.Progress{HandledMS: run.AtMS, Last: run})
	}
	for end := time.Now().Add(20 * time.Second); err == nil && e.Progress.Last != nil; time.Sleep(20 * time.Millisecond) {
		if e, err = store.Get(g.t.Context(), name); time.Now().After(end) {
			err = errors.New("nobody cares about its run")
		}
	}
	if err != nil {
		g.t.Fatalf("schedule %s: %v", name, err)
	}
}

func (g *guarded) awaitLetters(n int) {
	g.t.Helper()
	for end := time.Now().Add(20 * time.Second); strings.Count(g.as("operator", "dead", "list", "--json"), "\n") != n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("there are not %d dead letters", n)
		}
	}
}

// number returns the number of the letter of a request from a list in JSON.
func number(t *testing.T, list, request string) string {
	t.Helper()
	for line := range strings.Lines(list) {
		var l listed
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.RequestID == request {
			return strconv.FormatUint(l.ID, 10)
		}
	}
	t.Fatalf("no letter of %s in %s", request, list)
	return ""
}
