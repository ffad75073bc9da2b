package heap

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		live, spare uint64
		want        int
	}{
		{0, 16 << 20, 400}, // nothing is in use yet: as if it were 4 MiB, below which Go collects nothing
		{1 << 20, 16 << 20, 400},
		{4 << 20, 16 << 20, 400},
		{8 << 20, 16 << 20, 200},
		{16 << 20, 16 << 20, 100},
		{24 << 20, 16 << 20, 66},
		{64 << 20, 16 << 20, 50}, // not for less than half as much again
		{8 << 20, 0, 50},
	} {
		if got := (policy{c.spare, 50}).of(c.live); got != c.want {
			t.Errorf("%d MiB live, %d MiB to spare: %d, want %d", c.live>>20, c.spare>>20, got, c.want)
		}
	}
}

// It must go on after each collection, and let go as the heap becomes large.
func TestSpare(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	defer debug.SetGCPercent(gogc())
	runtime.GC() // what earlier tests have left
	Spare(64<<20, 50)
	if got := gogc(); got < 200 {
		t.Errorf("of a small heap GOGC is %d", got)
	}
	large := make([]byte, 256<<20)
	for gogc() != 50 { // until the test's time is over
		runtime.GC()
	}
	runtime.KeepAlive(large)
}

func gogc() int {
	was := debug.SetGCPercent(-1)
	debug.SetGCPercent(was)
	return was
}

func TestSpareIsSilent(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "77")
	Spare(64<<20, 50)
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("GOGC was set, and was changed to %d", got)
	}
}
