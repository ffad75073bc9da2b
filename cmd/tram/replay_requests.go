package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/replay"
	"github.com/tramhq/tram/pkg/events"
)

func replayRequestsCommand() *cobra.Command {
	var f replayRequestsFlags
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "Publish requests again that have ended",
		Long: `Publish requests again that have ended, at a rate of their own: messages are sent
again, and reports fetched again. Each gets a new id, and the old one as its
ancestor: events about it have ancestor_id. Its time to expire is kept if it is
ahead, and lifted if it has passed.

It says how many messages to how many recipients that is, and asks, unless --yes
is given. Nothing happens without --resend; --dry-run only says it. What would be
refused again is left alone. Requests that ended as unknown are not chosen: see
tram dead resolve.

A job that was interrupted goes on with --job and its name, whenever that is, and
publishes nothing twice.`,
		Example: `  tram replay requests --from 3h --to 2h --account caresoft/hotline --state accepted --dry-run
  tram replay requests --resend --from 3h --to 2h --account caresoft/hotline --state accepted --rate 20
  tram replay requests --resend --job k3v9qwza`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.broker.register(cmd)
	f.windowFlags.register(cmd)
	fs := cmd.Flags()
	fs.StringSliceVar(&f.states, "state", nil, "requests that ended so: accepted, done, failed, rejected, expired, cancelled")
	fs.StringVar(&f.of, "class", "", "requests of this class: urgent, normal or bulk (default all)")
	fs.StringVar(&f.class, "new-class", string(events.Bulk), "class of the new requests")
	fs.Float64Var(&f.rate, "rate", 50, "of the new requests, per second")
	fs.DurationVar(&f.expiresIn, "expires-in", 0, "the new requests expire after this, such as 2h (default as they would have, or never if that has passed)")
	fs.StringVar(&f.job, "job", "", "name of the job; that of an unfinished one goes on with it (default a new one)")
	fs.BoolVar(&f.resend, "resend", false, "do it: providers are called again")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only say what would be published, to how many")
	fs.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
	cmd.MarkFlagsMutuallyExclusive("resend", "dry-run")
	cmd.MarkFlagsOneRequired("resend", "dry-run")
	return cmd
}

type replayRequestsFlags struct {
	windowFlags
	broker              brokerFlag
	states              []string
	of, class           string
	rate                float64
	expiresIn           time.Duration
	job                 string
	resend, dryRun, yes bool
	printJSON           bool
}

func (f *replayRequestsFlags) run(cmd *cobra.Command) error {
	if f.job != "" && !events.ValidName(f.job) {
		return usage("the name %q must be 1 to 64 of the characters a-z, A-Z, 0-9, - and _", f.job)
	}
	if !(f.rate > 0 && f.rate <= 10_000) {
		return usage("--rate must be above 0 and at most 10000")
	}
	if f.resend && !f.yes && !isTerminal(cmd.InOrStdin()) {
		return usage("there is no terminal to ask on: --yes sends requests again without asking")
	}
	c, jobs, err := openReplays(cmd, &f.broker)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, resender := cmd.Context(), replay.NewResender(c.js)
	if f.job != "" && f.resend {
		j, err := jobs.Get(ctx, f.job)
		if !errors.Is(err, replay.ErrNoJob) {
			if err == nil {
				err = goesOn(cmd, j, "state", "class", "new-class", "expires-in")
			}
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("rate") {
				j.Rate = f.rate
			}
			return carryOut(cmd, jobs, j, resender, f.printJSON, resendCommand)
		}
	}
	j, err := f.chosen(cmd, c)
	if err != nil {
		return err
	}
	plan, err := jobs.Plan(ctx, j, resender)
	if err != nil {
		return err
	}
	if err := f.tellPlan(cmd, plan); err != nil || f.dryRun {
		return err
	}
	if plan.Requests == 0 {
		return errors.New("no request is to be sent again")
	}
	if !f.yes {
		fmt.Fprint(cmd.ErrOrStderr(), "send them again? [y/N] ")
		answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
			return errors.New("nothing was sent again")
		}
	}
	if err := jobs.New(ctx, j); err != nil {
		return err
	}
	return carryOut(cmd, jobs, j, resender, f.printJSON, resendCommand)
}

const resendCommand = "tram replay requests --resend --yes"

// chosen is the job that the flags ask for.
func (f *replayRequestsFlags) chosen(cmd *cobra.Command, c *client) (*replay.Job, error) {
	how := replay.Resend{Of: events.Class(f.of), Class: events.Class(f.class), ExpiresIn: f.expiresIn}
	for _, name := range f.states {
		state := events.State(name)
		if !slices.Contains(replay.ResendStates, state) {
			return nil, usage("the state %q must be accepted, done, failed, rejected, expired or cancelled", name)
		}
		how.States = append(how.States, state)
	}
	switch {
	case len(how.States) == 0:
		return nil, usage("say how the requests have ended that are to be sent again, such as --state failed,expired")
	case how.Of != "" && !how.Of.Valid(), !how.Class.Valid():
		return nil, usage("--class and --new-class must be urgent, normal or bulk")
	case f.expiresIn < 0 || cmd.Flags().Changed("expires-in") && f.expiresIn < time.Second:
		return nil, usage("--expires-in must be a second or more: what has expired would end as expired again")
	}
	s, err := f.choose(cmd.Context(), c)
	if err != nil {
		return nil, err
	}
	return &replay.Job{
		Name: cmp.Or(f.job, strings.ToLower(events.NewID()[:8])), Selection: s, Target: broker.Requests, Rate: f.rate, Resend: &how,
	}, nil
}

// tellPlan says what is about to happen.
func (f *replayRequestsFlags) tellPlan(cmd *cobra.Command, p *replay.Plan) error {
	out := cmd.ErrOrStderr()
	if f.dryRun {
		out = cmd.OutOrStdout()
	}
	if f.dryRun && f.printJSON {
		return printLine(out, p)
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(p.Kinds)) {
		kinds = append(kinds, count(p.Kinds[k], string(k)))
	}
	fmt.Fprintf(out, "%s to send again: %s to %s, for %s\n", count(p.Requests, "request"),
		cmp.Or(strings.Join(kinds, ", "), "nothing"), count(p.Recipients, "recipient"), count(p.Accounts, "account"))
	if p.Lifted > 0 && f.expiresIn == 0 {
		fmt.Fprintf(out, "%d of them had expired by now: they will not expire again, unless --expires-in says when\n", p.Lifted)
	}
	for _, why := range slices.Sorted(maps.Keys(p.Refused)) {
		fmt.Fprintf(out, "%s left alone: %s\n", count(p.Refused[why], "request"), why)
	}
	return nil
}
