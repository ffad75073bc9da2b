package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/pkg/events"
)

func tailCommand() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow events, one line each",
		Long: `Follow events, one line each, until interrupted: deliveries, stats, records,
outcomes and changes of lanes, from now on or from --from. Reading them takes
nothing away from other services. Lines for people leave out who a message went to; --json has it.`,
		Example: `  tram tail
  tram tail --kind delivery,outcome --account caresoft/hotline
  tram tail --from 1h --json | jq 'select(.data.state == "failed")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringSliceVar(&f.kinds, "kind", nil, "delivery, stat, record, outcome, lane (default all)")
	fs.StringVar(&f.account, "account", "", "provider, or provider/account (default all)")
	fs.StringVar(&f.from, "from", "", "begin with events of so long ago, such as 10m, of a time, or all (default with the next one)")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
	return cmd
}

type tailFlags struct {
	broker    brokerFlag
	kinds     []string
	account   string
	from      string
	printJSON bool
}

func (f *tailFlags) run(cmd *cobra.Command) error {
	sub, err := f.subscription()
	if err != nil {
		return err
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	if f.from == "" {
		if sub.FromSeq, err = c.next(cmd.Context()); err != nil {
			return err
		}
	}
	p := newPrinter(cmd.OutOrStdout(), f.printJSON)
	ctx, stop := context.WithCancelCause(cmd.Context())
	defer stop(nil)
	err = events.Subscribe(ctx, c.js, sub, func(_ context.Context, e *events.Event) error {
		if err := p.event(e); err != nil {
			stop(fmt.Errorf("print event: %w", err)) // nobody reads any more
		}
		return nil
	})
	if err == nil && cmd.Context().Err() == nil {
		err = context.Cause(ctx)
	}
	return err
}

func (f *tailFlags) subscription() (events.SubscribeConfig, error) {
	var sub events.SubscribeConfig
	for _, k := range f.kinds {
		kind := events.Kind(k)
		if !slices.Contains(events.EventKinds, kind) {
			return sub, usage("the kind %q must be delivery, stat, record, outcome or lane", k)
		}
		sub.Kinds = append(sub.Kinds, kind)
	}
	var err error
	if sub.Provider, sub.Account, err = providerOrAccount(f.account); err != nil || f.from == "all" {
		return sub, err
	}
	if sub.FromTime, err = past("from", f.from); err != nil {
		err = usage("%v, or all", err)
	}
	return sub, err
}
