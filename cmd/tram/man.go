package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tramhq/tram/cmd/internal/wiring"
)

func manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man",
		Short: "Write the manual pages of all commands to a directory",
		Example: `  tram man --dir /usr/local/share/man/man1
  tram man --dir man && man ./man/tram-send.1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("write manual: %w", err)
			}
			for _, c := range allCommands(cmd.Root()) {
				if err := writeManPage(dir, c); err != nil {
					return fmt.Errorf("write manual: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "man", "where to write them; it is made if it is missing")
	return cmd
}

// allCommands returns the root command and all below it, as help lists them.
func allCommands(root *cobra.Command) []*cobra.Command {
	root.InitDefaultCompletionCmd()
	return withThoseBelow(root)
}

func withThoseBelow(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, withThoseBelow(sub)...)
		}
	}
	return all
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func writeManPage(dir string, c *cobra.Command) error {
	f, err := os.Create(filepath.Join(dir, pageName(c)+".1"))
	if err != nil {
		return err
	}
	return errors.Join(manPage(f, c), f.Close())
}

// manPage writes the manual page of a command in roff, of man(7).
func manPage(w io.Writer, c *cobra.Command) error {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	verbatim := func(text string) { fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(text)) }

	fmt.Fprintf(&b, ".TH %s 1 \"\" \"tram %s\" \"tram\"\n", roff(strings.ToUpper(pageName(c))), roff(wiring.Version()))
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(pageName(c)), roff(c.Short))
	section("SYNOPSIS")
	verbatim(c.UseLine())
	section("DESCRIPTION")
	verbatim(cmp.Or(c.Long, c.Short))
	if c.HasAvailableFlags() {
		section("OPTIONS")
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(flagForm(f)), roff(flagMeaning(f)))
			}
		})
	}
	if c.Example != "" {
		section("EXAMPLES")
		verbatim(c.Example)
	}
	var others []string
	for _, other := range append(c.Commands(), c.Parent()) {
		if other != nil && (other == c.Parent() || other.IsAvailableCommand()) {
			others = append(others, pageName(other)+"(1)")
		}
	}
	section("SEE ALSO")
	fmt.Fprintln(&b, roff(strings.Join(others, ", ")))
	_, err := io.WriteString(w, b.String())
	return err
}

// roff escapes text: a backslash is roff's own, a dash alone may become a
// hyphen, and a dot or quote at the start of a line begins a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// flagForm writes "-s, --server string".
func flagForm(f *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(f)
	form := "--" + f.Name
	if f.Shorthand != "" {
		form = "-" + f.Shorthand + ", " + form
	}
	return strings.TrimSpace(form + " " + name)
}

// flagMeaning writes what a flag does, with its default where that says
// something.
func flagMeaning(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return usage
	}
	return usage + " (default " + f.DefValue + ")"
}
