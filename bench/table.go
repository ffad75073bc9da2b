package main

import (
	"fmt"
	"slices"
	"strings"
)

// A column is a number of every run.
type column struct {
	head  string
	value func(*measured) float64
	form  string // of a number
	span  bool   // with the least and the most
	ratio bool   // to the first row
}

func cost(names ...string) func(*measured) float64 {
	return func(m *measured) float64 { return m.cost(names...) }
}

var (
	costs = []column{
		{"CPU µs/event", total, "%.0f", true, false},
		{"broker", cost("broker"), "%.0f", false, false},
		{"dispatchers", cost("dispatcher"), "%.0f", false, false},
		{"collectors", cost("collector"), "%.0f", false, false},
		{"provider", cost("provider"), "%.0f", false, false},
		{"dispatcher MiB", dispatcherMiB, "%.0f", false, false},
		{"others’ CPU %", func(m *measured) float64 { return 100 * m.others }, "%.0f", false, false},
	}
	backlogColumns = append([]column{
		{"events/s", (*measured).rate, "%.0f", true, false},
		{"× first", (*measured).rate, "%.2f", true, true},
		{"calls at once", func(m *measured) float64 { return float64(m.most) }, "%.0f", false, false},
		{"CPU × first", total, "%.2f", false, true},
	}, costs...)
	pacedColumns = append([]column{
		{"→ call p50 ms", toCall(50), "%.2f", true, false},
		{"p99", toCall(99), "%.2f", true, false},
		{"→ delivery p50 ms", toDelivery(50), "%.2f", true, false},
		{"p99", toDelivery(99), "%.2f", true, false},
	}, costs...)
)

// columns are those that an experiment is about.
func (o *outcome) columns() []column {
	if o.rows[0].rate > 0 {
		return pacedColumns
	}
	return backlogColumns
}

// table is the outcome as a table in Markdown.
func (o *outcome) table() string {
	var b strings.Builder
	columns := o.columns()
	b.WriteString("| |")
	for _, c := range columns {
		b.WriteString(" " + c.head + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, r := range o.rows {
		b.WriteString("| " + r.label + " |")
		for _, c := range columns {
			against := ""
			if c.ratio {
				against = o.rows[0].label
			}
			b.WriteString(" " + c.text(o.values(c.value, r.label, against)) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (c column) text(values []float64) string {
	text := fmt.Sprintf(c.form, median(values))
	if c.span && len(values) > 1 {
		text += fmt.Sprintf(" ["+c.form+"–"+c.form+"]", slices.Min(values), slices.Max(values))
	}
	return text
}

// String says of one run what one wants to see while it goes on.
func (m *measured) String() string {
	what := fmt.Sprintf("%.0f/s", m.rate())
	if m.toCall != nil {
		what = fmt.Sprintf("to the call %.2f/%.2f ms, to the delivery %.2f/%.2f ms", percentile(m.toCall, 50), percentile(m.toCall, 99),
			percentile(m.toDelivery, 50), percentile(m.toDelivery, 99))
	}
	return fmt.Sprintf("%s, CPU µs/event: broker %.1f, dispatcher %.1f, collector %.1f, provider %.1f, dispatcher %.0f MiB, %d calls at once, others %.0f %%",
		what, m.cost("broker"), m.cost("dispatcher"), m.cost("collector"), m.cost("provider"), dispatcherMiB(m), m.most, 100*m.others)
}

// goalsTable says what was to be reached and what was.
func goalsTable(all []judgement) string {
	var b strings.Builder
	b.WriteString("| goal | wanted | measured | |\n|---|---:|---:|---|\n")
	for _, j := range all {
		sign, verdict := "≥", "reached"
		if j.atMost {
			sign = "≤"
		}
		if !j.reached {
			verdict = "**not reached**"
		}
		fmt.Fprintf(&b, "| %s | %s %g | %.2f | %s |\n", j.text, sign, j.bound, j.got, verdict)
	}
	return b.String()
}
