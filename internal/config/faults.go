package config

import (
	"fmt"
	"slices"
	"strings"
)

// A Fault is one thing that is wrong.
type Fault struct {
	Line    int    // in the file; 0 where none can be named
	Setting string // e.g. accounts[1].limits.burst, or a variable of the environment; "" is the file as a whole
	Text    string
}

func (f Fault) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Setting != "" {
		b.WriteString(f.Setting + " ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Error is everything that is wrong with a configuration.
type Error struct {
	File   string // "" where there is none
	Faults []Fault
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("configuration")
	if e.File != "" {
		b.WriteString(" " + e.File)
	}
	b.WriteString(" is not usable:")
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// faults collects what is wrong.
type faults []Fault

func (fs *faults) add(setting, format string, args ...any) { fs.addAt(0, setting, format, args...) }

func (fs *faults) addAt(line int, setting, format string, args ...any) {
	*fs = append(*fs, Fault{Line: line, Setting: setting, Text: fmt.Errorf(format, args...).Error()})
}

// err returns all faults in the order of the file, those without a line last.
func (fs faults) err(file string) error {
	if len(fs) == 0 {
		return nil
	}
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		return a.Line - b.Line
	})
	return &Error{File: file, Faults: fs}
}

// didYouMean returns a question naming the one of known that word is a slip
// of, or "".
func didYouMean(word string, known []string) string {
	if best := Closest(word, known); best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	return ""
}

// Closest returns the one of known that is at most two slips away from word, or
// "".
func Closest(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := slips(word, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// slips returns the Levenshtein distance of a and b.
func slips(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
