package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// A bar is a number with the least and the most that it was.
type bar struct {
	label           string
	ours            bool
	value, min, max float64
}

func barOf(r row, what string, values []float64) bar {
	return bar{r.label + what, r.contender == "tram", median(values), slices.Min(values), slices.Max(values)}
}

// plot draws what an experiment is about.
func (o *outcome) plot() string {
	var bars []bar
	if o.rows[0].rate > 0 {
		for _, r := range o.rows {
			for _, c := range []struct {
				what  string
				value func(*measured) float64
			}{{" → call p50", toCall(50)}, {" → call p99", toCall(99)}, {" → delivery p50", toDelivery(50)}, {" → delivery p99", toDelivery(99)}} {
				bars = append(bars, barOf(r, c.what, o.values(c.value, r.label, "")))
			}
		}
		return draw(o.title, "milliseconds", "%.2f", bars)
	}
	for _, r := range o.rows {
		bars = append(bars, barOf(r, "", o.values((*measured).rate, r.label, "")))
	}
	return draw(o.title, "events per second", "%.0f", bars)
}

// draw returns an SVG of horizontal bars with a line from the least to the
// most.
func draw(title, unit, form string, bars []bar) string {
	const (
		left, width, right = 220, 460, 90 // pixels
		step, thick, top   = 28, 18, 56
	)
	most := 0.0
	for _, b := range bars {
		most = max(most, b.max)
	}
	x := func(v float64) float64 { return left + width*v/max(most, 1e-9) }
	var s strings.Builder
	height := top + step*len(bars) + 12
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", left+width+right, height)
	fmt.Fprintf(&s, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&s, `<text x="12" y="22" font-size="15" font-weight="bold">%s</text>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&s, `<text x="12" y="42" fill="#555">%s: median, and from the least to the most</text>`+"\n", html.EscapeString(unit))
	for i, b := range bars {
		y := top + step*i
		middle := float64(y) + thick/2
		colour := "#9aa5b1"
		if b.ours {
			colour = "#2563eb"
		}
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-10, y+14, html.EscapeString(b.label))
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, x(b.value)-left, thick, colour)
		fmt.Fprintf(&s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#111"/>`+"\n", x(b.min), middle, x(b.max), middle)
		fmt.Fprintf(&s, `<text x="%.1f" y="%d">%s</text>`+"\n", x(b.max)+8, y+14, fmt.Sprintf(form, b.value))
	}
	s.WriteString("</svg>\n")
	return s.String()
}
