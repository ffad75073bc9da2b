package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/doctor"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/perm"
	"github.com/tramhq/tram/pkg/events"
)

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for whatever is wrong, and say what to do about it",
		Long: `Look for whatever is wrong, and say what to do about it: the configuration and the
files that it names, the broker and what its user may do, the streams, their
replicas and the room they have, the collectors and the services that read events,
the clocks, the dispatchers with their partitions and versions, accounts that are
held back, dead letters, and the hosts of the providers (name, address, TLS; no API
is called). Nothing is changed.

By default it looks with an operator's eyes, for whom the accounts' secrets need
not be there. --as dispatcher, in a dispatcher's environment, looks for what that
needs.

Each finding is ok, warn (it works, and somebody should look) or fail. Exit codes:
  0  nothing has failed
  1  something has
  3  the configuration is invalid, whatever else there is
  4  the broker cannot be reached, so that the rest is not known`,
		Example: `  tram doctor --config tram.yaml
  tram doctor --config tram.yaml --as dispatcher --offline
  tram doctor --json | jq 'select(.grade != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.config, "config", "", "configuration file of the dispatchers; without it the environment is all")
	fs.StringVar(&f.as, "as", "operator", "what the user and the environment are to be good for: dispatcher, collector, operator or setup")
	fs.BoolVar(&f.offline, "offline", false, "leave the hosts of the providers alone")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line for each finding")
	return cmd
}

type doctorFlags struct {
	broker             brokerFlag
	config, as         string
	offline, printJSON bool

	p      *printer
	failed map[string]int // findings by check
	err    error          // of printing
}

// A sickError says how many findings are failures.
type sickError struct{ failed, code int }

func (e *sickError) Error() string {
	if e.failed == 1 {
		return "1 check has failed"
	}
	return fmt.Sprintf("%d checks have failed", e.failed)
}

func (f *doctorFlags) run(cmd *cobra.Command) error {
	role, ok := perm.Find(f.as)
	if !ok {
		return usage("--as must be dispatcher, collector, operator or setup")
	}
	f.p, f.failed = newPrinter(cmd.OutOrStdout(), f.printJSON), map[string]int{}
	code := wiring.ExitFailure
	c, valid := f.configuration()
	if !valid {
		code = wiring.ExitRefused
	}
	if c != nil {
		f.tell(doctor.Files(c, os.Environ()))
		if cl, err := f.broker.connectQuietly(cmd, c); err != nil {
			f.tell([]doctor.Finding{{
				Check: doctor.CheckBroker, About: c.NATS.URL, Grade: doctor.Fail, Text: err.Error(),
				Do: "start it, or say where it is: --server, --context, NATS_URL; and who you are: NATS_CREDS, NATS_NKEY",
			}})
			code = max(code, wiring.ExitUnreachable)
		} else {
			f.relay(cmd.Context(), cl, c, role)
			cl.close()
		}
		if !f.offline && len(c.Accounts) > 0 {
			f.tell(doctor.Hosts(cmd.Context(), c))
		}
	}
	failed := 0
	for _, n := range f.failed {
		failed += n
	}
	switch {
	case f.err != nil:
		return f.err
	case failed > 0:
		return &sickError{failed, code}
	}
	return nil
}

// configuration reads it as the role needs it. If its accounts are wrong, c is what
// it says about the broker.
func (f *doctorFlags) configuration() (c *config.Config, valid bool) {
	var err error
	if f.config != "" {
		source := config.Source{Path: f.config, Environ: os.Environ(), Providers: wiring.Providers(), WithoutSecrets: f.as != "dispatcher"}
		c, err = source.Load()
	}
	brokerOnly, brokerErr := f.broker.load(f.config)
	if err == nil {
		err = brokerErr
	}
	switch {
	case c == nil:
		c = brokerOnly
	case brokerErr == nil:
		c.NATS = brokerOnly.NATS // with flags and context
	}
	f.tell(doctor.Config(f.config, c, err))
	return c, err == nil
}

// relay looks at all that can be known through the broker.
func (f *doctorFlags) relay(ctx context.Context, cl *client, c *config.Config, role perm.Role) {
	f.tell(doctor.Broker(ctx, cl.nc))
	f.tell(doctor.Permissions(ctx, cl.nc, role))
	f.tell(doctor.Streams(ctx, cl.js, wiring.Streams(c.Streams), f.config != ""))
	f.tell(doctor.Consumers(ctx, cl.js))
	asked, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := cl.ask(asked, ledger.StatusRequest{})
	if err == nil {
		err = cl.count(asked, s)
	}
	switch {
	case errors.Is(err, events.ErrNotSetUp):
		return // which streams are missing has been said
	case err != nil:
		f.tell([]doctor.Finding{{Check: doctor.CheckOwners, Grade: doctor.Fail, Text: err.Error(), Do: "see what is found of the permissions and the streams"}})
		return
	}
	f.tell(doctor.Clocks(ctx, cl.js, s.ahead))
	f.tell(doctor.Owners(s.Dispatchers, s.Silent, s.Unowned))
	f.tell(doctor.Versions(s.Dispatchers))
	var lanes []ledger.Lane
	for _, l := range s.Lanes {
		lanes = append(lanes, l.Lane)
	}
	f.tell(doctor.Lanes(lanes))
	f.tell(doctor.Dead(s.Dead))
}

// tell prints findings as they are made.
func (f *doctorFlags) tell(all []doctor.Finding) {
	for _, one := range all {
		if one.Grade == doctor.Fail {
			f.failed[one.Check]++
		}
		var err error
		if f.p.json {
			err = f.p.line(one)
		} else {
			err = f.line(one)
		}
		f.err = errors.Join(f.err, err)
	}
}

func (f *doctorFlags) line(one doctor.Finding) error {
	grade := f.p.tint(fmt.Sprintf("%-4s", one.Grade), one.Grade == doctor.OK, one.Grade == doctor.Warn)
	text := one.Text
	if one.About != "" && !strings.Contains(text, one.About) {
		text = one.About + ": " + text
	}
	line := fmt.Sprintf("%s  %-13s  %s\n", grade, one.Check, text)
	if one.Do != "" {
		line += fmt.Sprintf("%21s%s\n", "", one.Do)
	}
	_, err := io.WriteString(f.p.w, line)
	return err
}
