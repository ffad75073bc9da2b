package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/pkg/events"
)

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
