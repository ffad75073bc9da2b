package perm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

const usersFile = "../../deployments/nats/tram-users.conf"

// TestRows tries every row of every role as every user, at a server that has the
// very file: what the role has is allowed, and what only others have is refused.
func TestRows(t *testing.T) {
	g := brokertest.StartGuarded(t, usersFile, false) // without JetStream nothing comes of it
	var publish, subscribe []string
	for _, r := range Roles() {
		for _, grant := range append(r.Publish, r.Deny...) {
			publish = append(publish, concrete(grant.Subject))
		}
		for _, grant := range r.Subscribe {
			subscribe = append(subscribe, concrete(grant.Subject))
		}
		subscribe = append(subscribe, concrete(r.Inbox()+".>"))
	}
	// What nobody may do.
	publish = append(publish, "tram.send.caresoft", "tram.later.due.1.a.b.c.d.e", "$JS.API.STREAM.PURGE.TRAM_EVENTS",
		"$JS.API.STREAM.MSG.DELETE.TRAM_REQUESTS", "$JS.API.STREAM.UPDATE.OTHER", "$JS.API.INFO", "_INBOX.x", "elsewhere")
	subscribe = append(subscribe, "_INBOX.x", "tram.send.>", "tram.>", "$JS.>", ">")
	refused, allowed := 0, 0
	for _, r := range Roles() {
		refusals := newRefusals()
		nc := g.Connect(r.Variable(), r.Inbox(), refusals.add)
		for _, s := range publish {
			if err := nc.Publish(s, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range subscribe {
			if _, err := nc.SubscribeSync(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		got := refusals.until(t, nc)
		judge := func(what, subject string, may bool) {
			if may {
				allowed++
			} else {
				refused++
			}
			if got[what+subject] == may {
				t.Errorf("%s, %s%s: refused %v, want allowed %v", r.Name, what, subject, got[what+subject], may)
			}
		}
		for _, s := range publish {
			judge("Publish to ", s, among(r.Publish, s) && !among(r.Deny, s))
		}
		for _, s := range subscribe {
			judge("Subscription to ", s, among(r.Subscribe, s) || covers(r.Inbox()+".>", s))
		}
	}
	t.Logf("%d allowed, %d refused", allowed, refused)
}

// concrete returns a subject that matches grant.
func concrete(grant string) string {
	return strings.ReplaceAll(strings.ReplaceAll(grant, "*", "any"), ">", "any.thing")
}

func among(grants []Grant, subject string) bool {
	for _, g := range grants {
		if covers(g.Subject, subject) {
			return true
		}
	}
	return false
}

// refusals are what a connection was told that it may not do.
type refusals struct {
	mu   sync.Mutex
	seen map[string]bool
}

func newRefusals() *refusals { return &refusals{seen: map[string]bool{}} }

var refusal = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]*)"`)

func (r *refusals) add(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	m := refusal.FindStringSubmatch(err.Error())
	if m == nil {
		panic(fmt.Sprintf("a refusal that names no subject: %v", err))
	}
	what := map[string]string{"publish": "Publish to ", "subscription": "Subscription to "}[strings.ToLower(m[1])]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[what+m[2]] = true
}

// until returns what was refused before the call. Handlers run in order, so a
// last refusal marks the end.
func (r *refusals) until(t *testing.T, nc *nats.Conn) map[string]bool {
	t.Helper()
	const last = "the.end"
	if err := nc.Publish(last, nil); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		if r.seen["Publish to "+last] {
			defer r.mu.Unlock()
			return r.seen
		}
		r.mu.Unlock()
	}
	t.Fatal("the last refusal did not come")
	return nil
}

func TestCheck(t *testing.T) {
	g := brokertest.StartGuarded(t, usersFile, false)
	for _, name := range []string{"dispatcher", "collector"} {
		role, _ := Find(name)
		if err := Check(t.Context(), g.Connect(role.Variable(), role.Inbox(), nil), role); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	collector := g.Connect("TRAM_COLLECTOR", "_INBOX_collector", nil)
	missing, ok := errors.AsType[*MissingError](Check(t.Context(), collector, Dispatcher()))
	for _, want := range []string{"publish to tram.intent.*", "subscribe to tram.status", "publish to the inboxes of others: set allow_responses"} {
		if !ok || !strings.Contains(missing.Error(), "\n  "+want) {
			t.Errorf("a collector as dispatcher: got %v, want it to miss %q", missing, want)
		}
	}
	// Whoever may not even ask, or receives where others do, is told that.
	for _, test := range []struct{ user, inbox, want string }{
		{"TRAM_PRODUCER_SHOP", "_INBOX_producer_shop", userInfo},
		{"TRAM_COLLECTOR", "_INBOX", `"_INBOX.`},
	} {
		missing, ok := errors.AsType[*MissingError](Check(t.Context(), g.Connect(test.user, test.inbox, nil), Collector()))
		if !ok || !strings.Contains(missing.Error(), test.want) {
			t.Errorf("%s at %s: got %v, want it to name %s", test.user, test.inbox, missing, test.want)
		}
	}
}

// TestDownstream_withoutCreating reads as a service whose consumer is there and
// that may not create one any more.
func TestDownstream_withoutCreating(t *testing.T) {
	text, err := os.ReadFile(usersFile)
	if err != nil {
		t.Fatal(err)
	}
	create := regexp.MustCompile(`(?m)^.*CONSUMER\.CREATE\.TRAM_EVENTS\.shop.*\n`)
	if n := len(create.FindAll(text, -1)); n != 2 {
		t.Fatalf("there are %d lines to take out, docs/security.md says two", n)
	}
	users := filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(users, create.ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	g := brokertest.StartGuarded(t, users, true)
	js := func(user string) jetstream.JetStream {
		js, err := jetstream.New(g.Connect("TRAM_"+strings.ToUpper(user), "_INBOX_"+user, func(err error) { t.Errorf("%s: %v", user, err) }))
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	if err := broker.Setup(t.Context(), js("setup"), broker.Streams{}); err != nil {
		t.Fatal(err)
	}
	dispatcher := js("dispatcher")
	for i, user := range []string{"operator", "downstream_shop"} { // of whom the first creates it
		lane := &events.Lane{Provider: "momo", Account: "shop", State: events.LaneWorking, Was: events.LanePaused}
		m, err := events.EncodeLane(events.Meta{ID: fmt.Sprint(i), Source: "/tram/test"}, lane)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dispatcher.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var got []string
		err = events.Subscribe(ctx, js(user), events.SubscribeConfig{Durable: "shop", Kinds: []events.Kind{events.KindLane}}, func(_ context.Context, e *events.Event) error {
			got = append(got, e.ID)
			cancel()
			return nil
		})
		cancel()
		if err != nil || len(got) != 1 || got[0] != fmt.Sprint(i) {
			t.Errorf("%s: got events %q, %v", user, got, err)
		}
	}
}
