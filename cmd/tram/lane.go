package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func laneCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lane",
		Short: "Pause and resume accounts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do: %s", strings.Join(subcommands(cmd), ", "))
		},
	}
	cmd.AddCommand(laneActionCommand(true, &cobra.Command{
		Use:   "pause provider/account...",
		Short: "Let no call of accounts start until they are resumed",
		Long: `Let no call of the named accounts start, whichever dispatcher has them, until
they are resumed: also after restarts and take-overs. Calls under way end as they
would. Requests are taken and wait; those whose time runs out end as expired.

It waits until the dispatchers have confirmed it. Who did it, when and why stands
in tram status and in the events of the kind "lane".`,
		Example: `  tram lane pause caresoft/hotline --reason "their maintenance until 6"
  tram lane pause --provider momo`,
	}), laneActionCommand(false, &cobra.Command{
		Use:   "resume provider/account...",
		Short: "Let the calls of accounts start again",
		Long: `Let the calls of the named accounts start again. It ends a pause, closes the
circuit breaker, and lets an account whose credential was refused try once more.
It does not shorten the time for which a provider has told that it wants no call.`,
		Example: `  tram lane resume caresoft/hotline
  tram lane resume --all`,
	}))
	return cmd
}

type laneFlags struct {
	broker    brokerFlag
	pause     bool
	all       bool
	providers []string
	by        string
	reason    string
	printJSON bool
}

func laneActionCommand(pause bool, cmd *cobra.Command) *cobra.Command {
	f := &laneFlags{pause: pause}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.all, "all", false, "all accounts")
	fs.StringSliceVar(&f.providers, "provider", nil, "all accounts of a provider")
	fs.StringVar(&f.by, "by", "", "who does it, for others to see (default the user of this machine)")
	if pause {
		fs.StringVar(&f.reason, "reason", "", "why, for others to see")
	}
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
	return cmd
}

func (f *laneFlags) run(cmd *cobra.Command, names []string) error {
	if len(names)+len(f.providers) == 0 && !f.all {
		return usage("which accounts? Give provider/account, --provider or --all")
	}
	if len(f.reason) > maxReason || len(f.by) > maxReason {
		return usage("--reason and --by take at most %d bytes", maxReason)
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	kv, err := c.js.KeyValue(ctx, broker.ControlBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return events.ErrNotSetUp
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", broker.ControlBucket, err)
	}
	accounts, err := f.accounts(ctx, c, kv, names)
	if err != nil {
		return err
	}
	data, err := ledger.EncodeControl(ledger.Control{Paused: f.pause, By: cmp.Or(f.by, whoami()), Reason: f.reason})
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if _, err := kv.Put(ctx, strings.Replace(a, "/", ".", 1), data); err != nil {
			return fmt.Errorf("tell about %s: %w", a, err)
		}
	}
	return f.confirm(cmd, c, accounts)
}

const maxReason = 500

// accounts returns those that are meant. One that is not configured is refused,
// with the name that was meant; but one that is paused can always be resumed.
func (f *laneFlags) accounts(ctx context.Context, c *client, kv jetstream.KeyValue, names []string) ([]string, error) {
	known, err := events.NewDirectory(c.js).Accounts(ctx)
	if err != nil {
		return nil, err
	}
	if !f.pause {
		told, err := kv.ListKeys(ctx)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", broker.ControlBucket, err)
		}
		for key := range told.Keys() {
			known = append(known, strings.Replace(key, ".", "/", 1))
		}
		slices.Sort(known)
		known = slices.Compact(known)
	}
	all := slices.Clone(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, unknownAccount(name, known)
		}
	}
	for _, p := range f.providers {
		before := len(all)
		for _, name := range known {
			if strings.HasPrefix(name, p+"/") {
				all = append(all, name)
			}
		}
		if len(all) == before {
			return nil, unknownAccount(p+"/", known)
		}
	}
	if f.all {
		all = append(all, known...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func unknownAccount(name string, known []string) error {
	provider, account, _ := strings.Cut(name, "/")
	dotted := make([]string, len(known))
	for i, k := range known {
		dotted[i] = strings.Replace(k, "/", ".", 1)
	}
	err := events.UnknownAccount("", provider, account, dotted)
	if meant := config.Closest(name, known); meant != "" {
		return fmt.Errorf("%w: did you mean %s?", err, meant)
	}
	return err
}

// confirmWait is how long dispatchers have to say that they have heard.
const confirmWait = 3 * time.Second

// confirm waits until the dispatchers of all accounts have heard, and says so
// for each. What nobody confirms holds all the same as soon as anybody can hear.
func (f *laneFlags) confirm(cmd *cobra.Command, c *client, accounts []string) error {
	did := "resumed"
	if f.pause {
		did = "paused"
	}
	open := accounts
	for begun := time.Now(); ; {
		s, err := c.ask(cmd.Context(), ledger.StatusRequest{Accounts: accounts})
		if err != nil {
			return err
		}
		open = f.unheard(s, accounts)
		if len(open) == 0 || len(s.Dispatchers) == 0 || time.Since(begun) > confirmWait {
			break
		}
		select {
		case <-cmd.Context().Done():
			return context.Cause(cmd.Context())
		case <-time.After(50 * time.Millisecond):
		}
	}
	for _, a := range accounts {
		var err error
		switch confirmed := !slices.Contains(open, a); {
		case f.printJSON:
			err = printLine(cmd.OutOrStdout(), struct {
				Account   string `json:"account"`
				Did       string `json:"did"`
				Confirmed bool   `json:"confirmed"` // by the dispatcher that has it
			}{a, did, confirmed})
		case confirmed:
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", did, a)
		default:
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s: stored, but no dispatcher has confirmed it yet\n", did, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unheard returns the accounts whose dispatcher has not heard. One that has no
// lane is not called, but only if everybody has answered.
func (f *laneFlags) unheard(s *relayStatus, accounts []string) (open []string) {
	paused := make(map[string]bool)
	for _, l := range s.Lanes {
		paused[l.Provider+"/"+l.Account] = l.State == events.LanePaused
	}
	for _, a := range accounts {
		state, seen := paused[a]
		if state != f.pause || !seen && (f.pause || len(s.Silent) > 0 || s.Unowned > 0) {
			open = append(open, a)
		}
	}
	return open
}

// whoami names the user of this machine, as far as it is known.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
