package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/pkg/events"
)

func cancelCommand() *cobra.Command {
	var f cancelFlags
	cmd := &cobra.Command{
		Use:   "cancel provider/account id...",
		Short: "Take requests back that have not been called",
		Long: `Take requests of an account back, named by the ids that they were published
with. It works until the call starts: in a backlog, long before their time, and
while the account is paused or throttled.

Prints a receipt for each once the broker has stored it; with --wait also which of
the two happened: the request is cancelled, or it is too late, and why. The exit
code is then 0 only if all are cancelled.`,
		Example: `  tram cancel caresoft/hotline order-17 order-18 --wait
  tram cancel ahachat/fanpage - --source /acme/shop --wait --json < ids.txt`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1:]) },
	}
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.source, "source", cliSource, "who has published the requests: their ce-source")
	fs.BoolVar(&f.wait, "wait", false, "wait until it is known what happened")
	fs.DurationVar(&f.waitFor, "timeout", time.Minute, "how long to wait")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
	return cmd
}

// cliSource is the ce-source of the requests of this command.
const cliSource = "/tram/cli"

type cancelFlags struct {
	broker    brokerFlag
	source    string
	wait      bool
	waitFor   time.Duration
	printJSON bool
}

func (f *cancelFlags) run(cmd *cobra.Command, address string, args []string) error {
	base, err := (&requestFlags{class: string(events.Urgent), source: cliSource}).request(events.KindCancel, address)
	if err != nil {
		return err
	}
	ids, err := idsOf(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	from, err := c.next(ctx)
	if err != nil {
		return err
	}
	p := newPrinter(cmd.OutOrStdout(), f.printJSON)
	open, err := f.publish(ctx, c, base, ids, p)
	if err != nil || !f.wait {
		return err
	}
	return f.follow(ctx, c, base, open, from, p)
}

// idsOf returns the ids among args, each once; "-" stands for the lines of in.
func idsOf(in io.Reader, args []string) (ids []string, err error) {
	for _, arg := range args {
		if arg != "-" {
			ids = append(ids, arg)
			continue
		}
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if id := strings.TrimSpace(lines.Text()); id != "" {
				ids = append(ids, id)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read ids: %w", err)
		}
	}
	if len(ids) == 0 {
		return nil, usage("there is no id to cancel")
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// publish publishes a cancel for each id and returns, by the ids of the cancels,
// what they are about.
func (f *cancelFlags) publish(ctx context.Context, c *client, base *events.Request, ids []string, p *printer) (map[string]string, error) {
	pub := events.NewPublisher(c.js, events.PublisherConfig{Directory: events.NewDirectory(c.js)})
	var mu sync.Mutex
	open := make(map[string]string, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for _, id := range ids {
		g.Go(func() error {
			r := *base
			r.Cancel = &events.Cancel{ID: id, Source: f.source}
			receipt, err := pub.Publish(ctx, &r)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			open[receipt.ID] = id
			return p.cancel(id, receipt)
		})
	}
	return open, g.Wait()
}

func (p *printer) cancel(id string, receipt events.Receipt) error {
	if p.json {
		return p.line(struct {
			Cancels string `json:"cancels"`
			ID      string `json:"id"`
			Stream  string `json:"stream"`
			Seq     uint64 `json:"seq"`
		}{id, receipt.ID, receipt.Stream, receipt.Seq})
	}
	_, err := fmt.Fprintf(p.w, "cancel of %s stored as %s, number %d\n", id, receipt.ID, receipt.Seq)
	return err
}

// follow prints what became of the cancels in open.
func (f *cancelFlags) follow(ctx context.Context, c *client, base *events.Request, open map[string]string, from uint64, p *printer) error {
	ctx, cancel := context.WithTimeout(ctx, f.waitFor)
	defer cancel()
	all, missed := len(open), 0
	var failed error
	err := events.Subscribe(ctx, c.js, events.SubscribeConfig{
		Kinds: []events.Kind{events.KindOutcome}, Provider: base.Provider, Account: base.Account, FromSeq: from,
	}, func(_ context.Context, e *events.Event) error {
		o := e.Outcome
		id, ours := open[o.RequestID]
		if !ours || o.RequestSource != base.Source || !o.Final {
			return nil
		}
		if delete(open, o.RequestID); o.State != events.StateDone {
			missed++
		}
		if failed = p.cancelled(id, e); failed != nil || len(open) == 0 {
			cancel()
		}
		return nil
	})
	switch {
	case failed != nil:
		return failed
	case len(open) > 0 && ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("of %d cancels %d had no answer within %v; they go on", all, len(open), f.waitFor)
	case len(open) > 0:
		return err
	case missed > 0:
		return &lateError{missed, all}
	}
	return nil
}

func (p *printer) cancelled(id string, e *events.Event) (err error) {
	switch o := e.Outcome; {
	case p.json:
		err = p.event(e)
	case o.State == events.StateDone:
		_, err = fmt.Fprintf(p.w, "cancelled %s\n", id)
	default:
		_, err = fmt.Fprintf(p.w, "%s %s: %s\n", strings.ReplaceAll(o.Reason, "_", " "), id, o.Detail)
	}
	return err
}

// A lateError says that not all requests could be taken back.
type lateError struct{ missed, all int }

func (e *lateError) Error() string {
	return fmt.Sprintf("%d of %d requests are not cancelled", e.missed, e.all)
}
