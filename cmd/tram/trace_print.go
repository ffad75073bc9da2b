package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tramhq/tram/internal/history"
	"github.com/tramhq/tram/pkg/events"
)

// A traced is a history for people or programs.
type traced struct {
	*history.History
	Lane *laneStatus `json:"lane,omitempty"` // of a request that has not ended: how its account stands
}

func (t *traced) print(p *printer) error {
	if !p.json {
		return t.table(p)
	}
	err := p.line(struct {
		What string `json:"what"`
		*traced
	}{"request", t})
	for _, e := range t.Entries {
		if err == nil {
			err = p.line(struct {
				RequestID string `json:"request_id"`
				history.Entry
			}{t.ID, e})
		}
	}
	return err
}

func (t *traced) table(p *printer) error {
	var b bytes.Buffer
	name := t.Name
	if name != "" {
		name = " " + name
	}
	fmt.Fprintf(&b, "%s%s %q of %q for %s/%s", t.Kind, name, t.ID, t.Source, t.Provider, t.Account)
	if t.Class != "" {
		fmt.Fprintf(&b, ", class %s", t.Class)
	}
	fmt.Fprintf(&b, "\n%s%s\n", p.tint(t.Standing, t.State == events.StateAccepted || t.State == events.StateDone, t.State == ""), t.took())
	if t.Lane != nil {
		fmt.Fprintf(&b, "its account is %s, with %s waiting%s\n", t.Lane.State, count(t.Lane.Waiting, "request"), note(t.Lane.because()))
	}
	if t.AncestorID != "" {
		fmt.Fprintf(&b, "made of %q: tram trace %s\n", t.AncestorID, t.AncestorID)
	}
	if t.Schedule != "" {
		fmt.Fprintf(&b, "made by the schedule %s\n", t.Schedule)
	}
	if t.Body != nil {
		b.WriteString("asked for:\n  ")
		if json.Indent(&b, t.Body, "  ", "  ") == nil {
			b.WriteString("\n")
		}
	}
	t.entries(&b)
	_, err := b.WriteTo(p.w)
	return err
}

// began is when the request was published, in unix milliseconds: what it was made
// of happened before.
func (t *traced) began() int64 {
	for _, e := range t.Entries {
		if e.What == history.Published {
			return e.AtMS
		}
	}
	return t.Entries[0].AtMS // there is one, or nothing would have been found
}

// took is how long it took until the last result.
func (t *traced) took() string {
	if t.State == "" {
		return ""
	}
	var end int64
	for _, e := range t.Entries {
		if e.What == history.Result {
			end = e.AtMS
		}
	}
	if end == 0 {
		return ""
	}
	return ", after " + since(end-t.began())
}

func (t *traced) entries(w io.Writer) {
	var table bytes.Buffer
	rows := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	day, began := "", t.began()
	for _, e := range t.Entries {
		at := time.UnixMilli(e.AtMS).Local()
		if d := at.Format(time.DateOnly); d != day {
			day = d
			rows.Flush()
			fmt.Fprintln(&table, day)
		}
		after := ""
		switch {
		case e.AtMS > began:
			after = "+" + since(e.AtMS-began)
		case e.AtMS < began:
			after = "-" + since(began-e.AtMS)
		}
		fmt.Fprintf(rows, "  %s\t%s\t%s\t%s\t%s\n", at.Format("15:04:05.000"), after, strings.ReplaceAll(string(e.What), "_", " "), place(e), says(e))
	}
	rows.Flush()
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n")) // what says nothing leaves no blanks
	}
}

// place is where an entry stands.
func place(e history.Entry) string {
	if e.Seq == 0 {
		return e.Stream
	}
	if e.To > e.Seq {
		return fmt.Sprintf("%s %d to %d", e.Stream, e.Seq, e.To)
	}
	return fmt.Sprintf("%s %d", e.Stream, e.Seq)
}

// says is an entry in words.
func says(e history.Entry) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if e.Call > 0 {
		add("call %d", e.Call)
	}
	switch e.What {
	case history.Published, history.CameBack:
		if trace := e.Headers[events.HeaderTraceparent]; trace != "" {
			add("traceparent %s", trace)
		}
	case history.Intent:
		add("by %s", e.Owner)
	case history.Decided:
		add("%s", e.Note)
		e.Note = ""
	case history.Called:
		if e.HTTPStatus != 0 {
			add("HTTP %d", e.HTTPStatus)
		}
		if e.Failure != "" {
			add("%s", e.Failure)
		}
		add("in %v", (time.Duration(e.TookUS) * time.Microsecond).Round(100*time.Microsecond))
	case history.Told:
		if e.Count > 1 {
			add("%d of %s", e.Count, e.Subject)
		} else {
			add("%s", e.Subject)
		}
	case history.Result:
		if e.Attempt > 1 {
			add("attempt %d", e.Attempt)
		}
		fallthrough
	default:
		if e.State != "" {
			add("%s", e.State)
		}
	}
	if e.RetryAtMS != 0 {
		add("until %s", time.UnixMilli(e.RetryAtMS).Local().Format(time.DateTime))
	}
	if e.Evidence != "" {
		add("evidence %s", e.Evidence)
	}
	if e.MessageID != "" {
		add("message %s", e.MessageID)
	}
	if text := strings.TrimSpace(e.Class + " " + e.Reason); text != "" {
		add("%s", text)
	}
	if e.Detail != "" {
		add("%s", e.Detail)
	}
	if e.ProviderText+e.ProviderCode != "" {
		add("the provider says %q%s", e.ProviderText, detail("code", e.ProviderCode))
	}
	if e.RequestID != "" {
		add("request %s", e.RequestID)
	}
	if len(e.Warnings) > 0 {
		add("warning: %s", strings.Join(e.Warnings, "; "))
	}
	if e.Note != "" {
		add("%s", e.Note)
	}
	return strings.Join(parts, ", ")
}
