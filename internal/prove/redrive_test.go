package main

import (
	"context"
	"testing"
	"time"
)

// How fast it all is, is for `prove redrive`: here other tests have the
// processors.

func TestWhatDiedArrivesOnceThoughTheRedriveIsKilled(t *testing.T) {
	t.Parallel()
	plan := redrivePlan{Letters: 300, Rate: 200, Live: 50, Others: 5, For: 400 * time.Millisecond, Kills: 1}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return redrive(ctx, s, plan) })
}

func TestPoisonBecomesDeadLetters(t *testing.T) {
	t.Parallel()
	plan := poisonPlan{Good: 500, Turns: 1}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return poison(ctx, s, plan) })
}
