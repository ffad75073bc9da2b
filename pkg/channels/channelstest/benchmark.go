package channelstest

import (
	"maps"
	"slices"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
)

// Benchmark measures what the provider's package costs: to prepare a call, and
// to read an answer, with Judge and Parse. Of each operation it takes the case
// with the longest good answer.
func Benchmark(b *testing.B, p channels.Provider, s Suite) {
	b.Helper()
	bench := newBench(p, s)
	type exchange struct {
		c    Case
		step channels.Step
		Exchange
	}
	longest := map[string]exchange{} // by operation
	for _, c := range s.Cases {
		a, r := bench.account(c), bench.request(c)
		step := channels.Step{Number: 1}
		for _, ex := range c.Exchanges {
			if ex.Verdict.Class != channels.OK {
				break
			}
			call, err := p.Prepare(a, r, step)
			if err != nil {
				b.Fatal(err)
			}
			if old, ok := longest[call.Operation]; !ok || len(ex.Reply.Body) > len(old.Reply.Body) {
				longest[call.Operation] = exchange{c, step, ex}
			}
			step = channels.Step{Number: step.Number + 1, Cursor: ex.Verdict.Next}
		}
	}
	if len(longest) == 0 {
		b.Fatal("no case of the suite has a good answer")
	}
	for _, operation := range slices.Sorted(maps.Keys(longest)) {
		ex := longest[operation]
		a, r := bench.account(ex.c), bench.request(ex.c)
		ans := bench.redact(r, ex.step, ex.Reply.answer())
		b.Run(operation+"/prepare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Prepare(a, r, ex.step); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(operation+"/answer", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(ans.Body)))
			for b.Loop() {
				if v := p.Judge(a, r, ex.step, ans); v.Class != channels.OK {
					b.Fatalf("%+v", v)
				}
				if _, err := p.Parse(a, r, ex.step, ans); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
