package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/replay"
)

// carryOut runs a job, and tells how it goes. The command goes on with it after
// an interruption.
func carryOut(cmd *cobra.Command, jobs *replay.Jobs, j *replay.Job, work replay.Work, printJSON bool, command string) error {
	out := cmd.OutOrStdout()
	command += " --job " + j.Name
	fmt.Fprintf(cmd.ErrOrStderr(), "replay %s of results %d to %d into %s; should it be interrupted: %s\n", j.Name, j.Done+1, j.To, j.Target, command)
	t := &replayTold{out: out, json: printJSON, bar: newProgress(out, int(j.To-j.Done), printJSON), job: j, from: j.Done, told: time.Now(), began: time.Now()}
	err := jobs.Run(cmd.Context(), j, work, t.tell)
	t.bar.end()
	if err != nil {
		return fmt.Errorf("after result %d: %w: go on with %s", j.Done, err, command)
	}
	if printJSON {
		return t.line()
	}
	thing := "event"
	if j.Resend != nil {
		thing = "request"
	}
	_, err = fmt.Fprintf(out, "%s published to %s: %s\n", count(j.Published, thing), j.Target, seen(j.Seen))
	return err
}

// A replayTold tells how a replay goes: a line that changes on a terminal, or
// JSON once a second.
type replayTold struct {
	out         io.Writer
	json        bool
	bar         *progress
	job         *replay.Job
	from        uint64
	began, told time.Time
}

func (t *replayTold) tell(j *replay.Job) {
	t.bar.at(int(j.Done - t.from))
	if t.json && time.Since(t.told) >= time.Second {
		t.told = time.Now()
		_ = t.line() // the replay goes on without a reader
	}
}

func (t *replayTold) line() error {
	j, took := t.job, max(time.Since(t.began).Seconds(), 0.001)
	perSecond := float64(j.Done-t.from) / took
	return printLine(t.out, struct {
		*replay.Job
		PerSecond float64 `json:"results_per_second"`
		Left      float64 `json:"seconds_left"`
	}{j, perSecond, float64(j.To-j.Done) / max(perSecond, 0.001)})
}

// seen says what was among the results.
func seen(s replay.Seen) string {
	parts := []string{count(s.Results, "result") + " read"}
	for _, other := range []struct {
		n     int
		words string
	}{
		{s.Unreadable, "that are none"},
		{s.Untold, "that could not be told in full"},
		{s.Refused, "that would be refused again"},
		{s.Unconfigured, "of accounts that are not configured"},
	} {
		if other.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", other.n, other.words))
		}
	}
	return strings.Join(parts, ", ")
}

// compare prints what differs. It fails if anything does.
func (f *replayEventsFlags) compare(cmd *cobra.Command, d *replay.Diff) error {
	out := cmd.OutOrStdout()
	var bar *progress
	was := uint64(0)
	d.Tell = func(done, of uint64) {
		if bar == nil || done < was { // results, then events
			bar = newProgress(out, int(of), f.printJSON)
		}
		was = done
		bar.at(int(done))
	}
	c, err := d.Run(cmd.Context())
	if bar != nil {
		bar.end()
	}
	if err != nil {
		return err
	}
	if f.printJSON {
		err = printDiffJSON(out, c)
	} else {
		err = printDiff(out, c)
	}
	if err == nil && !c.Empty() {
		err = fmt.Errorf("%s not as stored", verb(c.Made-c.Same-c.Aged+stale(c), "event"))
	}
	return err
}

func stale(c *replay.Comparison) (n int) {
	for _, of := range c.Differences[replay.Stale] {
		n += of
	}
	return n
}

// verb is "1 event is", "2 events are".
func verb(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " is"
	}
	return count(n, thing) + " are"
}

func printDiffJSON(out io.Writer, c *replay.Comparison) error {
	for i := range c.First {
		if err := printLine(out, &c.First[i]); err != nil {
			return err
		}
	}
	return printLine(out, c)
}

var differences = []struct{ what, words string }{
	{replay.Changed, "would change"},
	{replay.Missing, "not stored"},
	{replay.Stale, "stored, and not made any more"},
}

func printDiff(out io.Writer, c *replay.Comparison) error {
	var b strings.Builder
	for i := range c.First {
		d := &c.First[i]
		fmt.Fprintf(&b, "%s %s %s", d.What, d.Subject, d.ID)
		if d.Result != 0 {
			fmt.Fprintf(&b, " result %d", d.Result)
		}
		if d.Event != 0 {
			fmt.Fprintf(&b, " event %d", d.Event)
		}
		b.WriteByte('\n')
		for _, v := range d.Fields {
			switch {
			case d.What == replay.Changed:
				fmt.Fprintf(&b, "  %s: stored %s, made %s\n", v.Name, orNothing(v.Stored), orNothing(v.Made))
			default:
				fmt.Fprintf(&b, "  %s: %s\n", v.Name, v.Stored+v.Made)
			}
		}
	}
	fmt.Fprintf(&b, "%s; %s made, %d as stored", seen(c.Seen), count(c.Made, "event"), c.Same)
	if c.Aged > 0 {
		fmt.Fprintf(&b, ", %d that were stored have grown too old", c.Aged)
	}
	b.WriteByte('\n')
	for _, each := range differences {
		of := c.Differences[each.what]
		for _, k := range slices.Sorted(maps.Keys(of)) {
			fmt.Fprintf(&b, "%-8s %-9s %d\t%s\n", each.what, k, of[k], each.words)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
