package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is all outcomes as Markdown, with the plots if they are drawn.
func report(outcomes []*outcome, conditions string, plots bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n### Goals\n\n%s", conditions, goalsTable(judge(outcomes)))
	for _, o := range outcomes {
		fmt.Fprintf(&b, "\n### %s\n\n", o.title)
		if plots {
			fmt.Fprintf(&b, "![%s](performance/%s.svg)\n\n", o.title, o.name)
		}
		b.WriteString(o.table())
	}
	return b.String()
}

// Between these lines of a document stands what the bench writes.
const (
	beginMark = "<!-- bench:begin -->"
	endMark   = "<!-- bench:end -->"
)

// write puts the report into the document at path, and draws the plots beside
// it.
func write(path string, outcomes []*outcome, conditions string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(document), beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %s and %s between which to write", path, beginMark, endMark)
	}
	plots := filepath.Join(filepath.Dir(path), "performance")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	for _, o := range outcomes {
		if err := os.WriteFile(filepath.Join(plots, o.name+".svg"), []byte(o.plot()), 0o644); err != nil {
			return err
		}
	}
	text := before + beginMark + "\n" + report(outcomes, conditions, true) + endMark + after
	return os.WriteFile(path, []byte(text), 0o644)
}

// conditions says when and where it was measured.
func conditions(repetitions int, scale float64) string {
	text := fmt.Sprintf("%s, %s. Repetitions: %d.", time.Now().UTC().Format(time.DateOnly), machine(), repetitions)
	if scale != 1 {
		text += fmt.Sprintf(" Sends: %g of the usual number.", scale)
	}
	return text
}
