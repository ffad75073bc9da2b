package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// made is an outcome of runs at so many events per second.
func made(rates ...float64) *outcome {
	o := &outcome{
		experiment{name: "made", title: "Made & up", rows: []row{{"first", "bare", usual}, {"tram", "tram", usual}},
			goals: []goal{{"tram ÷ first", "tram", "first", (*measured).rate, false, 0.5}}},
		map[string][]*measured{},
	}
	for i, rate := range rates {
		for label, times := range map[string]float64{"first": 2, "tram": float64(1 + i)} {
			o.runs[label] = append(o.runs[label], &measured{
				n: 1000, wall: time.Duration(1000 / (rate * times) * float64(time.Second)),
				cpu:  map[string]time.Duration{"broker": 10 * time.Millisecond, "dispatcher": 20 * time.Millisecond},
				peak: map[string]int64{"dispatcher": 32 << 20},
			})
		}
	}
	return o
}

func TestReport(t *testing.T) {
	got := report([]*outcome{made(100, 200, 300)}, "Here and now.", true)
	for _, want := range []string{
		"| tram ÷ first | ≥ 0.5 | 1.00 | reached |", // within the repetitions: 0.5, 1, 1.5
		"| peak memory of a dispatcher of tram in all of these, MiB | ≤ 64 | 32.00 | reached |",
		"| first | 400 [200–600] | 1.00 [1.00–1.00] | 0 | 1.00 | 30 [30–30] | 10 | 20 | 0 | 0 | 32 | 0 |",
		"| tram | 400 [100–900] | 1.00 [0.50–1.50] |",
		"![Made & up](performance/made.svg)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := report([]*outcome{made(100)}, "", false); !strings.Contains(got, "| tram | 100 | 0.50 |") || strings.Contains(got, "svg") {
		t.Errorf("of one repetition:\n%s", got)
	}
	slow := made(100)
	slow.goals[0].bound = 0.51
	if got := report([]*outcome{slow}, "", false); !strings.Contains(got, "| tram ÷ first | ≥ 0.51 | 0.50 | **not reached** |") {
		t.Errorf("a goal that was missed:\n%s", got)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(path, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time over the first
		if err := write(path, []*outcome{made(100)}, "Here and now."); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := os.ReadFile(path)
	if got := string(text); !strings.HasPrefix(got, "before\n"+beginMark+"\nHere and now.\n") || !strings.HasSuffix(got, "|\n"+endMark+"\nafter\n") || strings.Contains(got, "old") {
		t.Errorf("wrote\n%s", got)
	}
	plot, err := os.Open(filepath.Join(filepath.Dir(path), "performance", "made.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer plot.Close()
	for d := xml.NewDecoder(plot); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is not XML: %v", err)
		}
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(path, nil, ""); err == nil || !strings.Contains(err.Error(), beginMark) {
		t.Errorf("without marks: %v", err)
	}
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		names, contenders string
		want              int
		fault             string
	}{
		{"all", "", len(experiments), ""},
		{"latency,crew", "", 2, ""},
		{"", "bare,tram", 1, ""},
		{"", "", 0, "either"},
		{"all", "tram", 0, "either"},
		{"speed", "", 0, `"speed" is no experiment: throughput,`},
	} {
		got, err := choose(test.names, test.contenders, usual)
		if len(got) != test.want || (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%q %q: %d experiments, %v", test.names, test.contenders, len(got), err)
		}
	}
	for _, e := range experiments { // what a table and its goals name is there
		labels := map[string]bool{}
		for _, r := range e.rows {
			if labels[r.label] {
				t.Errorf("%s: %s is there twice", e.name, r.label)
			}
			labels[r.label] = true
		}
		for _, g := range e.goals {
			if !labels[g.of] || g.against != "" && !labels[g.against] {
				t.Errorf("%s: the goal %q is about a row that is not there", e.name, g.text)
			}
		}
	}
}

func TestContenderOf(t *testing.T) {
	b := &bench{built: map[string]string{"": "programs", "before": "programs"}}
	for _, e := range experiments {
		for _, r := range e.rows {
			if c, err := b.contenderOf(t.Context(), r.contender, r.scenario); c == nil || err != nil {
				t.Errorf("%s: %s: %v", e.name, r.label, err)
			}
		}
	}
	if c, err := b.contenderOf(t.Context(), "tram@before", usual); c == nil || err != nil {
		t.Error(err)
	}
	if _, err := b.contenderOf(t.Context(), "rabbit", usual); err == nil || !strings.Contains(err.Error(), `"rabbit" is no contender: bare,`) {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestPercentile(t *testing.T) {
	all := make([]time.Duration, 200)
	for i := range all {
		all[i] = time.Duration(i+1) * time.Millisecond
	}
	for p, want := range map[int]float64{50: 100, 99: 198, 100: 200} {
		if got := percentile(all, p); got != want {
			t.Errorf("p%d is %v, want %v", p, got, want)
		}
	}
}
