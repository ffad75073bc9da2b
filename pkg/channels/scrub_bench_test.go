package channels

import (
	"bytes"
	"strings"
	"testing"
)

// BenchmarkScrubber measures what taking the secrets out of an answer costs where
// there are none, with the headers that come with it.
func BenchmarkScrubber(b *testing.B) {
	c := newTestClient(b, ClientConfig{})
	a := &Account{Secrets: map[string]Secret{"token": "tok3nABCDEFGHijklmnop"}}
	for name, body := range map[string]string{
		"small":               `{"code":"ok","message":"created","id":123456}`,
		"small, with escapes": `{"code":"ok","message":"T\u1ea1o th\u00e0nh c\u00f4ng!"}`,
		"256 KiB":             `[` + strings.Repeat(`{"id":"1234567890","name":"Nguyen Van A","active":true},`, 4681) + `{}]`,
		"256 KiB of URLs":     `[` + strings.Repeat(`"https:\/\/example.com\/a?b=c&d=e%20f&at=2026\u00253A",`, 4855) + `{}]`,
		"1 MiB of slashes":    strings.Repeat(`\`, 1<<20),
		"1 MiB of percents":   strings.Repeat(`%25`, 1<<20/3),
		"1 MiB of entities":   strings.Repeat(`&amp;`, 1<<20/5),
	} {
		whole := []byte(body)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(whole)))
			for b.Loop() {
				clean := c.scrubber(a)
				if got := clean.bytes(whole); !bytes.Equal(got, whole) {
					b.Fatal("it was changed")
				}
				clean.text("Sat, 21 Nov 2026 00:00:00 GMT")
				clean.text("application/json; charset=utf-8")
			}
		})
	}
}
