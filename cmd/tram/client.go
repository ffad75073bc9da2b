package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/pkg/events"
)

// A brokerFlag says where the broker is, over what the environment says.
type brokerFlag struct {
	server  string
	context string
	connect time.Duration
}

func (b *brokerFlag) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVarP(&b.server, "server", "s", "", "URL of the broker (NATS_URL, default nats://127.0.0.1:4222)")
	fs.StringVar(&b.context, "context", "", "context of the nats command (NATS_CONTEXT, default the selected one)")
	fs.DurationVar(&b.connect, "connect-timeout", 3*time.Second, "how long to try to reach the broker (NATS_TIMEOUT)")
}

// A client talks to the relay as any service does: by the public library.
type client struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func (c *client) close() { c.nc.Close() }

// dial connects to the broker. Its error is errUnreachable or about the
// settings.
func (b *brokerFlag) dial(cmd *cobra.Command) (*client, error) {
	c, err := b.load("")
	if err != nil {
		return nil, err
	}
	return b.dialAs(cmd, c)
}

// load reads what a configuration file, if there is one, says about the broker;
// over it lie the context of the nats command, the environment and the flags. A
// context that somebody has selected once for all does not override a file.
func (b *brokerFlag) load(file string) (*config.Config, error) {
	environ, err := natsEnviron(os.Environ(), b.context, file != "")
	if err != nil {
		return nil, err
	}
	c, err := config.LoadBroker(file, environ)
	if err == nil && b.server != "" {
		c.NATS.URL = b.server
	}
	return c, err
}

// dialAs is dial with the settings of c.
func (b *brokerFlag) dialAs(cmd *cobra.Command, c *config.Config) (*client, error) {
	cl, err := b.connectAs(cmd, c, cmd.ErrOrStderr())
	if err == nil {
		endWhenRefused(cmd, cl.nc)
	}
	return cl, err
}

// connectQuietly is dialAs for who goes on when something is refused, and says so
// itself.
func (b *brokerFlag) connectQuietly(cmd *cobra.Command, c *config.Config) (*client, error) {
	return b.connectAs(cmd, c, io.Discard)
}

func (b *brokerFlag) connectAs(cmd *cobra.Command, c *config.Config, logTo io.Writer) (*client, error) {
	if text := os.Getenv("NATS_TIMEOUT"); text != "" && !cmd.Flags().Changed("connect-timeout") {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return nil, usage("NATS_TIMEOUT must be a duration such as 5s, it is %q", text)
		}
		b.connect = d
	}
	timeout := fmt.Errorf("no connection to %s within %v", c.NATS.URL, b.connect)
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), b.connect, timeout)
	defer cancel()
	log := wiring.Logger(logTo, c.Log)
	nc, js, err := wiring.Connect(ctx, "tram-cli", c.NATS, log)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return &client{nc: nc, js: js}, nil
}

// errRefused says that the broker does not permit the user what a command does.
var errRefused = errors.New("the broker does not permit this user what the command does (docs/security.md)")

// endWhenRefused cancels the context of cmd when the broker refuses something:
// it does so apart from the answer, for which the command would wait in vain.
func endWhenRefused(cmd *cobra.Command, nc *nats.Conn) {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	cmd.SetContext(ctx)
	others := nc.ErrorHandler()
	nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if !errors.Is(err, nats.ErrPermissionViolation) {
			others(nc, sub, err)
			return
		}
		cancel(fmt.Errorf("%w: %w", errRefused, err))
	})
}

// publish publishes r with all checks made beforehand.
func (c *client) publish(ctx context.Context, r *events.Request) (events.Receipt, error) {
	p := events.NewPublisher(c.js, events.PublisherConfig{
		Source:    cliSource,
		Directory: events.NewDirectory(c.js),
	})
	return p.Publish(ctx, r)
}

// next returns the sequence of the event that will be stored next.
func (c *client) next(ctx context.Context) (uint64, error) {
	s, err := c.js.Stream(ctx, events.EventsStream)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", events.ErrNotSetUp, err)
	}
	return s.CachedInfo().State.LastSeq + 1, nil
}

// follow hands all events about r that are stored at or after from to each,
// until the final one, which it returns.
func (c *client) follow(ctx context.Context, r *events.Request, from uint64, each func(*events.Event) error) (events.State, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	kinds := []events.Kind{events.KindDelivery}
	if r.Kind != events.KindSend {
		kinds = []events.Kind{events.KindStat, events.KindRecord, events.KindOutcome}
	}
	var end events.State
	var failed error
	err := events.Subscribe(ctx, c.js, events.SubscribeConfig{
		Kinds: kinds, Provider: r.Provider, Account: r.Account, FromSeq: from,
	}, func(_ context.Context, e *events.Event) error {
		if about := e.About(); end != "" || about.RequestID != r.ID || about.RequestSource != r.Source {
			return nil
		}
		if failed = each(e); failed != nil {
			stop()
		}
		switch {
		case e.Delivery != nil && e.Delivery.Final:
			end = e.Delivery.State
			stop()
		case e.Outcome != nil && e.Outcome.Final:
			end = e.Outcome.State
			stop()
		}
		return nil
	})
	switch {
	case failed != nil:
		return "", failed
	case end != "":
		return end, nil
	case err != nil:
		return "", err
	}
	return "", context.Cause(ctx)
}
