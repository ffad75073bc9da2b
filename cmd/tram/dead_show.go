package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/internal/deadletter"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/mask"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func deadShowCommand() *cobra.Command {
	var f deadFlags
	var reveal bool
	cmd := &cobra.Command{
		Use:   "show number…",
		Short: "Show all of a dead letter: request, reason, every attempt, what to do",
		Long: `Show all of a dead letter: the request, why it died and what that means, every
attempt, and what can be done now. Who a message was for and what it says are
hidden unless --reveal is given.`,
		Example: `  tram dead show 17
  tram dead show 17 --reveal --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := f.filter(args)
			if err != nil {
				return err
			}
			c, box, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer c.close()
			for i, id := range chosen.IDs {
				l, err := box.Get(cmd.Context(), id)
				if err != nil {
					return err
				}
				shown := shownLetter{l, reveal}
				if f.printJSON {
					err = printLine(cmd.OutOrStdout(), shown.json())
				} else {
					if i > 0 {
						fmt.Fprintln(cmd.OutOrStdout())
					}
					err = shown.print(cmd.OutOrStdout())
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.broker.register(cmd)
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show recipients, texts and the provider's whole answer: personal data")
	cmd.Flags().BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
	return cmd
}

// A shownLetter is a letter for a person, who may or may not see who it is
// about.
type shownLetter struct {
	*deadletter.Letter
	reveal bool
}

func (s shownLetter) words(text string) string { return mask.Words(s.Event, text, s.reveal) }

func (s shownLetter) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "dead letter %d: %s, %s\n", s.ID, s.Group, s.Why.Reason)
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	died := time.UnixMilli(s.AtMS)
	line("died", "%s, %s ago", died.Local().Format(time.DateTime), age(died))
	if s.Event != nil {
		line("request", "%q of %q: %s for %s/%s, class %s", s.RequestID(), s.Event.Source, what(s.Letter), s.Provider, s.Account, s.Event.Class)
		if s.Event.AncestorID != "" {
			line("redriven from", "%q", s.Event.AncestorID)
		}
	}
	line("published", "%s, number %d", time.UnixMilli(s.Request.TimeMS).Local().Format(time.DateTime), s.Seq)
	if s.State != "" {
		line("ended as", "%s after %s", s.State, count(s.Attempt, "attempt"))
	}
	if s.Why.Detail != "" {
		line("detail", "%s", s.words(s.Why.Detail))
	}
	if s.Why.ProviderText+s.Why.ProviderCode != "" {
		line("provider says", "%q%s", s.words(s.Why.ProviderText), detail("code", s.Why.ProviderCode))
	}
	e, known := deadletter.Explain(s.Why.Reason)
	if known {
		line("what happened", "%s", e.What)
		if s.Group == ledger.DeadUnknown {
			e.Do = "find out whether it was carried out, and resolve it; about the cause: " + e.Do
		}
		line("what to do", "%s", e.Do)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	s.body(&b)
	s.attempts(&b)
	if a := s.Answer; a != nil {
		fmt.Fprintf(&b, "answer: %s\n", answer(a))
		if s.reveal && len(a.Body) > 0 {
			fmt.Fprintf(&b, "  %q\n", a.Body)
		}
	}
	if s.Stack != "" {
		fmt.Fprintf(&b, "panic in:\n  %s\n", strings.ReplaceAll(strings.TrimSpace(s.Stack), "\n", "\n  "))
	}
	b.WriteString("what can be done now:\n")
	for _, next := range s.next() {
		fmt.Fprintf(t, "  %s\n", next)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// body prints what was asked for.
func (s shownLetter) body(b *strings.Builder) {
	text := mask.Request(s.Event, s.reveal)
	if text == nil || string(text) == "null" {
		fmt.Fprintf(b, "asked for: unreadable, %d bytes\n", len(s.Request.Data))
		return
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, text, "  ", "  ") != nil {
		return
	}
	fmt.Fprintf(b, "asked for:\n  %s\n", pretty.String())
}

// attempts prints the calls, and where some are left out.
func (s shownLetter) attempts(b *strings.Builder) {
	if len(s.Attempts) == 0 {
		b.WriteString("calls: none\n")
		return
	}
	b.WriteString("calls:\n")
	t := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	before := 0
	for i, a := range s.Attempts {
		switch gap := a.Call - before - 1; {
		case gap > 0 && i == 0 && s.Missing != "":
			fmt.Fprintf(t, "  1 to %d are not here: %s\n", gap, s.Missing)
		case gap > 0:
			fmt.Fprintf(t, "  … %d left out\n", gap)
		}
		before = a.Call
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\t%s\n", a.Call, time.UnixMilli(a.AtMS).Local().Format("2006-01-02 15:04:05.000"),
			(time.Duration(a.TookUS) * time.Microsecond).Round(100*time.Microsecond), status(a), became(a), s.words(said(a)))
	}
	t.Flush()
}

func status(a ledger.Attempt) string {
	if a.Why.HTTPStatus == 0 {
		return "no status"
	}
	return fmt.Sprintf("HTTP %d", a.Why.HTTPStatus)
}

// answer is what came back, without its body.
func answer(a *channels.Answer) string {
	text := "none"
	if a.Status != 0 {
		text = fmt.Sprintf("HTTP %d, %d bytes", a.Status, len(a.Body))
	}
	if a.Failure != "" {
		text += ", " + string(a.Failure)
	}
	return text
}

// became is what the relay made of an attempt.
func became(a ledger.Attempt) string {
	end := string(a.State)
	if end == "" {
		end = fmt.Sprintf("page %d done", a.Step)
	}
	return strings.TrimSpace(end + " " + a.Why.Reason)
}

// said is the provider's words, or ours if it said nothing.
func said(a ledger.Attempt) string {
	if a.Why.ProviderText != "" {
		return fmt.Sprintf("%q", a.Why.ProviderText)
	}
	return a.Why.Detail
}

// next is what can be done about the letter.
func (s shownLetter) next() []string {
	drop := fmt.Sprintf("tram dead drop %d\tforget it", s.ID)
	switch {
	case s.Group == ledger.DeadUnknown:
		return []string{
			fmt.Sprintf("tram dead resolve --sent %d\tit was carried out: the request ends as accepted", s.ID),
			fmt.Sprintf("tram dead resolve --not-sent %d\tit was not: the request ends as failed", s.ID),
			fmt.Sprintf("tram dead resolve --resend %d\tdo it again, perhaps for the second time", s.ID), drop,
		}
	case s.Fault != nil:
		return []string{"correct the producer and publish the event anew", drop}
	case s.Group == ledger.DeadAnswer && s.Event.Report == nil:
		return []string{drop}
	}
	return []string{fmt.Sprintf("tram dead redrive %d\tpublish it anew", s.ID), drop}
}

// json is the letter for a program.
func (s shownLetter) json() any {
	e, _ := deadletter.Explain(s.Why.Reason)
	why := s.Why
	why.Detail, why.ProviderText = s.words(why.Detail), s.words(why.ProviderText)
	type attempt struct {
		Call   int    `json:"call"`
		Step   int    `json:"step"`
		AtMS   int64  `json:"at_ms"`
		TookUS int64  `json:"took_us"`
		State  string `json:"state,omitempty"`
		events.Why
	}
	attempts := []attempt{}
	for _, a := range s.Attempts {
		a.Why.Detail, a.Why.ProviderText = s.words(a.Why.Detail), s.words(a.Why.ProviderText)
		attempts = append(attempts, attempt{a.Call, a.Step, a.AtMS, a.TookUS, string(a.State), a.Why})
	}
	answer := ""
	if s.reveal && s.Answer != nil {
		answer = string(s.Answer.Body)
	}
	return struct {
		listed
		Why       events.Why      `json:"why"`
		Explained string          `json:"what_happened,omitempty"`
		Do        string          `json:"what_to_do,omitempty"`
		Body      json.RawMessage `json:"request,omitempty"`
		Calls     []attempt       `json:"calls"`
		Missing   string          `json:"missing,omitempty"`
		Answer    string          `json:"answer,omitempty"`
		Stack     string          `json:"stack,omitempty"`
	}{list(s.Letter), why, e.What, e.Do, mask.Request(s.Event, s.reveal), attempts, s.Missing, answer, s.Stack}
}
