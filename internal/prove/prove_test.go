package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

// TestMain lets the tests share the programs.
func TestMain(m *testing.M) {
	brokertest.SideBySide()
	oneKind = true
	code := 0
	if _, err := sharingPrograms(func() (report, error) {
		code = m.Run()
		return nil, nil
	}); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// Short runs of what `make prove-…` does at length, side by side: they wait most of
// the time, and their verdicts do not depend on it.

func TestWhoeverDiesNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	plan := crashPlan{Kills: 1, Faults: 1, Rate: 150, Quickly: true}
	check(t, func() (report, error) { return crash(t.Context(), 1, plan) })
}

func TestAClusterLosesALeaderAndADispatcher(t *testing.T) {
	t.Parallel()
	plan := clusterPlan{Times: 1, Rate: 50, Quickly: true}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return proveCluster(ctx, s, plan) })
}

func TestHostileBodiesBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	plan := malformedPlan{Bodies: 5000}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return malformed(ctx, s, plan) })
}

func TestDispatchersThatComeAndGoHoldTheLimits(t *testing.T) {
	t.Parallel()
	// How much of a limit is used, and that not one call is too many, is for `prove
	// limits`: here other tests have the processors. Two dispatchers at once would
	// exceed it by as much again.
	plan := limitsPlan{Fleet: 2, For: 8 * time.Second, Change: 4 * time.Second, Use: 0.1, Slack: 0.3}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) {
		return limits(ctx, s, plan)
	})
}

func TestASoakTakesNoMoreWithTime(t *testing.T) {
	t.Parallel()
	plan := soakPlan{
		Length: 8 * time.Second, Every: time.Second, Change: 2 * time.Second, Join: 3 * time.Second,
		Rate: 100, Table: t.Output(),
	}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return soak(ctx, s, plan) })
}

func TestEventsAreMadeAgain(t *testing.T) {
	t.Parallel()
	plan := replayPlan{Results: 5000, Kills: 1, Rate: 4000}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return replay(ctx, s, plan) })
}

func TestAFleetIsReplacedOneByOne(t *testing.T) {
	t.Parallel()
	// By its own programs: building older ones is for `prove rolling`.
	plan := rollingPlan{Same: true, For: time.Second, Later: time.Second, Rate: 100}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return rolling(ctx, s, plan) })
}

func TestWhatIsDueLaterIsCalledOnceAndNeverEarly(t *testing.T) {
	t.Parallel()
	// How late is for `prove schedule`: here other tests have the processors.
	plan := schedulePlan{Sends: 400, Ahead: 4 * time.Second, Span: 3 * time.Second, Late: time.Minute}
	play(t, plan.scene(1), func(ctx context.Context, s *stage) (report, error) { return schedule(ctx, s, plan) })
}

func play(t *testing.T, c scene, proof func(context.Context, *stage) (report, error)) {
	t.Helper()
	check(t, func() (report, error) {
		return onStage(t.Context(), c, func(s *stage) (report, error) { return proof(t.Context(), s) })
	})
}

func check(t *testing.T, run func() (report, error)) {
	t.Helper()
	r, err := run()
	if err = errors.Join(err, r.verdict()); err != nil {
		t.Error(err)
	}
	var table bytes.Buffer
	r.print(&table)
	t.Log("\n" + table.String())
}

func TestAReportNamesWhatWasBroken(t *testing.T) {
	var r report
	r.note("sends", 10)
	r.add("lost", 0, "0", true)
	if err := r.verdict(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	r.add("doubled", 3, "0", false)
	if err := r.verdict(); err == nil || err.Error() != "broken: doubled is 3, want 0" {
		t.Errorf("got %v", err)
	}
}
