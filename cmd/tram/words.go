package main

import (
	"fmt"
	"time"
)

// How amounts and times are said, whichever command says them.

// count is "1 letter", "2 letters".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// age is how long ago a time was, in one unit.
func age(at time.Time) string {
	switch d := time.Since(at); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// span writes d in its one or two largest units: 12s, 3m10s, 2h5m, 4d3h.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// since writes how many milliseconds lie between two things.
func since(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < time.Minute {
		return d.Round(time.Millisecond).String()
	}
	return span(d)
}

// clockTime is a time as a clock in its zone shows it.
func clockTime(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// note is a text in parentheses, if there is one.
func note(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
