//go:build profile

package wiring

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// ProfileVariable names the file that a process built with the tag profile
// writes its CPU profile to, from its start to its end. Beside it, with .heap
// behind the name, is what the process held when it held most.
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
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		heaps(name+".heap", over)
	}()
	return func() {
		close(over)
		<-done
		pprof.StopCPUProfile()
		f.Close()
	}
}

// heaps writes the heap to a file whenever more lives in it than ever before.
func heaps(name string, over <-chan struct{}) {
	look := time.NewTicker(time.Second / 2)
	defer look.Stop()
	for most := uint64(0); ; {
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapAlloc > most {
			most = m.HeapAlloc
			if h, err := os.Create(name); err == nil {
				_ = pprof.WriteHeapProfile(h)
				h.Close()
			}
		}
		select {
		case <-look.C:
		case <-over:
			return
		}
	}
}
