package channels

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// minScrub is the length in bytes below which a secret is not looked for: it
// would be found in words that have nothing to do with it.
const minScrub = 4

// A scrubber takes secrets out of text, in every form in which a provider may
// give them back.
type scrubber struct{ forms []form }

type form struct {
	text  string
	bytes []byte // the same
}

// sort puts the longest first, or a part would hide the whole.
func (s *scrubber) sort() {
	slices.SortFunc(s.forms, func(a, b form) int {
		return cmp.Or(len(b.text)-len(a.text), strings.Compare(a.text, b.text))
	})
	s.forms = slices.CompactFunc(s.forms, func(a, b form) bool { return a.text == b.text })
}

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
	all.sort()
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
	known, there := all.known.LoadOrStore(s, newScrubber(s.Reveal()))
	if !there && all.made.Add(1)%maxScrubbers == 0 {
		all.known.Clear()
	}
	return known.(*scrubber)
}

func newScrubber(secret string) *scrubber {
	s := &scrubber{}
	if len(secret) < minScrub {
		return s
	}
	add := func(text string) { s.forms = append(s.forms, form{text, []byte(text)}) }
	add(secret)
	query, path := url.QueryEscape(secret), url.PathEscape(secret)
	for _, escaped := range []string{query, strings.ReplaceAll(query, "+", "%20"), path} {
		add(escaped)
		add(lowerEscapes(escaped))
		twice := url.QueryEscape(escaped) // a URL in a URL, as log-in pages have of where one came from
		add(twice)
		add(lowerEscapes(twice))
	}
	add(html.EscapeString(secret))
	for _, escapeHTML := range []bool{false, true} {
		inJSON := jsonString(secret, escapeHTML)
		add(inJSON)
		add(strings.ReplaceAll(inJSON, "/", `\/`))
	}
	for shift := range 3 {
		add(base64Core(base64.RawStdEncoding, secret, shift))
		add(base64Core(base64.RawURLEncoding, secret, shift))
	}
	s.sort()
	s.forms = slices.Clone(s.forms) // most forms of most secrets are one and the same
	return s
}

// base64Core is what secret always looks like in the base64 of a text in which
// it begins at a byte that is shift modulo 3: the characters at its ends mix
// with its neighbours and are left off.
func base64Core(enc *base64.Encoding, secret string, shift int) string {
	coded := enc.EncodeToString(append(make([]byte, shift), secret...))
	from := []int{0, 2, 3}[shift]
	to := (shift + len(secret)) * 8 / 6
	return coded[from:to]
}

// jsonString is secret inside a JSON string.
func jsonString(secret string, escapeHTML bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	_ = enc.Encode(secret) // a string always can be
	return b.String()[1 : b.Len()-2]
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func (s *scrubber) bytes(b []byte) []byte {
	// Which characters a JSON encoder escapes is up to it, and whoever decodes them
	// has the secret. An answer is changed only where that is so.
	if plain := unescaped(b); plain != nil && s.in(plain) {
		b = plain
	}
	for _, f := range s.forms {
		if bytes.Contains(b, f.bytes) {
			b = bytes.ReplaceAll(b, f.bytes, []byte(redacted))
		}
	}
	return b
}

func (s *scrubber) in(b []byte) bool {
	return slices.ContainsFunc(s.forms, func(f form) bool { return bytes.Contains(b, f.bytes) })
}

// unescaped writes \u003d as =, and leaves what JSON wants escaped. An escape that b
// breaks off in is left out. It returns nil where there is nothing of the kind.
func unescaped(b []byte) []byte {
	if !bytes.Contains(b, []byte(`\u`)) {
		return nil
	}
	var out []byte
	done := 0
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if i+1 == len(b) || b[i+1] == 'u' && i+6 > len(b) {
			out, done = append(out, b[done:i]...), len(b)
			break
		}
		if b[i+1] == 'u' {
			code, err := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
			if err == nil && code >= ' ' && code < 0x7f && code != '"' && code != '\\' {
				out = append(append(out, b[done:i]...), byte(code))
				done = i + 6
				i += 4
			}
		}
		i++ // what is escaped begins no escape
	}
	if done == 0 {
		return nil
	}
	return append(out, b[done:]...)
}

// minTail is the length in bytes from which on the beginning of a secret, or
// of one of its forms, counts as one at the end of a text.
const minTail = 8

// broken takes a secret out of the end of b, where the provider, the network or
// the limit on bodies broke b off in the middle of it.
func (s *scrubber) broken(b []byte) []byte {
	for _, text := range [][]byte{b, unescaped(b)} {
		if at := s.tail(text); at >= 0 {
			return append(text[:at:at], redacted...)
		}
	}
	return b
}

// tail returns where a secret begins that b breaks off in, or -1.
func (s *scrubber) tail(b []byte) int {
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

func (s *scrubber) text(t string) string {
	for _, f := range s.forms {
		t = strings.ReplaceAll(t, f.text, redacted) // t itself where there is none
	}
	return t
}
