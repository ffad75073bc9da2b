package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/sandbox"
)

func TestRefusedAndUnreachableProvidersAreLeftAlone(t *testing.T) {
	t.Parallel()
	plan := throttlePlan{
		Told: 4 * time.Second, Flow: time.Second, Down: 7 * time.Second, Probe: 2 * time.Second,
		Words: sandbox.Fault{Status: http.StatusNotFound, Body: `{"code": "errors", "message": "Domain incorrect too many times, retry after 2 seconds"}`},
		Said:  2 * time.Second,
		Slack: 0.3,
	}
	c := plan.scene(1)
	c.Lease = time.Second
	play(t, c, func(ctx context.Context, s *stage) (report, error) { return throttle(ctx, s, plan) })
}

func TestHandOversUnderLoadLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	plan := handoverPlan{Changes: 2, Fleet: 2, Accounts: 20, Rate: 100, Gap: 500 * time.Millisecond}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return handover(ctx, s, plan) })
}

func TestIdleAccountsCostNothing(t *testing.T) {
	t.Parallel()
	// How much of a core is for `prove idle`: here other tests have the processors.
	plan := idlePlan{Accounts: 500, For: 2 * time.Second, Memory: 100 << 20, CPU: 1}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return idle(ctx, s, plan) })
}
