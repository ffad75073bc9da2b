package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const cliPage = "../../docs/cli.md"

// TestCLI_page makes sure that docs/cli.md is the help of all commands.
func TestCLI_page(t *testing.T) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The command tram\n\nMade from the commands themselves: `go test ./cmd/tram -run CLI -update`. `tram man --dir DIR` writes the same as manual pages, `tram completion bash` (zsh, fish, powershell) what completes them in a shell.\n")
	fmt.Fprintf(&b, "\n```text\n%s\n```\n\n| exit code | |\n| --- | --- |\n", long())
	for code, when := range exits {
		fmt.Fprintf(&b, "| `%d` | %s |\n", code, when)
	}
	fmt.Fprint(&b, "\nThey stay as they are; [`tram doctor`](#tram-doctor) says what they mean there.\n\n")
	fmt.Fprint(&b, "Colour is for terminals only, and for none of them when `NO_COLOR` is set or `TERM` is `dumb`. With `--json` a command prints JSON, one line each, in which fields may be added but none changes its meaning.\n\n")
	fmt.Fprint(&b, "| command | |\n| --- | --- |\n")
	all := slices.DeleteFunc(allCommands(rootCommand())[1:], ofCompletion) // cobra's own words, and many
	for _, c := range all {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.CommandPath(), pageName(c), c.Short)
	}
	for _, c := range all {
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		fmt.Fprintf(&b, "```text\n%s\n\n%s\n```\n", c.UseLine(), cmp.Or(strings.TrimSpace(c.Long), c.Short+"."))
		rows := ""
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" {
				rows += fmt.Sprintf("| `%s` | %s |\n", flagForm(f), strings.ReplaceAll(flagMeaning(f), "|", `\|`))
			}
		})
		if rows != "" {
			fmt.Fprintf(&b, "\n| flag | |\n| --- | --- |\n%s", rows)
		}
		if c.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", regexp.MustCompile(`(?m)^  `).ReplaceAllString(c.Example, ""))
		}
	}
	if *update {
		if err := os.WriteFile(cliPage, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if page, err := os.ReadFile(cliPage); err != nil || !bytes.Equal(page, b.Bytes()) {
		t.Errorf("docs/cli.md is not the help of the commands (%v): run go test ./cmd/tram -run CLI -update", err)
	}
}

func ofCompletion(c *cobra.Command) bool { return strings.Contains(c.CommandPath(), " completion ") }

// TestCLI_json makes sure that each command that prints a result can print it for
// programs.
func TestCLI_json(t *testing.T) {
	others := map[string]string{
		"tram up": "runs until it is stopped", "tram sandbox": "runs until it is stopped", "tram export": "prints nothing but JSON lines",
		"tram man": "prints nothing", "tram completion": "is for shells",
	}
	for _, c := range allCommands(rootCommand()) {
		has := c.Flags().Lookup("json") != nil
		why := others[c.CommandPath()]
		if ofCompletion(c) || c.HasSubCommands() {
			continue
		}
		if excused := why != ""; has == excused {
			t.Errorf("%s has --json: %v; it %s", c.CommandPath(), has, why)
		}
	}
}

var aWord = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)

// TestCLI_examples makes sure that each command that does something has an
// example, and that all examples are commands that can be given.
func TestCLI_examples(t *testing.T) {
	for _, c := range allCommands(rootCommand()) {
		if ofCompletion(c) {
			continue
		}
		if c.Runnable() && !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		text := strings.ReplaceAll(c.Example, "\\\n", " ")
		for line := range strings.Lines(text) {
			for part := range strings.SplitSeq(line, " && ") {
				checkExample(t, c, part)
			}
		}
	}
}

// checkExample reads one command line as tram would, without doing it.
func checkExample(t *testing.T, of *cobra.Command, line string) {
	t.Helper()
	words := aWord.FindAllString(line, -1)
	for len(words) > 0 && words[0] != "tram" { // variables, and what is piped into it
		words = words[1:]
	}
	for i, w := range words {
		if w == "|" || w == ">" || w == "<" || strings.HasPrefix(w, "#") {
			words = words[:i]
			break
		}
		words[i] = strings.Trim(w, `"'`)
	}
	if len(words) == 0 {
		return
	}
	root := rootCommand()
	c, args, err := root.Find(words[1:])
	if err == nil {
		err = c.ParseFlags(args)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil || c == root {
		t.Errorf("%s has the example %q, which is none: %v", of.CommandPath(), strings.TrimSpace(line), err)
	}
}

// TestMan writes the manual and looks at one page of it.
func TestMan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if code, _, stderr := tram(t, "", "man", "--dir", dir); code != 0 {
		t.Fatalf("got %d, %q", code, stderr)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if want := len(allCommands(rootCommand())); err != nil || len(pages) != want {
		t.Errorf("got %d pages and %v, want %d", len(pages), err, want)
	}
	page, err := os.ReadFile(filepath.Join(dir, "tram-lane-pause.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".TH TRAM\\-LANE\\-PAUSE 1 ", "tram\\-lane\\-pause \\- ", ".TP\n\\-s, \\-\\-server string\n", ".SH EXAMPLES\n.nf\n  tram lane pause ", ".SH SEE ALSO\ntram\\-lane(1)\n"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not have %q:\n%s", want, page)
		}
	}
}

func TestVersion_json(t *testing.T) {
	code, stdout, stderr := tram(t, "", "version", "--json")
	var v struct{ Version, Go string }
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != 0 || v.Version == "" || v.Go != runtime.Version() {
		t.Errorf("got %d, %q, %q: %v", code, stdout, stderr, err)
	}
}
