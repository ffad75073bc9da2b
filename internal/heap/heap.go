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

// Spare has the heap grow by so many bytes, or by half of what is in use if that
// is more, before garbage is collected. Who has set GOGC or GOMEMLIMIT knows
// better, and nothing is changed.
func Spare(bytes uint64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	adjust(bytes)
	again(bytes)
}

// again adjusts after each collection: that is when an object that nobody holds
// is cleaned up.
func again(bytes uint64) {
	runtime.AddCleanup(new([16]byte), func(bytes uint64) {
		adjust(bytes)
		again(bytes)
	}, bytes)
}

func adjust(bytes uint64) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(percent(live[0].Value.Uint64(), bytes))
}

// percent is the GOGC by which a heap of which live bytes are in use grows by
// spare, and at least by half.
func percent(live, spare uint64) int {
	// Go takes no heap for smaller than this, and multiplies it likewise.
	live = max(live, 4<<20)
	return int(max(50, 100*spare/live))
}
