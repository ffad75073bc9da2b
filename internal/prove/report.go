package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A report is what a proof found: a row for each promise.
type report []finding

type finding struct {
	what string
	got  any
	want string // in words
	kept bool
}

func (r *report) add(what string, got any, want string, kept bool) {
	*r = append(*r, finding{what, got, want, kept})
}

// note adds a figure that promises nothing.
func (r *report) note(what string, got any) { r.add(what, got, "", true) }

func (r report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range r {
		mark := "ok"
		switch {
		case !f.kept:
			mark = "BROKEN"
		case f.want == "":
			mark = ""
		}
		fmt.Fprintf(t, "%s\t%v\t%s\t%s\n", f.what, f.got, f.want, mark)
	}
	t.Flush()
}

// verdict is an error that names the promises that were broken.
func (r report) verdict() error {
	var broken []string
	for _, f := range r {
		if !f.kept {
			broken = append(broken, fmt.Sprintf("%s is %v, want %s", f.what, f.got, f.want))
		}
	}
	if broken == nil {
		return nil
	}
	return fmt.Errorf("broken: %s", strings.Join(broken, "; "))
}
