package wiring

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/heap"
	"github.com/tramhq/tram/internal/ops"
	"github.com/tramhq/tram/internal/perm"
	"github.com/tramhq/tram/internal/telemetry"
)

// Exit codes of all commands.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2 // wrong flags or arguments
	ExitRefused     = 3 // the configuration or the request is invalid
	ExitUnreachable = 4 // the broker cannot be reached, has no streams, or does not permit what must be done
	ExitNotAccepted = 5 // carried out, but the end was not the one that was asked for
)

// A Process is what a part of the relay runs in.
type Process struct {
	Config *config.Config
	Load   Loader
	JS     jetstream.JetStream
	Log    *slog.Logger
	Ops    *ops.Ops
	Tracer *telemetry.Tracer // nil: no spans
}

// A Run is the work of a process, until ctx is done.
type Run func(ctx context.Context, p Process) error

// SpareHeap is how far the heap of a process grows before garbage is collected,
// in bytes.
const SpareHeap = 16 << 20

// Main is the main function of a process called name that does nothing but
// run, on a broker that is there already. It does not return.
func Main(name string, run Run) {
	heap.Spare(SpareHeap, 50)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(start(ctx, name, os.Args[1:], os.Environ(), os.Stdout, os.Stderr, run))
}

// start is Main with everything passed in. It returns the exit code.
func start(ctx context.Context, name string, args, environ []string, stdout, stderr io.Writer, run Run) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "configuration `file`; without it the environment is all")
	version := flags.Bool("version", false, "print the version and exit")
	ready := flags.Bool("ready", false, "ask the process that runs here with this configuration whether it is ready, and exit: 0 if it is")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return ExitOK
	case err != nil:
		return ExitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "%s takes no arguments, only flags\n", name)
		return ExitUsage
	case *version:
		fmt.Fprintln(stdout, name, Version())
		return ExitOK
	}
	// Only who calls providers is to have what that takes.
	source := config.Source{Path: *file, Environ: environ, Providers: Providers(), WithoutSecrets: name == "collector" || *ready}
	c, err := source.Load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return ExitRefused
	}
	if *ready {
		if err := askReady(ctx, c.Ops.Listen, stdout); err != nil {
			fmt.Fprintln(stderr, err)
			return ExitFailure
		}
		return ExitOK
	}
	return serve(ctx, name, c, source.Load, Logger(stderr, c.Log), run)
}

// patience is how long a broker may stay away before that is worth a word.
const patience = 5 * time.Second

func serve(ctx context.Context, name string, c *config.Config, load Loader, log *slog.Logger, run Run) int {
	defer profile()()
	o, err := ops.Start(c.Ops.Listen, Version(), log)
	if err != nil {
		log.Error("not started", "error", err)
		return ExitFailure
	}
	defer o.Close()
	defer context.AfterFunc(ctx, o.Stopping)()
	tracer, err := Tracer(ctx, "tram-"+name, c.Telemetry.Traces, o, log)
	if err != nil {
		log.Error("not started", "error", err)
		return ExitFailure
	}
	defer tracer.Close()
	o.Need("broker", func(context.Context) error { return errNotConnected })
	waiting := time.AfterFunc(patience, func() { log.Warn("broker cannot be reached yet, still trying", "servers", c.NATS.URL) })
	nc, js, err := Connect(ctx, "tram-"+name, c.NATS, log)
	waiting.Stop()
	if err != nil {
		log.Error("not started", "error", err)
		return ExitUnreachable
	}
	defer nc.Close()
	if err := permitted(ctx, nc, name, log); err != nil {
		log.Error("not started", "error", err)
		return ExitUnreachable
	}
	if err := broker.Verify(ctx, js, Streams(c.Streams)); err != nil {
		log.Error("not started", "error", err)
		return ExitUnreachable
	}
	o.Need("broker", Reachable(js, o.Metrics))
	log.Info("started", "process", name, "version", Version(), "server", nc.ConnectedServerName(), "accounts", len(c.Accounts))
	defer context.AfterFunc(ctx, func() { log.Info("stopping", "cause", context.Cause(ctx)) })()
	if err := run(ctx, Process{Config: c, Load: load, JS: js, Log: log, Ops: o, Tracer: tracer}); err != nil {
		log.Error("stopped", "error", err)
		return ExitFailure
	}
	log.Info("stopped")
	return ExitOK
}

// permitted returns an error that names what a process called name must be able
// to do and its user may not. A refusal would show as a timeout otherwise, of
// whatever comes to be done first.
func permitted(ctx context.Context, nc *nats.Conn, name string, log *slog.Logger) error {
	role, ok := perm.Find(name)
	if !ok {
		return nil
	}
	err := perm.Check(ctx, nc, role)
	if _, missing := errors.AsType[*perm.MissingError](err); err != nil && !missing {
		log.Warn("permissions not checked", "error", err)
		return nil
	}
	return err
}

// Version returns the version of the running program: its tag, or the commit
// it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}

// Commit returns the commit that the running program was built from, "" if it
// was not built in a clone.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
