package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/tramhq/tram/cmd/internal/wiring"
	"github.com/tramhq/tram/internal/broker"
)

func setupCommand() *cobra.Command {
	var b brokerFlag
	var file string
	var printJSON bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create the relay's streams on a broker, or bring them up to date",
		Long: `Create the relay's streams on a broker, or bring them up to date with the
section "streams" of the configuration. Running it again changes nothing.`,
		Example: `  tram setup --server nats://broker:4222
  NATS_URL=nats://broker:4222 NATS_CREDS=admin.creds tram setup --config tram.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := b.load(file)
			if err != nil {
				return err
			}
			cl, err := b.dialAs(cmd, c)
			if err != nil {
				return err
			}
			defer cl.close()
			return setup(cmd, cl.js, wiring.Streams(c.Streams), printJSON)
		},
	}
	b.register(cmd)
	cmd.Flags().StringVar(&file, "config", "", "configuration file; without it the environment is all")
	cmd.Flags().BoolVar(&printJSON, "json", false, "print JSON, one line each")
	return cmd
}

var streamNames = broker.Names()

// setup sets the streams up and says for each what became of it.
func setup(cmd *cobra.Command, js jetstream.JetStream, s broker.Streams, printJSON bool) error {
	before, err := streamConfigs(cmd.Context(), js)
	if err != nil {
		return err
	}
	if err := broker.Setup(cmd.Context(), js, s); err != nil {
		return err
	}
	after, err := streamConfigs(cmd.Context(), js)
	if err != nil {
		return err
	}
	for _, name := range streamNames {
		what := "created"
		if old, ok := before[name]; ok {
			what = "updated"
			if reflect.DeepEqual(old, after[name]) {
				what = "unchanged"
			}
		}
		if printJSON {
			err = printLine(cmd.OutOrStdout(), map[string]string{"stream": name, "did": what})
		} else {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%-9s %s\n", what, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func streamConfigs(ctx context.Context, js jetstream.JetStream) (map[string]jetstream.StreamConfig, error) {
	configs := map[string]jetstream.StreamConfig{}
	for _, name := range streamNames {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", name, err)
		}
		configs[name] = s.CachedInfo().Config
	}
	return configs, nil
}
