package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/sandbox"
)

func sandboxCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the sandbox that stands in for the chat platforms, and nothing else",
		Long: `Run the sandbox that stands in for the chat platforms until interrupted. An
account of a dispatcher calls it when its base_url is the address that the line
"ready" tells, and the name of the provider after it. It is for invented
recipients only: it shows what it was sent to whoever asks.`,
		Example: `  tram sandbox --listen 127.0.0.1:8380`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveSandbox(cmd.Context(), listen, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8380", "host:port; port 0 takes a free one")
	return cmd
}

func serveSandbox(ctx context.Context, listen string, stdout io.Writer) (err error) {
	box := sandbox.New(sandbox.Options{})
	url, err := box.Start(listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	if _, err := fmt.Fprintln(stdout, "ready sandbox="+url); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
