// Package wiring puts the relay together: the one place that knows all
// providers, and how the configuration becomes the parts of a process.
package wiring

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/dispatcher"
	"github.com/tramhq/tram/internal/ops"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/ahachat"
	"github.com/tramhq/tram/pkg/channels/caresoft"
	"github.com/tramhq/tram/pkg/channels/facebook"
	"github.com/tramhq/tram/pkg/channels/momo"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/channels/webhook"
)

// Providers returns every provider. A new one is one line here.
func Providers() []channels.Provider {
	return []channels.Provider{
		ahachat.New(),
		caresoft.New(),
		facebook.New(),
		momo.New(),
		pancake.New(),
		webhook.New(),
	}
}

// Logger returns a logger that writes to w as c says. It silences the standard
// log package, through which net/http prints bytes of providers' answers.
func Logger(w io.Writer, c config.Log) *slog.Logger {
	log.SetOutput(io.Discard)
	opts := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.New(telemetry.LogHandler(slog.NewJSONHandler(w, opts)))
	}
	return slog.New(telemetry.LogHandler(slog.NewTextHandler(w, opts)))
}

// Tracer returns what makes the spans of a process called name, or nil if c
// wants none. The caller closes it.
func Tracer(ctx context.Context, name string, c config.Traces, o *ops.Ops, log *slog.Logger) (*telemetry.Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	return telemetry.Start(ctx, telemetry.Config{
		Endpoint: c.Endpoint, Service: name, Version: Version(), Log: log, Count: o.Spans(),
	})
}

// Connect returns once there is a connection to the broker of c. The caller
// closes it.
func Connect(ctx context.Context, name string, c config.NATS, log *slog.Logger) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := broker.Connect(ctx, broker.Config{
		URLs: servers(c.URL), Name: name, Log: log,
		CredsFile: c.Creds, NKeyFile: c.NKey, User: c.User,
		Password: c.Password.Reveal(), PasswordFile: c.PasswordFile,
		Token: c.Token.Reveal(), TokenFile: c.TokenFile,
		CAFile: c.CA, CertFile: c.Cert, KeyFile: c.Key, InboxPrefix: c.InboxPrefix,
	})
	if err != nil {
		return nil, nil, err
	}
	js, err := broker.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

func servers(urls string) []string {
	var all []string
	for u := range strings.SplitSeq(urls, ",") {
		if u = strings.TrimSpace(u); !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		all = append(all, u)
	}
	return all
}

// Streams returns the streams that c describes.
func Streams(c config.Streams) broker.Streams {
	return broker.Streams{
		Partitions: c.Partitions, Replicas: c.Replicas, Duplicates: c.Duplicates,
		RequestsAge: c.Requests.MaxAge, RequestsBytes: int64(c.Requests.MaxBytes),
		LedgerAge: c.Ledger.MaxAge, IntentsBytes: int64(c.Ledger.MaxBytes), ResultsBytes: int64(c.Ledger.MaxBytes),
		EventsAge: c.Events.MaxAge, EventsBytes: int64(c.Events.MaxBytes),
		DeadAge: c.Dead.MaxAge, DeadBytes: int64(c.Dead.MaxBytes),
	}
}

// RunDispatcher dispatches until ctx is done. It takes accounts over that
// change meanwhile.
func RunDispatcher(ctx context.Context, p Process) error {
	c := p.Config
	client, err := channels.NewClient(channels.ClientConfig{
		Timeout: c.Dispatcher.CallTimeout, DialTimeout: c.HTTP.DialTimeout,
		MaxBody: int(c.HTTP.MaxBody), Proxy: c.HTTP.Proxy,
		// All calls may go to one host. One connection less, and some would dial anew each time.
		MaxIdleConnsPerHost: c.Dispatcher.MaxInFlight, AllowPrivate: c.HTTP.AllowPrivate.Prefixes,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	metrics := p.Ops.Dispatcher()
	var observer dispatcher.Observer
	if p.Ops.URL() != "" { // else nobody can look, and thousands of accounts cost as many counters
		observer = metrics
	}
	d, err := dispatcher.New(dispatcher.Config{
		JS: p.JS, Client: client, Providers: Providers(), Accounts: accounts(c), Groups: groups(c), Log: p.Log, Observer: observer, Version: Version(),
		Tracer: p.Tracer, LogCalls: dispatcher.CallLog(c.Log.Calls),
		Partitions: c.Streams.Partitions, Lease: c.Dispatcher.Lease,
		CallTimeout: c.Dispatcher.CallTimeout, Grace: c.Dispatcher.Grace, MaxInFlight: c.Dispatcher.MaxInFlight,
		// A request ends as expired a little before it would leave the stream.
		MaxAge:      c.Streams.Requests.MaxAge - c.Streams.Requests.MaxAge/72,
		DedupWindow: c.Streams.Duplicates,
		Retry:       dispatcher.RetryPolicy(c.Dispatcher.Retry),
	})
	if err != nil {
		return fmt.Errorf("start dispatcher: %w", err)
	}
	metrics.Watch(d)
	p.Ops.Need("dispatcher", func(context.Context) error { return d.Check() })
	p.Ops.Touch("dispatcher", func() { d.Lanes() })
	defer following(ctx, p, func(changed *config.Config) error {
		if err := d.Update(ctx, accounts(changed), groups(changed)); err != nil {
			return err
		}
		metrics.Keep(configured(changed))
		return nil
	})()
	return d.Run(ctx)
}

// following reloads until ctx is done, in a goroutine that the function it
// returns waits for.
func following(ctx context.Context, p Process, update func(*config.Config) error) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	var wg sync.WaitGroup
	wg.Go(func() { reload(ctx, hup, p, update) })
	return func() {
		signal.Stop(hup)
		cancel()
		wg.Wait()
	}
}

// configured returns whether c has an account.
func configured(c *config.Config) func(provider, account string) bool {
	all := make(map[[2]string]bool, len(c.Accounts))
	for _, a := range c.Accounts {
		all[[2]string{a.Provider, a.Name}] = true
	}
	return func(provider, account string) bool { return all[[2]string{provider, account}] }
}

func accounts(c *config.Config) []*dispatcher.Account {
	var all []*dispatcher.Account
	for _, a := range c.Accounts {
		all = append(all, &dispatcher.Account{
			Account: *a.Channel(), Limits: a.Limits.Rate(), Concurrency: int(a.Limits.Concurrency),
			Breaker: dispatcher.Breaker(a.Breaker), OnAmbiguous: a.OnAmbiguous, Group: a.Group, Quiet: quiet(a.Quiet),
		})
	}
	return all
}

// quiet returns quiet hours as dispatchers see them; their zones exist, since the
// configuration is valid.
func quiet(all []config.Quiet) []dispatcher.Quiet {
	var hours []dispatcher.Quiet
	for _, q := range all {
		zone, _ := channels.Zone(q.Zone)
		h := dispatcher.Quiet{
			From: q.From.Since(), To: q.To.Since(), Zone: zone, Classes: q.Classes,
			Promotions: q.Promotions == config.HoldPromotions,
		}
		for _, d := range q.Days {
			h.Days = append(h.Days, d.Weekday())
		}
		hours = append(hours, h)
	}
	return hours
}

func groups(c *config.Config) []dispatcher.Group {
	var all []dispatcher.Group
	for _, g := range c.Groups {
		all = append(all, dispatcher.Group{Name: g.Name, Limits: g.Limits.Rate()})
	}
	return all
}

// RunCollector collects until ctx is done. It takes accounts over that change
// meanwhile.
func RunCollector(ctx context.Context, p Process) error {
	col, err := collector.New(collector.Config{
		JS: p.JS, Providers: Providers(), Accounts: parsed(p.Config), Log: p.Log, Observer: p.Ops.Collector(), Tracer: p.Tracer,
		Workers: p.Config.Collector.Workers,
	})
	if err != nil {
		return fmt.Errorf("start collector: %w", err)
	}
	p.Ops.Need("collector", col.Check)
	p.Ops.Touch("collector", col.Touch)
	defer following(ctx, p, func(changed *config.Config) error {
		return col.Update(parsed(changed))
	})()
	return col.Run(ctx)
}

// parsed returns the accounts as parsers see them.
func parsed(c *config.Config) []*channels.Account {
	var all []*channels.Account
	for _, a := range c.Accounts {
		all = append(all, a.Channel())
	}
	return all
}
