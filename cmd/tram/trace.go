package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/history"
	"github.com/tramhq/tram/internal/ledger"
)

func traceCommand() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "trace id",
		Short: "Show everything that happened to a request",
		Long: `Show everything that happened to a request, from the streams: when it was
published, planned and brought back, each call with its intent, its answer and what
was made of it, the events, its dead letter and what was decided about that,
cancels, replays, and the requests that it was made of or that were made of it.

The id is the one that it was published with (ce-id; in events request_id), or
seq:17 for what is number 17 of TRAM_REQUESTS. Its newest requests are looked at
first, and the search ends where the id is found; an id that was used again long
before is found with --since, which reads all that was published since then.
--account makes it quicker where there are millions of requests.

Who a message was for and what it says are hidden; --body shows what was asked
for, with these masked, and --reveal masks nothing. Of a request that has not
ended it is shown, too, how its account stands.`,
		Example: `  tram trace order-17
  tram trace order-17 --account caresoft/hotline --source /acme/shop
  tram trace order-17 --since 72h --json | jq 'select(.what == "call")'
  tram trace seq:17 --body`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.source, "source", "", "who has published it: its ce-source (default whoever it was)")
	fs.StringVar(&f.account, "account", "", "provider, or provider/account, that it was for (default all)")
	fs.StringVar(&f.since, "since", "", "look at all requests since so long ago, such as 24h, or since a time")
	fs.BoolVar(&f.body, "body", false, "show what was asked for, too")
	fs.BoolVar(&f.reveal, "reveal", false, "mask nothing, with --body: personal data")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each: the request, and what happened to it")
	return cmd
}

type traceFlags struct {
	broker                 brokerFlag
	source, account, since string
	body, reveal           bool
	printJSON              bool
}

func (f *traceFlags) query(id string) (history.Query, error) {
	provider, account, err := providerOrAccount(f.account)
	if err != nil {
		return history.Query{}, err
	}
	since, err := past("since", f.since)
	return history.Query{ID: id, Source: f.source, Provider: provider, Account: account, Since: since}, err
}

func (f *traceFlags) run(cmd *cobra.Command, id string) error {
	q, err := f.query(id)
	if err != nil {
		return err
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	r, err := history.Open(cmd.Context(), c.js)
	if err != nil {
		return err
	}
	r.Body, r.Reveal = f.body, f.reveal
	bar := newProgress(cmd.ErrOrStderr(), 0, false)
	last := ""
	r.Progress = func(stream string, done, total uint64) {
		if stream != last {
			last, bar.began = stream, time.Now()
		}
		bar.total = int(total)
		bar.at(int(done))
	}
	all, err := r.Find(cmd.Context(), q)
	bar.end()
	if errors.Is(err, history.ErrNotFound) {
		return fmt.Errorf("%w: %q%s; looked at %s", err, id, f.among(), lookedAt(r.Looked()))
	}
	if err != nil {
		return err
	}
	for i, h := range all {
		if i > 0 && !f.printJSON {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		t := traced{History: h}
		if h.State == "" {
			t.Lane = c.laneOf(cmd, h)
		}
		if err := t.print(newPrinter(cmd.OutOrStdout(), f.printJSON)); err != nil {
			return err
		}
	}
	if len(all) > 1 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d requests have this id: --source and --account choose one\n", len(all))
	}
	return nil
}

// among says what the search was narrowed to.
func (f *traceFlags) among() string {
	var all []string
	if f.source != "" {
		all = append(all, "of "+f.source)
	}
	if f.account != "" {
		all = append(all, "for "+f.account)
	}
	if f.since != "" {
		all = append(all, "since "+f.since)
	}
	if all == nil {
		return ""
	}
	return " " + strings.Join(all, " ")
}

func lookedAt(all []history.Looked) string {
	var texts []string
	for _, l := range all {
		text := l.Stream
		if l.Read > 0 {
			text = count(l.Read, "message") + " of " + l.Stream + " since " + l.Since.Local().Format(time.DateTime)
		}
		texts = append(texts, text)
	}
	if texts == nil {
		return "streams that have nothing"
	}
	return strings.Join(texts, ", ")
}

// laneOf returns how the account of a request stands, nil if nobody tells.
func (c *client) laneOf(cmd *cobra.Command, h *history.History) *laneStatus {
	s, err := c.ask(cmd.Context(), ledger.StatusRequest{Accounts: []string{h.Provider + "/" + h.Account}})
	if err == nil {
		err = c.count(cmd.Context(), s)
	}
	if err != nil || len(s.Lanes) == 0 {
		return nil
	}
	return &s.Lanes[0]
}
