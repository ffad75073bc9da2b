package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A progress is a line on a terminal that says how far something is. Elsewhere
// it says nothing.
type progress struct {
	w           io.Writer // nil: not on a terminal
	total, done int
	began, told time.Time
}

// newProgress returns the progress of total steps, silent if w is not a terminal
// or has other things to show.
func newProgress(w io.Writer, total int, busy bool) *progress {
	p := &progress{total: total, began: time.Now()}
	if !busy && isTerminal(w) {
		p.w = w
	}
	return p
}

const progressEvery = 200 * time.Millisecond

// step counts one.
func (p *progress) step() {
	p.done++
	if now := time.Now(); p.w != nil && now.Sub(p.told) >= progressEvery {
		p.told = now
		fmt.Fprint(p.w, p.line(now.Sub(p.began)))
	}
}

// at says that so many are done.
func (p *progress) at(done int) {
	p.done = done - 1
	p.step()
}

// line shows how it stands after so long, over what it showed before.
func (p *progress) line(took time.Duration) string {
	const width = 30
	share := 1.0
	if p.total > 0 {
		share = min(1, float64(p.done)/float64(p.total))
	}
	full := int(share * width)
	rate := float64(p.done) / max(took.Seconds(), 0.001)
	left := time.Duration(float64(max(0, p.total-p.done)) / max(rate, 0.001) * float64(time.Second))
	return fmt.Sprintf("\r\x1b[K[%s%s] %d of %d, %.0f/s, %v left", strings.Repeat("=", full), strings.Repeat(" ", width-full),
		p.done, p.total, rate, left.Round(time.Second))
}

// end takes the line away.
func (p *progress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
