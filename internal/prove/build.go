package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// programs is where the programs are built, once for all stages.
var programs string

// oneKind is for short runs: all stages share programs that pass fail-points and
// have the brittle provider. Neither does anything unless it is asked to.
var oneKind bool

var building sync.Mutex

// build builds the programs as c wants them, and says where they are. Prove itself
// is among them: a test that was the broker would be a slow one, with its race
// detector.
func (s *stage) build(ctx context.Context, c scene) error {
	building.Lock()
	defer building.Unlock()
	if oneKind {
		c.Failpoints, c.Brittle = true, true
	}
	kind := "ordinary"
	args := []string{"build", "-ldflags=-s -w"} // linked in half the time
	if c.Failpoints {
		kind += "-failpoints"
		args = append(args, "-tags", "failpoints")
	}
	if c.Skew {
		kind += "-skew"
	}
	if c.Brittle {
		kind += "-brittle"
	}
	s.programs = filepath.Join(programs, kind)
	s.self = filepath.Join(s.programs, "prove")
	if _, err := os.Stat(s.programs); err == nil {
		return nil
	}
	if err := os.Mkdir(s.programs, 0o700); err != nil {
		return err
	}
	if c.Skew {
		overlay, err := skewedClock(ctx, s.programs)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	if c.Brittle {
		overlay, err := brittleProvider(ctx, s.programs)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	args = append(args, "-o", s.programs+string(filepath.Separator),
		"github.com/tramhq/tram/cmd/dispatcher", "github.com/tramhq/tram/cmd/collector", "github.com/tramhq/tram/cmd/tram",
		"github.com/tramhq/tram/internal/prove")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		os.RemoveAll(s.programs)
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// sharingPrograms runs proofs whose stages share the programs.
func sharingPrograms(run func() (report, error)) (r report, err error) {
	if programs, err = os.MkdirTemp("", "tram-prove-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(programs)
	return run()
}
