package channelstest

import (
	"net/http"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
)

// Fuzz feeds answers made from those of the suite's cases to the provider's
// Judge and Parse, which must give a sound verdict and never panic, and read
// what they call OK.
func Fuzz(f *testing.F, p channels.Provider, s Suite) {
	f.Helper()
	b := newBench(p, s)
	samples := b.samples()
	for _, c := range s.Cases {
		for _, ex := range c.Exchanges {
			f.Add(uint8(0), uint16(ex.Reply.answer().Status), []byte(ex.Reply.Body))
		}
	}
	for i, sample := range samples {
		f.Add(uint8(i), uint16(http.StatusOK), []byte(sample.ex.Reply.Body))
	}
	f.Fuzz(func(t *testing.T, which uint8, status uint16, body []byte) {
		b.run(t, func(b *bench) {
			b.hostile("a fuzzed answer", samples[int(which)%len(samples)], int(status), string(body))
		})
	})
}
