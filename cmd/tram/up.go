package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/embedded"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/ops"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

func upCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the whole relay in this process: broker, dispatcher, collector, sandbox",
		Long: `Run the whole relay in this process until interrupted: an embedded broker with
its streams, a dispatcher and a collector.

Without --config it also runs a sandbox that stands in for the chat platforms,
with the accounts caresoft/hotline, ahachat/fanpage, momo/shop, facebook/page,
pancake/page, pancake/user and webhook/sms in it. Other processes reach the
broker at the address that the line "ready" tells; nothing listens on anything
but loopback unless it is told to. What was not done when it stops is done when
it is started again with the same --dir.

With OTEL_EXPORTER_OTLP_ENDPOINT in the environment, such as http://127.0.0.1:4318,
it exports a trace of each request.`,
		Example: `  tram up
  tram up --demo
  tram up --config tram.yaml --dir /var/lib/tram --listen 127.0.0.1:4222`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return up(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.config, "config", "", "configuration file (default accounts in the sandbox)")
	fs.StringVar(&o.dir, "dir", "", "where the broker keeps its state (default ./tram-data)")
	fs.StringVar(&o.listen, "listen", "", "where the broker listens; port 0 takes a free one (default 127.0.0.1:4222)")
	fs.StringVar(&o.sandbox, "sandbox", "", "where the sandbox listens; with --config there is none without this (default a free port)")
	fs.BoolVar(&o.demo, "demo", false, "publish a send and a report request, and print what becomes of them")
	return cmd
}

type upOptions struct {
	config, dir, listen, sandbox string
	demo                         bool
}

//go:embed sample.yaml
var sample string

// up is one straight line, in which everything is torn down in the reverse of
// the order it was started in.
func up(ctx context.Context, o upOptions, stdout, stderr io.Writer) (err error) {
	box, err := startSandbox(o)
	if err != nil {
		return err
	}
	if box != nil {
		defer func() { err = errors.Join(err, box.Close()) }()
	}
	load := func() (*config.Config, error) { return upConfig(o, box) }
	c, err := load()
	if err != nil {
		return err
	}
	log := wiring.Logger(stderr, c.Log)
	looks, err := ops.Start(c.Ops.Listen, wiring.Version(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, looks.Close()) }()
	defer context.AfterFunc(ctx, looks.Stopping)()
	tracer, err := wiring.Tracer(ctx, "tram", c.Telemetry.Traces, looks, log)
	if err != nil {
		return err
	}
	defer tracer.Close()

	server, err := embedded.Start(embedded.Config{
		Dir: c.Broker.Dir, Listen: c.Broker.Listen, Token: c.Broker.Token.Reveal(), SyncAlways: c.Broker.Durability == "always", Log: log,
	})
	if err != nil {
		if strings.Contains(err.Error(), "address already in use") {
			err = fmt.Errorf("%w: is another broker there? --listen 127.0.0.1:0 takes a free port", err)
		}
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()

	var clients [3]*client // of the dispatcher, the collector, and who looks at them
	for i, name := range []string{"tram-dispatcher", "tram-collector", "tram-up"} {
		if clients[i], err = within(ctx, server, name, log); err != nil {
			return err
		}
		defer clients[i].close()
	}
	if err := broker.Setup(ctx, clients[2].js, wiring.Streams(c.Streams)); err != nil {
		return err
	}
	looks.Need("broker", wiring.Reachable(clients[2].js, looks.Metrics))
	process := func(cl *client) wiring.Process {
		return wiring.Process{Config: c, Load: load, JS: cl.js, Log: log, Ops: looks, Tracer: tracer}
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return wiring.RunDispatcher(ctx, process(clients[0])) })
	parts.Go(func() error { return wiring.RunCollector(ctx, process(clients[1])) })
	parts.Go(func() error {
		if err := takesEvents(ctx, clients[2], c.Accounts); err != nil {
			return nil // it is to stop, and whoever said so knows why
		}
		if err := ready(stdout, server, box, looks); err != nil || !o.demo {
			return err
		}
		return demo(ctx, clients[2], stdout)
	})
	return parts.Wait()
}

// takesEvents returns once requests to all accounts can be published, which is
// when their contracts are in the directory.
func takesEvents(ctx context.Context, c *client, accounts []config.Account) error {
	directory := events.NewDirectory(c.js)
	for _, a := range accounts {
		for {
			if _, err := directory.Contract(ctx, a.Provider, a.Name); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// ready tells where everything is, in the one line that has the word.
func ready(stdout io.Writer, server *embedded.Server, box *sandbox.Server, looks *ops.Ops) error {
	line := "ready nats=" + server.URL()
	if box != nil {
		line += " sandbox=" + box.URL()
	}
	if looks.URL() != "" {
		line += " ops=" + looks.URL()
	}
	_, err := fmt.Fprintln(stdout, line)
	return err
}

// within connects to the server in this process.
func within(ctx context.Context, server *embedded.Server, name string, log *slog.Logger) (*client, error) {
	nc, err := broker.Connect(ctx, broker.Config{Embedded: server, Name: name, Log: log})
	if err != nil {
		return nil, err
	}
	js, err := broker.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &client{nc: nc, js: js}, nil
}

// startSandbox starts the sandbox, unless accounts of a configuration file are
// meant and nobody has asked for it.
func startSandbox(o upOptions) (*sandbox.Server, error) {
	if o.config != "" && o.sandbox == "" {
		return nil, nil
	}
	listen := o.sandbox
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	box := sandbox.New(sandbox.Options{})
	_, err := box.Start(listen)
	return box, err
}

// upConfig reads the configuration file or the sample, whose secrets are the
// sandbox's own.
func upConfig(o upOptions, box *sandbox.Server) (*config.Config, error) {
	environ := os.Environ()
	if o.dir != "" {
		environ = append(environ, "TRAM_BROKER_DIR="+o.dir)
	}
	if o.listen != "" {
		environ = append(environ, "TRAM_BROKER_LISTEN="+o.listen)
	}
	if o.config != "" {
		return config.Load(o.config, environ, wiring.Providers())
	}
	environ = append(environ,
		"TRAM_SECRET_CARESOFT_HOTLINE_TOKEN=sandbox-caresoft-token",
		"TRAM_SECRET_AHACHAT_FANPAGE_TOKEN=sandbox-ahachat-token",
		"TRAM_SECRET_MOMO_SHOP_TOKEN=sandbox-momo-token",
		"TRAM_SECRET_FACEBOOK_PAGE_TOKEN=sandbox-facebook-token",
		"TRAM_SECRET_PANCAKE_PAGE_PAGE_TOKEN=sandbox-pancake-page-token",
		"TRAM_SECRET_PANCAKE_USER_USER_TOKEN=sandbox-pancake-user-token",
		"TRAM_SECRET_WEBHOOK_SMS_TOKEN=sandbox-webhook-token",
	)
	file := strings.ReplaceAll(sample, "SANDBOX/", box.URL()+"/")
	return config.Parse("sample", []byte(file), environ, wiring.Providers())
}
