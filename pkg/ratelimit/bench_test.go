package ratelimit

import (
	"testing"
	"time"
)

func BenchmarkTake(b *testing.B) {
	b.Run("one window", func(b *testing.B) { benchmarkTake(b, limits(PerSecond(100_000))) })
	b.Run("four windows", func(b *testing.B) {
		benchmarkTake(b, limits(PerSecond(1000), PerMinute(60_000), PerHour(3_600_000), PerDay(86_400_000)))
	})
}

// Time passes in the call itself, so that every Take succeeds.
func benchmarkTake(b *testing.B, limits Limits) {
	l := New(limits)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(2 * time.Millisecond)
		if !l.Take(now, 1) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkTakeRefused(b *testing.B) {
	l := New(limits(PerHour(1)))
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if l.Take(now, 1) {
			b.Fatal("passed")
		}
	}
}
