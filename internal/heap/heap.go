// Package heap lets small processes collect garbage less often, and large ones
// more often. Go collects when the heap has doubled, and of a heap of five
// megabytes that is dozens of times a second under load: a sixth of all processor
// time, to keep a process small that is small anyway. Of a heap of forty it is
// some hundredths, and what is saved there makes the process half as large again.
package heap

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Spare has the heap grow by so many bytes, or by a percentage of what is in use
// if that is more, before garbage is collected. Go's own is 100. Who has set GOGC or
// GOMEMLIMIT knows better, and nothing is changed.
func Spare(bytes, percent uint64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	p := policy{bytes, percent}
	p.adjust()
	p.again()
}

type policy struct{ bytes, percent uint64 }

// again adjusts after each collection: that is when an object that nobody holds
// is cleaned up.
func (p policy) again() {
	runtime.AddCleanup(new([16]byte), func(p policy) {
		p.adjust()
		p.again()
	}, p)
}

func (p policy) adjust() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(p.of(live[0].Value.Uint64()))
}

// of is the GOGC for a heap of which live bytes are in use.
func (p policy) of(live uint64) int {
	// Go takes no heap for smaller than this, and multiplies it likewise.
	live = max(live, 4<<20)
	return int(max(p.percent, 100*p.bytes/live))
}
