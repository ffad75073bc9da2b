package channels

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A scrubber takes secrets out of text, in every form in which a provider may
// give them back.
type scrubber struct{ forms []form }

// scrubber returns the one for all secrets of a.
func (c *Client) scrubber(a *Account) *scrubber {
	if len(a.Secrets) == 1 {
		for _, s := range a.Secrets {
			return c.scrubbers.of(s)
		}
	}
	all := &scrubber{}
	for _, s := range a.Secrets {
		all.forms = append(all.forms, c.scrubbers.of(s).forms...)
	}
	return all
}

// scrubbers are those of the secrets that were used of late.
type scrubbers struct {
	known sync.Map // Secret → *scrubber
	made  atomic.Int64
}

// maxScrubbers bounds them, at about a kilobyte each: all are made anew then, so
// that secrets which were replaced do not stay for ever.
const maxScrubbers = 20_000

func (all *scrubbers) of(s Secret) *scrubber {
	if known, ok := all.known.Load(s); ok {
		return known.(*scrubber)
	}
	known, there := all.known.LoadOrStore(s, &scrubber{formsOf(s.Reveal())})
	if !there && all.made.Add(1)%maxScrubbers == 0 {
		all.known.Clear()
	}
	return known.(*scrubber)
}

// text takes the secrets out of t, which is whole.
func (s *scrubber) text(t string) string {
	hit := strings.IndexByte(t, '\\') >= 0 || strings.IndexByte(t, '%') >= 0 || strings.IndexByte(t, '&') >= 0
	if !hit && !slices.ContainsFunc(s.forms, func(f form) bool { return strings.Contains(t, f.text) }) {
		return t
	}
	return string(s.bytes([]byte(t)))
}

// bytes takes the secrets out of b, and what of one stands at its end, where the
// provider, the network or the limit on bodies broke b off in the middle of it.
//
// How a secret is escaped is up to who quotes it, and whoever undoes that has the
// secret. So it is looked for in b and in what comes of b as its escapes are undone,
// layer by layer; b itself is changed only where one stands.
func (s *scrubber) bytes(b []byte) []byte {
	for text, n := b, 0; text != nil && n <= layers; n++ {
		if s.in(text) || s.tail(text) >= 0 {
			return s.redact(b)
		}
		text, _ = undo(text, nil)
	}
	return b
}

func (s *scrubber) in(b []byte) bool {
	return slices.ContainsFunc(s.forms, func(f form) bool { return bytes.Contains(b, f.bytes) })
}

// redact returns b without the secrets that are in it.
func (s *scrubber) redact(b []byte) []byte {
	at := make([]int32, len(b)+1) // of the text under the escapes: where it is in b
	for i := range at {
		at[i] = int32(i)
	}
	var spans []span
	for text, n := b, 0; text != nil && n <= layers; n++ {
		for _, f := range s.forms {
			for end := 0; ; {
				i := bytes.Index(text[end:], f.bytes)
				if i < 0 {
					break
				}
				i += end
				end = i + len(f.bytes)
				spans = append(spans, spanIn(at, i, end))
			}
		}
		if i := s.tail(text); i >= 0 {
			spans = append(spans, span{int(at[i]), len(b)})
		}
		text, at = undo(text, at)
	}
	return cutOut(b, spans)
}

// A span is a part of a text.
type span struct{ from, to int }

// spanIn is where text between two indexes came from. An escape that stands for
// several bytes is in it with all of them.
func spanIn(at []int32, from, to int) span {
	for to < len(at)-1 && at[to] == at[to-1] {
		to++
	}
	return span{int(at[from]), int(at[to])}
}

// cutOut writes [REDACTED] in place of the spans of b.
func cutOut(b []byte, spans []span) (out []byte) {
	slices.SortFunc(spans, func(x, y span) int { return cmp.Or(x.from-y.from, y.to-x.to) })
	done := 0
	for i, s := range spans {
		if i == 0 || s.from >= done { // else it goes on with the one before
			out = append(append(out, b[done:s.from]...), redacted...)
		}
		done = max(done, s.to)
	}
	return append(out, b[done:]...)
}

// minTail is the length in bytes from which on the beginning of a secret, or
// of one of its forms, counts as one at the end of a text.
const minTail = 8

// unfinished is an escape, or several around each other, that a text breaks off in.
var unfinished = regexp.MustCompile(`(?:\\+(?:[uU][0-9A-Fa-f]{0,3}|x[0-9A-Fa-f]?)?|%[0-9A-Fa-f]?|&(?:[A-Za-z]{0,9}|#[xX]?[0-9A-Fa-f]{0,6}))+$`)

// tail returns where a secret begins that b breaks off in, or -1.
func (s *scrubber) tail(b []byte) int {
	if i := s.begun(b); i >= 0 {
		return i
	}
	if len(b) == 0 || strings.IndexByte("}]\">\n", b[len(b)-1]) >= 0 { // as whole answers end
		return -1
	}
	from := max(0, len(b)-maxEntity)
	if at := unfinished.FindIndex(b[from:]); at != nil {
		return s.begun(b[:from+at[0]])
	}
	return -1
}

// begun returns where the beginning of a secret is that b ends with, or -1.
func (s *scrubber) begun(b []byte) int {
	for _, f := range s.forms {
		if len(f.bytes) <= minTail {
			continue
		}
		for from := max(0, len(b)-len(f.bytes)); ; from++ {
			i := bytes.Index(b[from:], f.bytes[:minTail])
			if i < 0 {
				break
			}
			if from += i; bytes.HasPrefix(f.bytes, b[from:]) {
				return from
			}
		}
	}
	return -1
}
