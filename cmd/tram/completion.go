package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

// A completer returns what a flag or an argument may be. args are the arguments
// before it.
type completer func(cmd *cobra.Command, args []string) []string

// complete teaches the commands below root what their flags and arguments may be,
// by their names, so that a shell can offer it.
func complete(root *cobra.Command) {
	flags := map[string]completer{
		"account": accountNames, "provider": providerNames, "reason": reasonNames, "job": jobNames, "context": contexts,
		"as":    fixed("dispatcher", "collector", "operator", "setup"),
		"class": fixed("urgent", "normal", "bulk"), "group": texts(ledger.DeadGroups),
		"kind": texts(events.EventKinds), "state": texts(replay.ResendStates), "report": reportNames,
	}
	for _, c := range withThoseBelow(root) {
		for name, values := range flags {
			if c.Flags().Lookup(name) == nil || name == "reason" && c.Parent().Name() == "lane" { // whose reason is anything
				continue
			}
			_ = c.RegisterFlagCompletionFunc(name, values.answer) // fails only for flags that are not there
		}
		if values := arguments(c); values != nil {
			c.ValidArgsFunction = values.answer
		}
	}
}

// arguments returns what completes the arguments of c, by how its use calls them.
func arguments(c *cobra.Command) completer {
	use := strings.Fields(c.Use)
	switch {
	case strings.HasPrefix(c.CommandPath(), "tram schedule ") && slices.ContainsFunc(use[1:], func(w string) bool { return strings.HasPrefix(w, "name") }) && c.Name() != "add":
		return scheduleNames
	case c.CommandPath() == "tram replay clean":
		return jobNames
	case c.CommandPath() == "tram export":
		return first(fixed(broker.Names()...))
	case len(use) > 1 && use[len(use)-1] == "report":
		return then(accountNames, reportNames)
	case len(use) > 1 && use[len(use)-1] == "command":
		return then(accountNames, commandNames)
	case c.Name() == "cancel" || c.Name() == "send":
		return first(accountNames)
	case strings.Contains(c.Use, "provider/account"):
		return accountNames
	}
	return nil
}

// answer is what cobra asks for. Files complete nothing that has a completer.
func (values completer) answer(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return values(cmd, args), cobra.ShellCompDirectiveNoFileComp
}

func fixed(values ...string) completer {
	return func(*cobra.Command, []string) []string { return values }
}

func texts[S ~string](values []S) completer {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return fixed(all...)
}

// first completes the first argument only.
func first(values completer) completer { return then(values, fixed()) }

// then completes the first argument by one and the second by another.
func then(one, two completer) completer {
	return func(cmd *cobra.Command, args []string) []string {
		switch len(args) {
		case 0:
			return one(cmd, args)
		case 1:
			return two(cmd, args)
		}
		return nil
	}
}

// completionWait bounds what a person at a prompt waits for.
var completionWait = time.Second

// offered returns what look finds at the broker that the command line names, or
// nothing: a shell has no place for an error.
func offered(cmd *cobra.Command, look func(ctx context.Context, c *client) ([]string, error)) []string {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionWait)
	defer cancel()
	b := brokerFlag{connect: completionWait}
	b.server, _ = cmd.Flags().GetString("server")
	b.context, _ = cmd.Flags().GetString("context")
	cmd.SetContext(ctx)
	c, err := b.dial(cmd)
	if err != nil {
		return nil
	}
	defer c.close()
	found, err := look(ctx, c)
	if err != nil {
		return nil
	}
	return found
}

func accountNames(cmd *cobra.Command, _ []string) []string {
	return offered(cmd, func(ctx context.Context, c *client) ([]string, error) { return events.NewDirectory(c.js).Accounts(ctx) })
}

func providerNames(cmd *cobra.Command, _ []string) []string {
	var all []string
	for _, account := range accountNames(cmd, nil) {
		provider, _, _ := strings.Cut(account, "/")
		all = append(all, provider)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// contract returns what the account among args, or of --account, can be asked for.
func contract(cmd *cobra.Command, args []string, names func(events.Contract) []string) []string {
	account, _ := cmd.Flags().GetString("account")
	if account == "" && len(args) > 0 {
		account = args[0]
	}
	provider, name, _ := strings.Cut(account, "/")
	return offered(cmd, func(ctx context.Context, c *client) ([]string, error) {
		all, err := events.NewDirectory(c.js).Contract(ctx, provider, name)
		return names(all), err
	})
}

func reportNames(cmd *cobra.Command, args []string) []string {
	return contract(cmd, args, func(c events.Contract) (all []string) {
		for _, r := range c.Reports {
			all = append(all, r.Name)
		}
		return all
	})
}

func commandNames(cmd *cobra.Command, args []string) []string {
	return contract(cmd, args, func(c events.Contract) (all []string) {
		for _, r := range c.Commands {
			all = append(all, r.Name)
		}
		return all
	})
}

func scheduleNames(cmd *cobra.Command, _ []string) []string {
	return offered(cmd, func(ctx context.Context, c *client) ([]string, error) {
		book, err := schedule.NewStore(c.js).Book(ctx)
		if err != nil {
			return nil, err
		}
		var all []string
		for _, e := range book.All() {
			all = append(all, e.Name)
		}
		return all, nil
	})
}

func jobNames(cmd *cobra.Command, _ []string) []string {
	return offered(cmd, func(ctx context.Context, c *client) (all []string, err error) {
		jobs, err := replay.Open(ctx, c.js)
		if err != nil {
			return nil, err
		}
		found, err := jobs.All(ctx)
		for _, j := range found {
			all = append(all, j.Name)
		}
		return all, err
	})
}

func reasonNames(*cobra.Command, []string) []string { return deadletter.Reasons() }

func contexts(*cobra.Command, []string) []string { return contextNames(environment(os.Environ())) }
