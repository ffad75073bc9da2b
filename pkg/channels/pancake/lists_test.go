package pancake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/events"
)

// TestCycle ends where pages go round in a circle, and where one comes again
// that an earlier build has seen.
func TestCycle(t *testing.T) {
	t.Parallel()
	r := report(pancake.Conversations, events.Report{Range: days("2026-11-19", "2026-11-21")})
	for name, tt := range map[string]struct {
		length, first int // of the circle, and its first page
		cursor        string
		want          int // pages until the end
	}{
		"one":              {1, 0, "", 2},
		"two":              {2, 0, "", 3},
		"eight":            {8, 0, "", 9},
		"an earlier build": {1, 0, `{"count":1,"last":"a","seen":"ffe9aaeaa2a2d504"}`, 1},
		"another page":     {1, 1, `{"count":1,"last":"a","seen":"ffe9aaeaa2a2d504"}`, 2},
	} {
		step := channels.Step{Number: 1, Cursor: tt.cursor}
		var v channels.Verdict
		for v.Next != "" || step.Number == 1 {
			if step.Number > 100 {
				t.Fatalf("%s: no end", name)
			}
			body := fmt.Sprintf(`{"conversations":[{"id":%q}]}`, string(rune('a'+tt.first+(step.Number-1)%tt.length)))
			v = pancake.New().Judge(page(), &r, step, &channels.Answer{Status: 200, Body: []byte(body)})
			if len(v.Next) > 120 {
				t.Errorf("%s: the cursor grows: %s", name, v.Next)
			}
			step = channels.Step{Number: step.Number + 1, Cursor: v.Next}
		}
		if pages := step.Number - 1; pages != tt.want || len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "the same page twice") {
			t.Errorf("%s: %d pages, want %d: %+v", name, pages, tt.want, v)
		}
	}
}
