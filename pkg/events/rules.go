package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of what a request may hold, in code points unless said otherwise.
const (
	maxShortText = 256     // ids and names
	maxLongText  = 10_000  // texts and values
	maxMetadata  = 8 << 10 // all keys and values together, in bytes: they come back in every event
	maxPageSize  = 10_000
	maxPages     = 100_000
)

// id checks an id or name that must be given.
func (f *faults) id(field, v string) bool {
	if v == "" {
		f.add(field, "is missing")
		return false
	}
	return f.optionalID(field, v)
}

// optionalID checks an id or name. What it says does not quote it.
func (f *faults) optionalID(field, v string) bool {
	p := idProblem(v)
	if p != "" {
		f.add(field, "%s", p)
	}
	return p == ""
}

// text checks a text or value.
func (f *faults) text(field, v string) {
	if p := textProblem(v, maxLongText); p != "" {
		f.add(field, "%s", p)
	}
}

func idProblem(v string) string {
	switch {
	case len(v) <= maxShortText && graphic(v): // nearly all
		return ""
	case strings.ContainsFunc(v, unicode.IsControl):
		return "has a control character"
	case strings.TrimSpace(v) != v:
		return "begins or ends with white space"
	}
	return textProblem(v, maxShortText)
}

// graphic reports whether v is of ASCII characters that are seen.
func graphic(v string) bool {
	for i := range len(v) {
		if v[i] <= ' ' || v[i] > '~' {
			return false
		}
	}
	return true
}

func textProblem(v string, limit int) string {
	if !utf8.ValidString(v) {
		return "is not valid UTF-8"
	}
	if len(v) > limit { // bytes, of which there are never fewer than code points
		if n := utf8.RuneCountInString(v); n > limit {
			return fmt.Sprintf("has %d characters, at most %d are allowed", n, limit)
		}
	}
	return ""
}

// name checks the name of a report or command.
func (f *faults) name(field, v string) {
	if f.id(field, v) && plain(v) == "" {
		f.add(field, "must be a name such as momo.messages_report")
	}
}

func (f *faults) items(field string, n int) {
	if n > maxItems {
		f.add(field, "has %d entries, at most %d are allowed", n, maxItems)
	}
}

func (f *faults) list(field string, v []string) {
	f.items(field, len(v))
	for i, s := range v {
		f.id(fmt.Sprintf("%s[%d]", field, i), s)
	}
}

func (f *faults) dict(field string, m map[string]string) {
	f.items(field, len(m))
	before := len(*f)
	for k, v := range m {
		if p := idProblem(k); p != "" || k == "" {
			f.add(field, "has a key that %s", cmp.Or(p, "is empty"))
		} else if p := textProblem(v, maxLongText); p != "" {
			f.add(field+"."+cmp.Or(plain(k), "*"), "%s", p)
		}
	}
	// The same request gets the same words.
	slices.SortFunc((*f)[before:], func(a, b Fault) int { return strings.Compare(a.String(), b.String()) })
}

func (f *faults) within(field string, n, limit int) {
	if n < 0 || n > limit {
		f.add(field, "must be 0 to %d", limit)
	}
}

// Instants outside these bounds are seconds or microseconds by mistake.
var (
	firstMS = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	lastMS  = time.Date(5000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

func (f *faults) instant(field string, ms int64, needed bool) bool {
	switch {
	case ms == 0 && !needed:
		return true
	case ms == 0:
		f.add(field, "is missing")
	case ms < firstMS:
		f.add(field, "must be unix milliseconds: %d is too small, as seconds would be", ms)
	case ms > lastMS:
		f.add(field, "must be unix milliseconds: %d is too large, as microseconds would be", ms)
	default:
		return true
	}
	return false
}

func (f *faults) date(field, v string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, v)
	switch {
	case v == "":
		f.add(field, "is missing")
	case err != nil:
		f.add(field, "must be a date like 2026-11-21")
	default:
		return t, true
	}
	return t, false
}
