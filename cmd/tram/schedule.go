package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

func scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Ask for reports again and again: every so often, or at times of the day",
		Long: `Keep schedules: report requests that the dispatchers publish again and again,
every so often or at times of the day, with a range that moves along, such as
yesterday. docs/schedules.md says more.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do: %s", strings.Join(subcommands(cmd), ", "))
		},
	}
	cmd.AddCommand(scheduleAddCommand(), scheduleListCommand(), scheduleShowCommand(),
		scheduleActionCommand("paused", &cobra.Command{
			Use:   "pause name...",
			Short: "Let schedules not run until they are resumed",
			Long: `Let schedules not run until they are resumed. When the command returns, no run
begins any more; one that has begun goes on.`,
			Example: `  tram schedule pause daily-insights`,
		}),
		scheduleActionCommand("resumed", &cobra.Command{
			Use:     "resume name...",
			Short:   "Let schedules run again, from now on",
			Long:    `Let schedules run again. What they have missed since they were paused is not made up for.`,
			Example: `  tram schedule resume daily-insights`,
		}),
		scheduleActionCommand("removed", &cobra.Command{
			Use:     "remove name...",
			Short:   "Remove schedules",
			Long:    `Remove schedules. A run that has begun goes on.`,
			Example: `  tram schedule remove daily-insights`,
		}),
		scheduleRunCommand())
	return cmd
}

// scheduleFlags are those that all commands about schedules have.
type scheduleFlags struct {
	broker    brokerFlag
	printJSON bool
}

func (f *scheduleFlags) register(cmd *cobra.Command) {
	f.broker.register(cmd)
	cmd.Flags().BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
}

// find returns the schedule of that name, which there must be.
func find(ctx context.Context, store *schedule.Store, name string) (*schedule.Entry, error) {
	if !events.ValidName(name) {
		return nil, usage("%q is not the name of a schedule", name)
	}
	e, err := store.Get(ctx, name)
	if err == nil && e.Gone() {
		err = fmt.Errorf("schedule %s: %w", name, schedule.ErrNone)
	}
	return e, err
}

// readable returns what e says, or why nobody can tell.
func readable(e *schedule.Entry) (*schedule.Schedule, error) {
	if e.Fault != nil {
		return nil, fmt.Errorf("schedule %s: %w: remove it, or put another one in its place by tram schedule add --replace", e.Name, e.Fault)
	}
	return e.Schedule, nil
}

// scheduleActionCommand returns the command that does what did says to all
// schedules that are named.
func scheduleActionCommand(did string, cmd *cobra.Command) *cobra.Command {
	var f scheduleFlags
	f.register(cmd)
	cmd.Args = cobra.MinimumNArgs(1)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		c, err := f.broker.dial(cmd)
		if err != nil {
			return err
		}
		defer c.close()
		store := schedule.NewStore(c.js)
		var errs []error
		for _, name := range names {
			err := act(cmd.Context(), store, name, did)
			switch {
			case err != nil:
				errs = append(errs, err)
			case f.printJSON:
				errs = append(errs, printLine(cmd.OutOrStdout(), map[string]string{"name": name, "did": did}))
			default:
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", did, name)
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	return cmd
}

func act(ctx context.Context, store *schedule.Store, name, did string) error {
	e, err := find(ctx, store, name)
	if err != nil {
		return err
	}
	if did == "removed" {
		return store.Remove(ctx, e)
	}
	s, err := readable(e)
	if paused := did == "paused"; err == nil && s.Paused != paused {
		s.Paused, s.By = paused, whoami()
		err = store.Write(ctx, e, s)
	}
	return err
}

func scheduleRunCommand() *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "run name",
		Short: "Publish the request of a schedule now, once",
		Long: `Publish the request of a schedule as it would be if it were due now: also if it
is paused or its last run has not ended. Its own times stay as they are.`,
		Example: `  tram schedule run daily-insights --wait`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.broker.dial(cmd)
			if err != nil {
				return err
			}
			r, err := c.scheduledNow(cmd.Context(), args[0])
			c.close()
			if err != nil {
				return err
			}
			return f.publish(cmd, r)
		},
	}
	f.broker.register(cmd)
	f.registerWait(cmd)
	return cmd
}

// scheduledNow makes the request of a schedule as if it were due now.
func (c *client) scheduledNow(ctx context.Context, name string) (*events.Request, error) {
	e, err := find(ctx, schedule.NewStore(c.js), name)
	if err != nil {
		return nil, err
	}
	s, err := readable(e)
	if err != nil {
		return nil, err
	}
	contract, err := events.NewDirectory(c.js).Contract(ctx, s.Provider, s.Account)
	if err != nil {
		return nil, err
	}
	return s.Request(name, time.Now().Truncate(time.Millisecond), contract.Zone)
}
