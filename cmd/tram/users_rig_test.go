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
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		_, err := directory.Contract(g.t.Context(), provider, account)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			g.t.Fatal(err)
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
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
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
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
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
	for end := time.Now().Add(patience); err == nil && e.Progress.Last != nil; time.Sleep(20 * time.Millisecond) {
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
	brokertest.Eventually(g.t, fmt.Sprintf("there are %d dead letters", n), func() bool {
		return strings.Count(g.as("operator", "dead", "list", "--json"), "\n") == n
	})
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
