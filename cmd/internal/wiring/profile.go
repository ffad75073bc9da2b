//go:build profile

package wiring

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// ProfileVariable names the file that a process built with the tag profile
// writes its CPU profile to, from its start to its end. Beside it, with .heap
// behind the name, is what the process held at its end.
const ProfileVariable = "TRAM_CPUPROFILE"

// profile begins the profile. The function it returns ends it.
func profile() (end func()) {
	name := os.Getenv(ProfileVariable)
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no profile:", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
		if h, err := os.Create(name + ".heap"); err == nil {
			runtime.GC()
			_ = pprof.WriteHeapProfile(h)
			h.Close()
		}
	}
}
