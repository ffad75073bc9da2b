package main

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func replayEventsCommand() *cobra.Command {
	var f replayEventsFlags
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Make events again from stored results",
		Long: `Make events again from stored results, with the parsers of this program and the
accounts' settings of --config (not their secrets). No provider is called.

The events go into a stream made for the job, TRAM_REPLAY_<job>, under subjects
tram.replay.<job>.>, or with --live to those who read the live ones: with the ids
of the first time, and marked by the header ce-replay. With --diff nothing is
published: it says which events would differ from those that are stored.

A job that was interrupted goes on with --job and its name, whenever that is, and
publishes nothing twice. tram replay list shows jobs, tram replay clean removes
them and their streams.`,
		Example: `  tram replay events --config tram.yaml --from 168h --kind stat --diff
  tram replay events --config tram.yaml --from 168h --kind stat --live --job fix-stats
  tram replay events --config tram.yaml --account momo/shop --from-seq 1000 --to-seq 2000
  tram replay events --config tram.yaml --job fix-stats`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.broker.register(cmd)
	f.windowFlags.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.config, "config", "", "configuration file with the accounts whose answers are read again")
	fs.StringSliceVar(&f.kinds, "kind", nil, "events of these kinds: delivery, stat, record, outcome (default all)")
	fs.BoolVar(&f.live, "live", false, "publish to the live subjects")
	fs.BoolVar(&f.diff, "diff", false, "publish nothing, and tell what differs from what is stored")
	fs.IntVar(&f.show, "show", 10, "with --diff: tell so many differences in full")
	fs.StringVar(&f.job, "job", "", "name of the job; that of an unfinished one goes on with it (default a new one)")
	fs.DurationVar(&f.keep, "keep", 24*time.Hour, "how long the job's own stream keeps what is in it")
	fs.Float64Var(&f.rate, "rate", 0, "publish so many events per second at most (default as fast as it goes)")
	fs.BoolVar(&f.unconfigured, "unconfigured", false, "read answers of accounts that are not in the configuration, too, without their settings")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
	cmd.MarkFlagsMutuallyExclusive("live", "diff")
	cmd.MarkFlagsMutuallyExclusive("live", "keep")
	for _, publishing := range []string{"job", "rate", "keep", "unconfigured"} {
		cmd.MarkFlagsMutuallyExclusive("diff", publishing)
	}
	return cmd
}

type replayEventsFlags struct {
	windowFlags
	broker       brokerFlag
	config       string
	kinds        []string
	live, diff   bool
	show         int
	job          string
	keep         time.Duration
	rate         float64
	unconfigured bool
	printJSON    bool
}

func (f *replayEventsFlags) run(cmd *cobra.Command) error {
	var kinds []events.Kind
	for _, k := range f.kinds {
		if !slices.Contains(collector.Kinds, events.Kind(k)) {
			return usage("the kind %q must be delivery, stat, record or outcome", k)
		}
		kinds = append(kinds, events.Kind(k))
	}
	switch {
	case f.job != "" && !events.ValidName(f.job):
		return usage("the name %q must be 1 to 64 of the characters a-z, A-Z, 0-9, - and _", f.job)
	case f.rate < 0 || f.keep < time.Minute || f.show < 0:
		return usage("--rate and --show must not be below 0, and --keep must be a minute or more")
	}
	maker, err := f.maker()
	if err != nil {
		return err
	}
	c, jobs, err := openReplays(cmd, &f.broker)
	if err != nil {
		return err
	}
	defer c.close()
	if f.job != "" {
		j, err := jobs.Get(cmd.Context(), f.job)
		if !errors.Is(err, replay.ErrNoJob) {
			if err == nil {
				err = f.goOn(cmd, j)
			}
			if err != nil {
				return err
			}
			return carryOut(cmd, jobs, j, maker, f.printJSON, "tram replay events")
		}
	}
	s, err := f.choose(cmd.Context(), c)
	if err != nil {
		return err
	}
	s.Kinds = kinds
	if f.diff {
		return f.compare(cmd, &replay.Diff{JS: c.js, Maker: maker, Choose: s, Show: f.show})
	}
	j := &replay.Job{
		Name: cmp.Or(f.job, strings.ToLower(events.NewID()[:8])), Selection: s, Rate: f.rate,
		Keep: f.keep, Unconfigured: f.unconfigured,
	}
	if f.live {
		j.Keep, j.Target = 0, broker.Events
	}
	if err := jobs.New(cmd.Context(), j); err != nil {
		return err
	}
	return carryOut(cmd, jobs, j, maker, f.printJSON, "tram replay events")
}

// maker knows the accounts of the configuration.
func (f *replayEventsFlags) maker() (*replay.Maker, error) {
	c, err := config.LoadAccounts(f.config, os.Environ(), wiring.Providers())
	if err != nil {
		return nil, err
	}
	var accounts []*channels.Account
	for i := range c.Accounts {
		accounts = append(accounts, c.Accounts[i].Channel())
	}
	return replay.NewMaker(wiring.Providers(), accounts), nil
}

// goOn reports whether the flags allow to go on with j.
func (f *replayEventsFlags) goOn(cmd *cobra.Command, j *replay.Job) error {
	if err := goesOn(cmd, j, "kind", "live", "keep"); err != nil {
		return err
	}
	if cmd.Flags().Changed("rate") {
		j.Rate = f.rate
	}
	j.Unconfigured = j.Unconfigured || f.unconfigured
	return nil
}
