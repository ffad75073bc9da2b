package wiring

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/telemetry/telemetrytest"
)

var update = flag.Bool("update", false, "write what was seen of one send into docs/operations.md")

// tree writes spans below their parents.
func tree(all []telemetrytest.Span) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AFTER\tTOOK\tSERVICE\tSPAN\tKIND\tSOME OF ITS ATTRIBUTES")
	shown := []string{"tram.attempt", "tram.queued_ms", "http.response.status_code", "tram.answer", "error.type", "tram.state", "tram.reason"}
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range all {
			if s.Parent != parent {
				continue
			}
			var attrs []string
			for _, name := range shown {
				if v := s.Attributes[name]; v != "" {
					attrs = append(attrs, name+"="+v)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\t%s\t%s\n", millis(s.Started.Sub(all[0].Started)), millis(s.Ended.Sub(s.Started)),
				s.Service, indent, s.Name, s.Kind, strings.Join(attrs, " "))
			below(s.SpanID, indent+"  ")
		}
	}
	below("", "")
	_ = w.Flush()
	return trimLines(b.String())
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000) }

func trimLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// difference tells the series that have changed, and how.
func difference(before, after map[string]string) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROCESS\tSERIES\tBEFORE\tAFTER")
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was := cmp.Or(before[name], "-"); was != after[name] {
			fmt.Fprintf(w, "%s\t%s\t%s\n", name, was, after[name])
		}
	}
	_ = w.Flush()
	return trimLines(b.String())
}

func first(lines []string, prefix, text string) string {
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) && strings.Contains(l, text) })
	if i < 0 {
		return "no such line"
	}
	return lines[i]
}

// lastEvent returns the newest delivery as the stream has it, without its body.
func lastEvent(t *testing.T, b *brokertest.Broker) string {
	t.Helper()
	m, err := broker.NewReader(b.JS).Last(t.Context(), broker.Events, "tram.delivery.>")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{m.Subject}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		lines = append(lines, name+": "+m.Header.Get(name))
	}
	return strings.Join(lines, "\n")
}

// document holds each block of docs/operations.md that follows a comment with
// its name against what was seen, but for numbers, or writes it.
func document(t *testing.T, seen map[string]string) {
	t.Helper()
	const page = "../../../docs/operations.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, got := range seen {
		head := "<!-- seen: " + name + " -->\n```text\n"
		before, rest, ok1 := strings.Cut(text, head)
		want, after, ok2 := strings.Cut(rest, "\n```\n")
		switch {
		case !ok1 || !ok2:
			t.Errorf("%s has no place for the %s", page, name)
		case *update:
			text = before + head + got + "\n```\n" + after
		case shape(want) != shape(got):
			t.Errorf("%s shows of the %s\n%s\nand seen was\n%s\ngo test ./cmd/internal/wiring -run OneSend -update writes it", page, name, want, got)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var varies = regexp.MustCompile(`00-[0-9a-f]{32}-[0-9a-f]{16}-01|[0-9a-f]{16,}|"owner":"\w+"|[0-9]+([.:T-][0-9]+)*(e-[0-9]+)?Z?| +`)

// shape is text without what differs each time.
func shape(text string) string { return varies.ReplaceAllString(text, "#") }
