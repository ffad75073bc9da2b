package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// Short runs of what `make prove-…` does at length.

func TestKilledDispatchersLoseAndDoubleNothing(t *testing.T) {
	play(t, func(ctx context.Context, s *stage) (report, error) {
		return crash(ctx, s, crashPlan{Sends: 400, Kills: 2})
	})
}

func TestHostileBodiesBecomeDeadLetters(t *testing.T) {
	play(t, func(ctx context.Context, s *stage) (report, error) {
		return malformed(ctx, s, 5000)
	})
}

func play(t *testing.T, run func(context.Context, *stage) (report, error)) {
	s, err := newStage(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	r, err := run(t.Context(), s)
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
