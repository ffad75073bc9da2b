package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/export"
	"github.com/tramhq/tram/internal/mask"
	"github.com/tramhq/tram/pkg/events"
)

func exportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export stream",
		Short: "Write a part of a stream as JSON lines, personal data masked",
		Long: `Write a part of a stream to standard output as JSON lines: TRAM_REQUESTS,
TRAM_RESULTS, TRAM_EVENTS, TRAM_DEAD or any other. Each line has the message as
it is stored (body, in base64) and decoded (data).

Recipients, texts, names and whatever else may be about a person is masked: other
letters and digits, as many as there were. The same text has the same mask
throughout one export, and in all that are given the same --key-file, so rows can
be joined. --reveal masks nothing.`,
		Example: `  tram export TRAM_EVENTS --from 2h > events.jsonl
  tram export TRAM_RESULTS --subject 'tram.result.*.momo.shop' --from 24h --to 23h | jq .data.answer.body
  tram export TRAM_REQUESTS --key-file mask.key > requests.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.from, "from", "", "messages stored since so long ago, such as 24h, or since a time")
	fs.StringVar(&f.to, "to", "", "messages stored before so long ago, or before a time")
	fs.Uint64Var(&f.fromSeq, "from-seq", 0, "messages from this sequence on")
	fs.Uint64Var(&f.toSeq, "to-seq", 0, "messages up to this sequence")
	fs.StringSliceVar(&f.subjects, "subject", nil, "messages whose subjects match, such as 'tram.stat.>'")
	fs.StringVar(&f.keyFile, "key-file", "", "file with a secret of 16 bytes or more that masks are made with (default one that is forgotten)")
	fs.BoolVar(&f.reveal, "reveal", false, "mask nothing")
	cmd.MarkFlagsMutuallyExclusive("reveal", "key-file")
	return cmd
}

type exportFlags struct {
	broker         brokerFlag
	from, to       string
	fromSeq, toSeq uint64
	subjects       []string
	keyFile        string
	reveal         bool
}

func (f *exportFlags) run(cmd *cobra.Command, stream string) error {
	masker, err := f.masker(cmd)
	if err != nil {
		return err
	}
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	w, err := f.window(cmd, c, stream)
	if err != nil {
		return err
	}
	rows := 0
	bar := newProgress(cmd.ErrOrStderr(), int(w.To-min(w.From, w.To)), isTerminal(cmd.OutOrStdout()))
	err = export.Write(cmd.Context(), c.js, stream, w, masker, cmd.OutOrStdout(), func(seq uint64) {
		rows++
		bar.at(int(seq - w.From))
	})
	bar.end()
	if err != nil {
		return fmt.Errorf("after %s: %w", count(rows, "row"), err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s\n", count(rows, "row"), stream)
	return nil
}

// masker is nil if nothing is to be masked.
func (f *exportFlags) masker(cmd *cobra.Command) (*mask.Masker, error) {
	switch {
	case f.reveal:
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: what follows has personal data in it: who messages went to, and what they say")
		return nil, nil
	case f.keyFile == "":
		return mask.New(nil), nil
	}
	key, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if key = bytes.TrimRight(key, "\r\n"); len(key) < 16 {
		return nil, usage("the key in %s is shorter than 16 bytes: `head -c 24 /dev/urandom | base64` makes one", f.keyFile)
	}
	return mask.New(key), nil
}

// window looks times up in the stream.
func (f *exportFlags) window(cmd *cobra.Command, c *client, stream string) (w broker.Window, err error) {
	since, err := past("from", f.from)
	if err != nil {
		return w, err
	}
	until, err := past("to", f.to)
	if err != nil {
		return w, err
	}
	ctx, read := cmd.Context(), broker.NewReader(c.js)
	s, err := c.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return w, fmt.Errorf("there is no stream %s: %w", stream, events.ErrNotSetUp)
	}
	if err != nil {
		return w, fmt.Errorf("read stream %s: %w", stream, err)
	}
	state := s.CachedInfo().State
	w = broker.Window{Subjects: f.subjects, From: max(f.fromSeq, state.FirstSeq, 1), To: state.LastSeq}
	if f.toSeq > 0 {
		w.To = min(w.To, f.toSeq)
	}
	if !since.IsZero() {
		from, err := read.SeqAt(ctx, stream, since)
		if err != nil {
			return w, err
		}
		w.From = max(w.From, from)
	}
	if !until.IsZero() {
		next, err := read.SeqAt(ctx, stream, until)
		if err != nil {
			return w, err
		}
		w.To = min(w.To, next-1)
	}
	if w.To < w.From {
		return w, fmt.Errorf("%s has no messages in that window", stream)
	}
	return w, nil
}

func importCommand() *cobra.Command {
	var b brokerFlag
	var anyway bool
	var printJSON bool
	cmd := &cobra.Command{
		Use:   "import file",
		Short: "Read an export back into a broker for tests",
		Long: `Read an export back into a broker for tests, - for standard input. Messages get
new sequences and times; what a result says about sequences of other streams does
not hold any more.

The broker must have the streams (tram setup) and nothing in them, and no
dispatcher: it would carry imported requests out, and masked phone numbers may
belong to somebody. --anyway does it all the same.`,
		Example: `  tram setup -s nats://127.0.0.1:4333
  tram import -s nats://127.0.0.1:4333 events.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("read export: %w", err)
				}
				defer file.Close()
				in = file
			}
			c, err := b.dial(cmd)
			if err != nil {
				return err
			}
			defer c.close()
			began := time.Now()
			done, err := (&export.Reading{JS: c.js, Anyway: anyway}).Read(cmd.Context(), in)
			if err != nil {
				return fmt.Errorf("after %s: %w", count(done.Stored+done.Duplicate, "row"), err)
			}
			if printJSON {
				return printLine(cmd.OutOrStdout(), map[string]int{"imported": done.Stored, "were_there": done.Duplicate})
			}
			told := count(done.Stored, "row") + " imported"
			if done.Duplicate > 0 {
				told = fmt.Sprintf("%s, %d were there already", told, done.Duplicate)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s in %v\n", told, time.Since(began).Round(time.Millisecond))
			return err
		},
	}
	b.register(cmd)
	cmd.Flags().BoolVar(&anyway, "anyway", false, "import into streams that are not empty, and beside dispatchers")
	cmd.Flags().BoolVar(&printJSON, "json", false, "print JSON")
	return cmd
}
