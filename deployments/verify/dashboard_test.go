package verify

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A panel is what of one Grafana must understand.
type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

// TestDashboard checks that every panel asks for metrics that there are, through
// the data source that is chosen above, and has a place of its own.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("../grafana/tram.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID        string
		Panels     []panel
		Templating struct {
			List []struct {
				Name, Type string
				Query      json.RawMessage
			}
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	const source = "${source}"
	variables := map[string]string{}
	for _, v := range board.Templating.List {
		variables[v.Name] = v.Type
		if call := regexp.MustCompile(`label_values\((.*), \w+\)`).FindStringSubmatch(unquote(t, v.Query)); call != nil {
			onlyKnown(t, "variable "+v.Name, plain(call[1]))
		}
	}
	if variables["source"] != "datasource" || variables["provider"] != "query" || variables["account"] != "query" {
		t.Errorf("the variables are %v", variables)
	}
	for _, a := range board.Annotations.List {
		if !strings.HasPrefix(a.Expr, "ALERTS{") { // which Prometheus makes itself
			onlyKnown(t, "annotation "+a.Name, a.Expr)
		}
	}
	seen, taken := map[int]string{}, map[[2]int]string{}
	asked := map[string]bool{}
	for _, p := range board.Panels {
		if other, is := seen[p.ID]; is || p.ID == 0 {
			t.Errorf("%q and %q have the id %d", p.Title, other, p.ID)
		}
		seen[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, is := taken[[2]int{x, y}]; is || x >= 24 {
					t.Fatalf("%q lies on %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != source {
			t.Errorf("%q asks nobody, or not the source that is chosen", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != source || target.RefID == "" {
				t.Errorf("%q does not ask the source that is chosen", p.Title)
			}
			onlyKnown(t, p.Title, plain(target.Expr))
			for name := range knownMetrics() {
				if strings.Contains(target.Expr, name) {
					asked[name] = true
				}
			}
		}
	}
	for name := range knownMetrics() {
		if strings.HasPrefix(name, "tram_lane_") && !asked[name] && name != "tram_lane_open_requests" {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// plain replaces what Grafana replaces.
func plain(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$provider", ".*", "$account", ".*").Replace(expr)
}

func unquote(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var query struct{ Query string }
	if json.Unmarshal(raw, &query) == nil {
		return query.Query
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Error(err)
	}
	return text
}
