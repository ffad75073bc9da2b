// Command tram is the operator's tool: it runs the whole relay in one process,
// sets up a broker for it, publishes requests and follows events.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/heap"
	"github.com/tramhq/tram/pkg/events"
)

// exits are the exit codes, which are the same for ever, and when there is which.
var exits = [...]string{
	wiring.ExitOK:          "done",
	wiring.ExitFailure:     "failure",
	wiring.ExitUsage:       "wrong flags or arguments",
	wiring.ExitRefused:     "the configuration or the request is invalid",
	wiring.ExitUnreachable: "the broker is away, has no streams (tram setup), or does not permit it",
	wiring.ExitNotAccepted: "the request was carried out, but did not end as accepted or done",
}

// long is what tram says about itself.
func long() string {
	var b strings.Builder
	b.WriteString(`tram relays requests to chat platforms: services publish sends and report
requests to a NATS broker, tram calls the platforms within the limits of each
account, and publishes what became of every request.

Data goes to standard output, everything else to standard error. Exit codes:
`)
	for code, when := range exits {
		fmt.Fprintf(&b, "  %d  %s\n", code, when)
	}
	b.WriteString(`
The broker is found as by the nats command. First hold flags, then the variables
NATS_URL, NATS_CREDS, NATS_NKEY, NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CA,
NATS_CERT, NATS_KEY and NATS_TIMEOUT, then the context that --context or
NATS_CONTEXT names, then the file of --config, where a command has it, and without
one the context that "nats context select" has chosen.`)
	return b.String()
}

func main() {
	heap.Spare(wiring.SpareHeap, 100) // a broker may be in it, which has more to collect around
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tram",
		Short:         "A relay between services and chat platforms",
		Long:          long(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(upCommand(), sandboxCommand(), setupCommand(), sendCommand(), reportCommand(), commandCommand(), cancelCommand(), tailCommand(),
		statusCommand(), traceCommand(), doctorCommand(), laneCommand(), scheduleCommand(), deadCommand(), replayCommand(), exportCommand(), importCommand(), configCommand(), manCommand(), versionCommand())
	complete(root)
	return root
}

// run is main with everything passed in. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	started := false
	root := rootCommand()
	noteStart(root, &started)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if cause := context.Cause(cmd.Context()); errors.Is(cause, errRefused) {
		err = cause
	}
	if err == nil {
		return wiring.ExitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	if !started {
		fmt.Fprintf(stderr, "Run '%s --help' for how to use it.\n", cmd.CommandPath())
		return wiring.ExitUsage
	}
	return exitCode(err)
}

// noteStart sets started when any of the commands below cmd begins its work:
// what fails before that has failed in reading the command line.
func noteStart(cmd *cobra.Command, started *bool) {
	for _, c := range cmd.Commands() {
		noteStart(c, started)
		if work := c.RunE; work != nil {
			c.RunE = func(cmd *cobra.Command, args []string) error {
				*started = true
				return work(cmd, args)
			}
		}
	}
}

// errUnreachable says that there is no broker to talk to.
var errUnreachable = errors.New("the broker cannot be reached")

// An endError says that a request ended otherwise than it was meant to.
type endError struct{ state events.State }

func (e *endError) Error() string { return fmt.Sprintf("the request ended as %s", e.state) }

func exitCode(err error) int {
	_, badConfig := errors.AsType[*config.Error](err)
	_, badRequest := errors.AsType[*events.InvalidError](err)
	_, badEnd := errors.AsType[*endError](err)
	_, late := errors.AsType[*lateError](err)
	sick, isSick := errors.AsType[*sickError](err)
	_, badUsage := errors.AsType[*usageError](err)
	switch {
	case badUsage:
		return wiring.ExitUsage
	case isSick:
		return sick.code
	case badConfig, badRequest:
		return wiring.ExitRefused
	case errors.Is(err, errUnreachable), errors.Is(err, errRefused), errors.Is(err, events.ErrNotSetUp):
		return wiring.ExitUnreachable
	case badEnd, late:
		return wiring.ExitNotAccepted
	}
	return wiring.ExitFailure
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: `  tram version --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return printLine(cmd.OutOrStdout(), struct {
					Version string `json:"version"`
					Commit  string `json:"commit,omitempty"`
					Go      string `json:"go"`
				}{wiring.Version(), wiring.Commit(), runtime.Version()})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "tram", wiring.Version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func configCommand() *cobra.Command {
	var file string
	var printJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration and print it with its defaults, without secrets",
		Example: `  tram config --config tram.yaml
  TRAM_DISPATCHER_LEASE=5s tram config`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(file, os.Environ(), wiring.Providers())
			if err != nil {
				return err
			}
			if !printJSON {
				return c.Dump(cmd.OutOrStdout())
			}
			var text bytes.Buffer
			var tree any
			if err := c.Dump(&text); err != nil {
				return err
			}
			if err := yaml.Unmarshal(text.Bytes(), &tree); err != nil {
				return fmt.Errorf("print configuration: %w", err)
			}
			return printLine(cmd.OutOrStdout(), tree)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file; without it the environment is all")
	cmd.Flags().BoolVar(&printJSON, "json", false, "print JSON")
	return cmd
}
