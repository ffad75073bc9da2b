package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestNode publishes with examples/node, which has none of our code in it, and
// reads what comes out with it.
func TestNode(t *testing.T) {
	const dir = "../../examples/node"
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); errors.Is(err, os.ErrNotExist) {
		npm(t, dir)
	}
	up := start(t, t.TempDir())
	requests := node(t, dir, up, "publish.mjs", nil)
	events := node(t, dir, up, "follow.mjs", requests)

	var deliveries, outcomes []string
	metrics := map[string]map[string]bool{} // by campaign and segment
	for d := json.NewDecoder(bytes.NewReader(events)); ; {
		var e struct {
			Data struct {
				State, Metric string
				CorrelationID string `json:"correlation_id"`
				Final         bool
				Dims          map[string]string
				Stats         int
			}
		}
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Data.Metric != "":
			campaign := e.Data.Dims["campaign_id"] + "/" + e.Data.Dims["segment_id"]
			if metrics[campaign] == nil {
				metrics[campaign] = map[string]bool{}
			}
			metrics[campaign][e.Data.Metric] = true
		case e.Data.Final && e.Data.CorrelationID == "order-17":
			deliveries = append(deliveries, e.Data.State)
		case e.Data.Final:
			outcomes = append(outcomes, e.Data.State)
		}
	}
	if len(deliveries) != 1 || deliveries[0] != "accepted" {
		t.Errorf("got final deliveries %q, want one that is accepted", deliveries)
	}
	if len(outcomes) != 1 || outcomes[0] != "done" {
		t.Errorf("got outcomes %q, want one that is done", outcomes)
	}
	if len(metrics) != 57 {
		t.Errorf("got stats of %d campaigns, want 57", len(metrics))
	}
	for campaign, of := range metrics {
		for _, m := range []string{"SENDING", "SENT", "FAILED", "RECEIVED", "READ", "CLICKED"} {
			if !of[m] {
				t.Errorf("campaign %s has no %s", campaign, m)
			}
		}
	}
}

func npm(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

func node(t *testing.T, dir string, up *running, script string, stdin []byte) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(stdin), t.Output()
	cmd.Env = append(os.Environ(), "NATS_URL="+up.nats)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
	return out
}
