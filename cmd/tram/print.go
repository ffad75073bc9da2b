package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// A printer writes receipts and events, one line each.
type printer struct {
	w      io.Writer
	json   bool
	colour bool
}

func newPrinter(w io.Writer, asJSON bool) *printer {
	return &printer{w: w, json: asJSON, colour: !asJSON && wantsColour(w)}
}

// wantsColour says whether w is a terminal whose user has not turned colour
// off: see no-color.org.
func wantsColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// isTerminal says whether a person sits at the other end of a stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *printer) receipt(r *events.Request, receipt events.Receipt) error {
	if p.json {
		return p.line(struct {
			ID        string `json:"id"`
			Source    string `json:"source"`
			Stream    string `json:"stream"`
			Seq       uint64 `json:"seq"`
			Duplicate bool   `json:"duplicate"`
		}{receipt.ID, r.Source, receipt.Stream, receipt.Seq, receipt.Duplicate})
	}
	note := "stored"
	if receipt.Duplicate {
		note = "was stored before"
	}
	_, err := fmt.Fprintf(p.w, "%s %s as %s, number %d\n", r.Kind, note, receipt.ID, receipt.Seq)
	return err
}

func (p *printer) line(v any) error { return printLine(p.w, v) }

// printLine prints one JSON line.
func printLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (p *printer) event(e *events.Event) error {
	if p.json {
		return p.line(struct {
			Subject string    `json:"subject"`
			ID      string    `json:"id"`
			Source  string    `json:"source"`
			Time    time.Time `json:"time,omitzero"`
			Seq     uint64    `json:"seq"`
			Data    any       `json:"data"`
		}{e.Subject.String(), e.ID, e.Source, e.Time.UTC(), e.Seq, data(e)})
	}
	at := "            "
	if !e.Time.IsZero() {
		at = e.Time.Local().Format("15:04:05.000")
	}
	account := e.Subject.Provider + "/" + e.Subject.Account
	_, err := fmt.Fprintf(p.w, "%s %-8s %-16s %s\n", at, e.Subject.Kind, account, p.text(e))
	return err
}

func data(e *events.Event) any {
	switch {
	case e.Delivery != nil:
		return e.Delivery
	case e.Stat != nil:
		return e.Stat
	case e.Record != nil:
		return e.Record
	case e.Lane != nil:
		return e.Lane
	}
	return e.Outcome
}

// text says in words what an event says, without who it is about.
func (p *printer) text(e *events.Event) string {
	switch {
	case e.Delivery != nil:
		d := e.Delivery
		return p.end(d.State, d.RetryAtMS, d.Why) + detail("evidence", string(d.Evidence)) +
			detail("message", d.ProviderMessageID) + warnings(d.Warnings) + request(d.About)
	case e.Stat != nil:
		s := e.Stat
		value := "null"
		if s.Value != nil {
			value = *s.Value
		}
		return fmt.Sprintf("%s %s=%s %s%s%s", s.Report, s.Metric, value, s.Unit, bucket(s.Bucket), dims(s.Dims))
	case e.Record != nil:
		// The provider's id of an object may be a person's phone number.
		return fmt.Sprintf("%s %s key=%s", e.Record.Report, e.Record.Kind, e.Record.Key)
	case e.Lane != nil:
		return p.lane(e.Lane)
	}
	o := e.Outcome
	told := ""
	if o.Kind == events.KindReport { // a command's own answer may say who it is about
		told = fmt.Sprintf(" answers=%d stats=%d records=%d", o.Pages, o.Stats, o.Records)
	}
	return p.end(o.State, o.RetryAtMS, o.Why) + " " + o.Name + told + warnings(o.Warnings) + request(o.About)
}

// lane says how an account stands, and what is known about why and how long.
func (p *printer) lane(l *events.Lane) string {
	text := p.tint(string(l.State), l.State == events.LaneWorking, l.State == events.LaneSilenced || l.State == events.LaneBreakerProbing)
	if l.UntilMS != 0 {
		text += " until " + time.UnixMilli(l.UntilMS).Local().Format("15:04:05")
	}
	if l.By != "" {
		text += " by " + l.By
	}
	return text + because(l.Why) + " was=" + string(l.Was)
}

func (p *printer) end(s events.State, retryAt int64, why events.Why) string {
	text := p.paint(s)
	if retryAt != 0 {
		text += " until " + time.UnixMilli(retryAt).Local().Format("15:04:05")
	}
	return text + because(why)
}

func because(why events.Why) string {
	switch {
	case why.Reason != "" && why.Detail != "":
		return " (" + why.Reason + ": " + why.Detail + ")"
	case why.Reason+why.Detail != "":
		return " (" + why.Reason + why.Detail + ")"
	}
	return ""
}

// paint returns s, coloured by whether it is good news.
func (p *printer) paint(s events.State) string {
	return p.tint(string(s), s == events.StateAccepted || s == events.StateDone, s == events.StateDeferred)
}

// tint returns text in green if it is good, in yellow if it is no bad news
// either, and else in red.
func (p *printer) tint(text string, good, neither bool) string {
	switch {
	case !p.colour:
		return text
	case good:
		return "\x1b[32m" + text + "\x1b[0m"
	case neither:
		return "\x1b[33m" + text + "\x1b[0m"
	}
	return "\x1b[31m" + text + "\x1b[0m"
}

func detail(name, value string) string {
	if value == "" {
		return ""
	}
	return " " + name + "=" + value
}

func warnings(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return " warning: " + strings.Join(all, "; ")
}

func request(a events.About) string { return "  request " + a.RequestID }

func bucket(b events.Bucket) string {
	if b.StartMS != 0 {
		return " from " + time.UnixMilli(b.StartMS).UTC().Format(time.RFC3339)
	}
	return detail("bucket", b.Label)
}

func dims(all map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(detail(name, all[name]))
	}
	return b.String()
}
