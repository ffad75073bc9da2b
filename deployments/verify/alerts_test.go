// Package verify has the tests of everything under deployments that this machine
// cannot run: alerts, dashboards, manifests, the compose file and the image. It
// is a module of its own, so that what they need is nobody else's dependency.
package verify

import (
	"bytes"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"
)

const (
	alertsFile = "../prometheus/alerts.yaml"
	testsFile  = "../prometheus/alerts_test.yaml"
	runbook    = "../../docs/runbook.md"
)

// rules returns all alerts. Prometheus' own reader refuses keys, expressions and
// templates that are not right.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	file, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, parse, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// ruleTests are what of the tests of promtool our file has.
type ruleTests struct {
	RuleFiles []string       `yaml:"rule_files"`
	Interval  model.Duration `yaml:"evaluation_interval"`
	Tests     []struct {
		Name     string
		Interval model.Duration
		Series   []struct{ Series, Values string } `yaml:"input_series"`
		Exprs    []struct {
			Expr     string
			EvalTime model.Duration `yaml:"eval_time"`
			Samples  []struct {
				Labels string
				Value  float64
			} `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

// TestAlerts runs alerts_test.yaml as promtool does, and makes sure that every
// alert is in it, silent at first and firing then.
func TestAlerts(t *testing.T) {
	all := rules(t)
	data, err := os.ReadFile(testsFile)
	if err != nil {
		t.Fatal(err)
	}
	var tests ruleTests
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&tests); err != nil {
		t.Fatal(err)
	}
	fired, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		s := &series{}
		for _, in := range test.Series {
			of, values, err := parse.ParseSeriesDesc(in.Series + " " + in.Values)
			if err != nil {
				t.Fatalf("%s: %s: %v", test.Name, in.Series, err)
			}
			s.add(of, values, time.Duration(test.Interval))
		}
		var until time.Duration
		for _, e := range test.Exprs {
			until = max(until, time.Duration(e.EvalTime))
		}
		s.judge(t, all, until, time.Duration(tests.Interval))
		for _, e := range test.Exprs {
			var want []string
			for _, sample := range e.Samples {
				of, err := parse.ParseMetric(sample.Labels)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, promql.Sample{Metric: of, F: sample.Value}.String())
			}
			var got []string
			for _, sample := range s.query(t, e.Expr, time.Duration(e.EvalTime)) {
				sample.T = 0
				got = append(got, sample.String())
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s: after %s %s is %q, want %q", test.Name, e.EvalTime, e.Expr, got, want)
			}
			if strings.Contains(e.Expr, `"`+test.Name+`"`) {
				fired[test.Name], quiet[test.Name] = fired[test.Name] || len(want) > 0, quiet[test.Name] || len(want) == 0
			}
		}
	}
	for _, rule := range all {
		if !fired[rule.Alert] || !quiet[rule.Alert] {
			t.Errorf("%s has no test in which it is silent and then fires", rule.Alert)
		}
	}
}

// TestAlerts_people makes sure that whoever is woken up finds out why: each alert
// has a severity, words that say which, and a place in the runbook, which has no
// others.
func TestAlerts_people(t *testing.T) {
	page, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(page), "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		sections[name] = text
	}
	for _, rule := range rules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
			t.Errorf("%s: severity %q", rule.Alert, rule.Labels["severity"])
		}
		if want := "https://github.com/tramhq/tram/blob/main/docs/runbook.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %s, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
		}
		text, found := sections[rule.Alert]
		for _, part := range []string{"**Means**", "**Affected**", "**Look**", "**Do**"} {
			if !found || strings.Count(text, part) != 1 {
				t.Errorf("the runbook does not say of %s: %s", rule.Alert, part)
			}
		}
		delete(sections, rule.Alert)
		expandable(t, rule)
	}
	for name := range sections {
		t.Errorf("the runbook speaks of %s, which is no alert", name)
	}
}

// expandable checks that the words of an alert name only labels that its
// expression leaves, by expanding them with those labels.
func expandable(t *testing.T, rule rulefmt.Rule) {
	t.Helper()
	expr, err := parse.ParseExpr(rule.Expr)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]string{}
	for _, name := range labelsLeft(expr) {
		left[name] = "<" + name + ">"
	}
	for what, text := range rule.Annotations {
		const head = "{{$labels := .Labels}}{{$value := .Value}}"
		data := template.AlertTemplateData(left, nil, "", promql.Sample{F: 61})
		got, err := template.NewTemplateExpander(t.Context(), head+text, rule.Alert, data, 0, nil, nil, []string{"missingkey=error"}).Expand()
		if err != nil || strings.Contains(got, "no value") {
			t.Errorf("%s: %s becomes %q, %v", rule.Alert, what, got, err)
		}
	}
}

// labelsLeft returns the labels by which the alerts of an expression differ: of
// the aggregations those that they keep, of everything else where it is scraped
// and what the metric has.
func labelsLeft(expr parser.Expr) []string {
	switch e := expr.(type) {
	case *parser.AggregateExpr:
		return e.Grouping
	case *parser.BinaryExpr:
		if left := labelsLeft(e.LHS); len(left) > 0 {
			return left
		}
		return labelsLeft(e.RHS)
	case *parser.ParenExpr:
		return labelsLeft(e.Expr)
	case *parser.StepInvariantExpr:
		return labelsLeft(e.Expr)
	case *parser.Call:
		for _, arg := range e.Args {
			if left := labelsLeft(arg); len(left) > 0 {
				return slices.DeleteFunc(slices.Clone(left), func(name string) bool { return name == "le" })
			}
		}
	case *parser.MatrixSelector:
		return labelsLeft(e.VectorSelector)
	case *parser.VectorSelector:
		return append(knownMetrics()[base(e.Name)], "job", "instance")
	}
	return nil
}

var (
	metricsTable = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")
	quoted       = regexp.MustCompile("`([a-z]+)`")
)

// knownMetrics returns the labels of each metric that there is: of tram those of
// the table in docs/operations.md, which tests of tram hold against the code.
var knownMetrics = sync.OnceValue(func() map[string][]string {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		panic(err)
	}
	known := map[string][]string{ // and of Prometheus itself and its client
		"up": nil, "process_start_time_seconds": nil, "process_cpu_seconds_total": nil, "process_resident_memory_bytes": nil,
	}
	for _, row := range metricsTable.FindAllStringSubmatch(string(page), -1) {
		known[row[1]] = []string{}
		for _, name := range quoted.FindAllStringSubmatch(row[3], -1) {
			known[row[1]] = append(known[row[1]], name[1])
		}
		if row[2] == "histogram" {
			known[row[1]] = append(known[row[1]], "le")
		}
	}
	return known
})

// base returns the metric that a name of a series is of.
func base(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if cut, ok := strings.CutSuffix(name, suffix); ok && knownMetrics()[cut] != nil {
			return cut
		}
	}
	return name
}

// onlyKnown checks that an expression names only metrics and labels that there are.
func onlyKnown(t *testing.T, where, text string) {
	t.Helper()
	expr, err := parse.ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %s: %v", where, text, err)
		return
	}
	known := knownMetrics()
	may := map[string]bool{"job": true, "instance": true}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			have, found := known[base(v.Name)]
			if !found {
				t.Errorf("%s: there is no metric %s", where, v.Name)
			}
			for _, name := range have {
				may[name] = true
			}
			for _, m := range v.LabelMatchers {
				if m.Name != model.MetricNameLabel && m.Name != "job" && m.Name != "instance" && !slices.Contains(have, m.Name) {
					t.Errorf("%s: %s has no label %s", where, v.Name, m.Name)
				}
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if a, ok := node.(*parser.AggregateExpr); ok {
			for _, name := range a.Grouping {
				if !may[name] {
					t.Errorf("%s: nothing in %s has a label %s", where, text, name)
				}
			}
		}
		return nil
	})
}

// TestAlerts_metrics makes sure that no alert waits for a metric that nobody exports.
func TestAlerts_metrics(t *testing.T) {
	if n := len(knownMetrics()); n < 30 {
		t.Fatalf("docs/operations.md has a table of only %d metrics", n)
	}
	for _, rule := range rules(t) {
		onlyKnown(t, rule.Alert, rule.Expr)
	}
}
